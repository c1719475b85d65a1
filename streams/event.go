package streams

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams/streampb"
)

// Event is one accepted fact of a group's log.
type Event struct {
	Group    Group
	Channel  Channel
	V        Version // in the channel, dense from 1
	N        Number  // messages in the channel so far, this one included
	Seq      Seq     // in the partition; from JetStream, not in the encoding
	Epoch    Epoch   // term of the sequencer that wrote it
	Prev     Seq     // the channel's previous event, 0 for the first
	TS       int64   // ms since 1970 UTC
	User     User    // who caused it
	ClientID ClientID
	// Answer marks the event whose V and N answered the command, where one
	// command made several events.
	Answer          bool
	Attempt         uint32 // of the command, see streampb.Event
	MentionAllCount uint64 // messages of the channel that mentioned all, so far
	Payload         Payload
}

// Payload is what happened: one of the types in event_payload.go.
type Payload interface{ kind() Kind }

// Kind is the name of a payload on the wire.
type Kind string

const (
	KindMessage       Kind = "message"
	KindEdit          Kind = "edit"
	KindRecall        Kind = "recall"
	KindReact         Kind = "react"
	KindUnreact       Kind = "unreact"
	KindPin           Kind = "pin"
	KindUnpin         Kind = "unpin"
	KindGroupUpdate   Kind = "group_update"
	KindChannelCreate Kind = "channel_create"
	KindChannelUpdate Kind = "channel_update"
	KindChannelDelete Kind = "channel_delete"
	KindAttrSet       Kind = "attr_set"
	KindAttrDel       Kind = "attr_del"
	KindJoin          Kind = "join"
	KindLeave         Kind = "leave"
	KindRole          Kind = "role"
	KindMute          Kind = "mute"
	KindUnmute        Kind = "unmute"
	KindBan           Kind = "ban"
	KindUnban         Kind = "unban"
	KindKick          Kind = "kick"
	KindJoinRequest   Kind = "join_request"
	KindJoinDecline   Kind = "join_decline"
	KindUserGroups    Kind = "user_groups"
	KindInvite        Kind = "invite"
	KindInviteRevoke  Kind = "invite_revoke"
	KindBlock         Kind = "block"
	KindUnblock       Kind = "unblock"
)

// Kind returns the name of what happened.
func (e *Event) Kind() Kind { return e.Payload.kind() }

// MarshalEvent returns the stored form. It fails on no event the sequencer
// makes; an error is a bug.
func MarshalEvent(e *Event) ([]byte, error) {
	pb := &streampb.Event{
		Group: string(e.Group), Channel: string(e.Channel),
		V: uint64(e.V), N: uint64(e.N), Epoch: uint64(e.Epoch), Prev: uint64(e.Prev),
		Ts: e.TS, User: string(e.User), ClientId: e.ClientID.Bytes(),
		Answer: e.Answer, Attempt: e.Attempt, MentionAllCount: e.MentionAllCount,
	}
	if !encode(pb, e.Payload) {
		return nil, fmt.Errorf("marshal event: payload %T is unknown", e.Payload)
	}
	return proto.Marshal(pb)
}

// UnmarshalEvent reads the stored form of the event at seq. It fails on bytes
// that are no event, on names outside the alphabet and on payloads newer than
// this code.
func UnmarshalEvent(data []byte, seq Seq) (*Event, error) {
	pb := &streampb.Event{}
	if err := proto.Unmarshal(data, pb); err != nil {
		return nil, fmt.Errorf("event at %d: %w", seq, err)
	}
	id, err := ClientIDFromBytes(pb.GetClientId())
	if err != nil {
		return nil, fmt.Errorf("event at %d: %w", seq, err)
	}
	if !validName(pb.GetGroup()) || !validName(pb.GetChannel()) || !validName(pb.GetUser()) {
		return nil, fmt.Errorf("event at %d: a name is outside the alphabet", seq)
	}
	e := &Event{
		Group: Group(pb.GetGroup()), Channel: Channel(pb.GetChannel()),
		V: Version(pb.GetV()), N: Number(pb.GetN()), Seq: seq,
		Epoch: Epoch(pb.GetEpoch()), Prev: Seq(pb.GetPrev()),
		TS: pb.GetTs(), User: User(pb.GetUser()), ClientID: id,
		Answer: pb.GetAnswer(), Attempt: pb.GetAttempt(), MentionAllCount: pb.GetMentionAllCount(),
	}
	if e.Payload = decode(pb); e.Payload == nil {
		return nil, fmt.Errorf("event at %d: payload is unknown to this version", seq)
	}
	return e, nil
}
