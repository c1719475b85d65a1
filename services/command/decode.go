package command

import (
	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// decode checks a command's envelope. What is wrong with it is in Invalid, so
// that the rest of its batch is not disturbed.
func decode(pb *streampb.Command, p streams.Partition, partitions uint32) sequencer.Command {
	c, err := parse(pb, p, partitions)
	if err != nil {
		return sequencer.Command{Invalid: streams.AsRejection(err)}
	}
	return c
}

func parse(pb *streampb.Command, p streams.Partition, partitions uint32) (c sequencer.Command, err error) {
	if pb.GetCanary() != nil {
		c.Request.Body = pb.GetCanary()
		return c, nil
	}
	if c.Group, err = streams.ParseGroup(pb.GetGroup()); err != nil {
		return c, err
	}
	if streams.PartitionOf(c.Group, partitions) != p {
		return c, streams.Reject(streams.Internal, "the group belongs to another partition")
	}
	user, err := streams.ParseUser(pb.GetUser())
	if err != nil {
		return c, err
	}
	if c.ClientID, err = streams.ClientIDFromBytes(pb.GetClientId()); err != nil {
		return c, streams.Reject(streams.BadRequest, "client_id must be a UUIDv7")
	}
	c.Attempt = pb.GetAttempt()
	if pb.GetTs() != 0 && !pb.GetServer() {
		return c, streams.Reject(streams.Forbidden, "only a server token may set ts")
	}
	if pb.GetTs() < 0 || pb.GetTs() > streams.MaxInteger {
		return c, streams.Reject(streams.BadRequest, "ts must be a time in ms since 1970")
	}
	body, writes := bodyOf(pb)
	if body == nil {
		return c, streams.Reject(streams.BadRequest, "unknown command")
	}
	if writes && c.ClientID.IsZero() {
		return c, streams.Reject(streams.BadRequest, "a writing command needs a client_id")
	}
	c.Request = group.Request{User: user, Server: pb.GetServer(), TS: pb.GetTs(), Body: body, Present: pb.GetPresent()}
	if recall := pb.GetRecall(); recall.GetAuthor() != "" && pb.GetServer() {
		author, err := streams.ParseUser(recall.GetAuthor())
		if err != nil {
			return c, err
		}
		c.Request.Target = &group.Target{Author: author}
	}
	return c, nil
}

// bodyOf unwraps the command and tells whether it writes.
func bodyOf(pb *streampb.Command) (body any, writes bool) {
	switch b := pb.GetBody().(type) {
	case *streampb.Command_CreateGroup:
		return b.CreateGroup, true
	case *streampb.Command_UpdateGroup:
		return b.UpdateGroup, true
	case *streampb.Command_DeleteGroup:
		return b.DeleteGroup, true
	case *streampb.Command_CreateChannel:
		return b.CreateChannel, true
	case *streampb.Command_UpdateChannel:
		return b.UpdateChannel, true
	case *streampb.Command_DeleteChannel:
		return b.DeleteChannel, true
	case *streampb.Command_Join:
		return b.Join, true
	case *streampb.Command_Leave:
		return b.Leave, true
	case *streampb.Command_Member:
		return b.Member, true
	case *streampb.Command_AddMembers:
		return b.AddMembers, true
	case *streampb.Command_Invite:
		return b.Invite, true
	case *streampb.Command_Block:
		return b.Block, true
	case *streampb.Command_Send:
		return b.Send, true
	case *streampb.Command_Edit:
		return b.Edit, true
	case *streampb.Command_Recall:
		return b.Recall, true
	case *streampb.Command_React:
		return b.React, true
	case *streampb.Command_Unreact:
		return b.Unreact, true
	case *streampb.Command_Pin:
		return b.Pin, true
	case *streampb.Command_Unpin:
		return b.Unpin, true
	case *streampb.Command_Replay:
		return b.Replay, true
	case *streampb.Command_AttrSet:
		return b.AttrSet, true
	case *streampb.Command_Attrs:
		return b.Attrs, false
	case *streampb.Command_GroupInfo:
		return b.GroupInfo, false
	case *streampb.Command_Members:
		return b.Members, false
	case *streampb.Command_ReadPresence:
		return b.ReadPresence, false
	case *streampb.Command_Access:
		return b.Access, false
	case *streampb.Command_Snapshot:
		return b.Snapshot, false
	}
	return nil, false
}
