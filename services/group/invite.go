package group

import (
	"slices"

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
