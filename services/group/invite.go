package group

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// applyInvite folds a new invitation, and lets go of those that can no longer
// be used.
func (s *State) applyInvite(e *streams.Event, p streams.InviteCreated) {
	if e.Seq <= s.meta.seq {
		return
	}
	s.meta.seq = e.Seq
	s.meta.invites = slices.DeleteFunc(s.meta.invites, func(i *streampb.InviteRecord) bool {
		return i.GetInvite() == p.GetInvite() || !usable(i, e.TS)
	})
	s.meta.invites = append(s.meta.invites, &streampb.InviteRecord{
		Invite: p.GetInvite(), Hash: p.GetHash(), Expires: p.GetExpires(), Uses: p.GetUses(),
	})
	s.changed(Entity{})
}

func (s *State) applyInviteRevoked(e *streams.Event, p streams.InviteRevoked) {
	if e.Seq <= s.meta.seq {
		return
	}
	s.meta.seq = e.Seq
	s.meta.invites = slices.DeleteFunc(s.meta.invites, func(i *streampb.InviteRecord) bool {
		return i.GetInvite() == p.GetInvite()
	})
	s.changed(Entity{})
}

// useInvite counts a join by an invitation; the group's record is known to be
// older than it.
func (s *State) useInvite(id string) {
	for _, i := range s.meta.invites {
		if i.GetInvite() == id {
			i.Used++
		}
	}
}

// usable reports whether somebody can still join by an invitation.
func usable(i *streampb.InviteRecord, now int64) bool {
	return i.GetExpires() > now && (i.GetUses() == 0 || i.GetUsed() < i.GetUses())
}

// inviteFor is how long an invitation can be used that does not say.
const inviteFor = 7 * 24 * time.Hour

// invite makes an invitation, or revokes one where no code's hash is given.
func (s *State) invite(r Request, body *streampb.Invite, now int64) (Decision, error) {
	if len(body.GetHash()) == 0 {
		return s.revokeInvite(r, body)
	}
	if err := s.may(r, CreateInvite); err != nil {
		return Decision{}, err
	}
	expires := body.GetExpires()
	if expires == 0 {
		expires = now + inviteFor.Milliseconds()
	}
	if _, err := streams.ParseUser(body.GetInvite()); err != nil {
		return Decision{}, streams.Reject(streams.BadRequest, "invite must be 1 to %d of A-Z a-z 0-9 _ -", streams.MaxName)
	}
	switch {
	case len(body.GetHash()) != sha256.Size:
		return Decision{}, streams.Reject(streams.BadRequest, "the code's hash must be %d bytes", sha256.Size)
	case expires <= now || expires > streams.MaxInteger:
		return Decision{}, streams.Reject(streams.BadRequest, "an invitation must end at a time to come")
	case body.GetUses() > streams.MaxInteger:
		return Decision{}, streams.Reject(streams.BadRequest, "uses is too large")
	}
	open := 0
	for _, i := range s.meta.invites {
		if i.GetInvite() == body.GetInvite() || bytes.Equal(i.GetHash(), body.GetHash()) && usable(i, now) {
			return Decision{}, streams.Reject(streams.Conflict, "there is such an invitation already")
		}
		if usable(i, now) {
			open++
		}
	}
	if open >= streams.MaxInvites {
		return Decision{}, streams.Reject(streams.Conflict, "a group has at most %d invitations", streams.MaxInvites)
	}
	return one(r, streams.MembersChannel, streams.InviteCreated{InviteCreated: &streampb.InviteCreated{
		Invite: body.GetInvite(), Hash: body.GetHash(), Expires: expires, Uses: body.GetUses(),
	}})
}

func (s *State) revokeInvite(r Request, body *streampb.Invite) (Decision, error) {
	if err := s.may(r, RevokeInvite); err != nil {
		return Decision{}, err
	}
	for _, i := range s.meta.invites {
		if i.GetInvite() == body.GetInvite() {
			return one(r, streams.MembersChannel, streams.InviteRevoked{InviteRevoked: &streampb.InviteRevoked{Invite: i.GetInvite()}})
		}
	}
	return Decision{}, streams.Reject(streams.NotFound, "there is no such invitation")
}

// invitation is the one that a code's hash opens now, nil for none.
func (s *State) invitation(hash []byte, now int64) *streampb.InviteRecord {
	if len(hash) == 0 {
		return nil
	}
	for _, i := range s.meta.invites {
		if usable(i, now) && bytes.Equal(i.GetHash(), hash) {
			return i
		}
	}
	return nil
}
