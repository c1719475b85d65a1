package command

import (
	"crypto/rand"
	"encoding/base32"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// directChannel is the one channel of a direct group.
const directChannel streams.Channel = "main"

// pair finds the direct group of the caller and the peer a command names.
func (t *Task) pair() error {
	switch {
	case t.Peer == "":
		return nil
	case t.Caller.User == serverUser:
		return streams.Reject(streams.BadRequest, "a direct group takes as, the user it is done for")
	case t.Caller.User == t.Peer:
		return streams.Reject(streams.BadRequest, "a direct group is of two users")
	}
	t.Group = streams.DirectGroup(t.Caller.User, t.Peer)
	if send := t.Write.GetSend(); send != nil {
		t.Channel = directChannel
		send.Channel = string(directChannel)
	}
	return nil
}

// name makes up the name of what is made where the client gave none. It comes
// from the client_id, so that the same command again makes the same.
func (t *Task) name(id string) {
	switch body := t.Write.Body.(type) {
	case *streampb.Command_CreateGroup:
		if t.Group == "" {
			t.Group = streams.Group("g" + id)
		}
	case *streampb.Command_CreateChannel:
		if t.Channel == "" {
			t.Channel = streams.Channel("c" + id)
			body.CreateChannel.Channel = string(t.Channel)
		}
	case *streampb.Command_Invite:
		if t.Name == wire.Invite {
			body.Invite.Invite = "i" + id
			t.invite(body.Invite)
		}
	}
}

// invite makes up the code where none is given, 100 bits of it, and leaves
// only its hash in the command.
func (t *Task) invite(i *streampb.Invite) {
	if t.Code == "" {
		var bits [13]byte
		_, _ = rand.Read(bits[:]) // never fails
		t.Code, t.made = base32.StdEncoding.EncodeToString(bits[:])[:20], true
	}
	i.Hash = wire.HashCode(t.Code)
	if t.Lasts.Given {
		now := t.Taken.UnixMilli()
		if t.TS != 0 {
			now = t.TS
		}
		i.Expires = min(now+int64(t.Lasts.Value), streams.MaxInteger)
	}
}

// channel is where the event of a write stands whose v is its answer.
func (t *Task) channel() streams.Channel {
	switch t.Name {
	case wire.CreateGroup, wire.UpdateGroup, wire.DeleteGroup,
		wire.CreateChannel, wire.UpdateChannel, wire.DeleteChannel:
		return streams.GroupChannel
	case wire.Join, wire.Leave, wire.Member, wire.Invite, wire.InviteRevoke, wire.Block, wire.Unblock:
		return streams.MembersChannel
	}
	return t.Channel // of attr_set the group's own where none was given
}
