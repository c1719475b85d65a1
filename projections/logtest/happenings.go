package logtest

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// community is what a group's events need to know of those before: the state a
// sequencer would write into them.
type community struct {
	members  map[string]*streampb.MemberState
	channels []string // made, also those deleted
	invites  int
}

func (l *Log) community(g streams.Group) *community {
	if l.communities[g] == nil {
		l.communities[g] = &community{members: map[string]*streampb.MemberState{}}
	}
	return l.communities[g]
}

// user is one of few, so that they meet again.
func (l *Log) user() string { return fmt.Sprintf("user%d", l.random.IntN(20)) }

// memberEvent makes an event of @members.
func (l *Log) memberEvent(seq streams.Seq, c *channel) *streams.Event {
	of := l.community(c.group)
	name, reason := l.user(), "it's a\treason"
	state := &streampb.MemberState{}
	if known := of.members[name]; known != nil {
		state = proto.CloneOf(known)
	}
	of.members[name] = state
	until := l.ts + l.random.Int64N(100_000)
	gone := func() { *state = streampb.MemberState{Banned: state.Banned, BannedUntil: state.BannedUntil} }
	var payload streams.Payload
	switch act := l.random.IntN(15); act {
	case 0, 1, 2:
		*state = streampb.MemberState{Role: streampb.Role(1 + l.random.IntN(4)), Joined: l.ts, MutedUntil: state.MutedUntil}
		joined := &streampb.MemberJoined{Member: name, Role: state.Role, Reason: reason, State: proto.CloneOf(state), Invite: "i1"}
		state.JoinedSeq = uint64(seq)
		if act == 0 { // as it was written before joins carried the state
			joined.State, state.MutedUntil = nil, 0
		}
		payload = streams.MemberJoined{MemberJoined: joined}
	case 3:
		gone()
		payload = streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: name, State: state}}
	case 4:
		*state = streampb.MemberState{}
		payload = streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: name}}
	case 5:
		state.Role = streampb.Role(1 + l.random.IntN(4))
		payload = streams.RoleChanged{RoleChanged: &streampb.RoleChanged{Member: name, Role: state.Role, Reason: reason, State: state}}
	case 6:
		state.MutedUntil = []int64{-1, until}[l.random.IntN(2)]
		payload = streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: name, Until: state.MutedUntil, State: state}}
	case 7:
		state.MutedUntil = 0
		payload = streams.MemberUnmuted{MemberUnmuted: &streampb.MemberUnmuted{Member: name, Reason: reason, State: state}}
	case 8:
		gone()
		state.Banned, state.BannedUntil = true, []int64{0, until}[l.random.IntN(2)]
		payload = streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: name, Until: state.BannedUntil, Reason: reason, State: state}}
	case 9:
		state.Banned, state.BannedUntil = false, 0
		payload = streams.MemberUnbanned{MemberUnbanned: &streampb.MemberUnbanned{Member: name, State: state}}
	case 10:
		gone()
		payload = streams.MemberKicked{MemberKicked: &streampb.MemberKicked{Member: name, Reason: reason, State: state}}
	case 11:
		state.Waiting = !state.Waiting
		if payload = (streams.JoinDeclined{JoinDeclined: &streampb.JoinDeclined{Member: name, State: state}}); state.Waiting {
			payload = streams.JoinRequested{JoinRequested: &streampb.JoinRequested{Member: name, Reason: reason, State: state}}
		}
	case 12:
		state.UserGroups = []string{"red", "white"}[:l.random.IntN(3)]
		payload = streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: name, State: state}}
	case 13:
		of.invites++
		payload = streams.InviteCreated{InviteCreated: &streampb.InviteCreated{Invite: fmt.Sprint("i", of.invites), Expires: until}}
		if l.random.IntN(2) == 0 {
			payload = streams.InviteRevoked{InviteRevoked: &streampb.InviteRevoked{Invite: fmt.Sprint("i", of.invites)}}
		}
	case 14:
		state.BlocksPeer = !state.BlocksPeer
		if payload = (streams.PeerUnblocked{PeerUnblocked: &streampb.PeerUnblocked{Member: name, State: state}}); state.BlocksPeer {
			payload = streams.PeerBlocked{PeerBlocked: &streampb.PeerBlocked{Member: name, State: state}}
		}
	}
	e := l.make(seq, c, payload)
	of.members[name] = proto.CloneOf(state) // the event keeps its own
	return e
}

// groupEvent makes an event of @.
func (l *Log) groupEvent(seq streams.Seq, c *channel) *streams.Event {
	of := l.community(c.group)
	settings := &streampb.ChannelSettings{
		Write: streampb.Role(l.random.IntN(5)), SlowModeMs: l.random.Int64N(3) * 1000, Category: l.pickOf("", "it's", `"q"`),
	}
	act := l.random.IntN(8)
	if len(of.channels) == 0 {
		act = min(act, 1)
	}
	switch act {
	case 0:
		return l.make(seq, c, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
			Kind: "community", Name: l.pickOf(hostile...), Settings: &streampb.Settings{MuteAll: l.random.IntN(2) == 0, Attrs: streampb.Role_ROLE_ADMIN},
		}})
	case 1, 2:
		name := fmt.Sprintf("channel%d", len(of.channels))
		of.channels = append(of.channels, name)
		made := &streampb.ChannelCreated{Channel: name, Kind: l.pickOf("public", "private", "thread"), Name: l.pickOf(hostile...), Settings: settings}
		if made.Kind == "thread" {
			made.Parent = &streampb.Parent{Channel: l.pickOf(append([]string{"general"}, of.channels[:len(of.channels)-1]...)...), N: uint64(l.random.IntN(3))}
		}
		return l.make(seq, c, streams.ChannelCreated{ChannelCreated: made})
	case 3, 4:
		return l.make(seq, c, streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{
			Channel: l.pickOf(of.channels...), Name: l.pickOf(hostile...), Settings: settings, Added: []string{l.user()},
		}})
	case 5:
		return l.make(seq, c, streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: l.pickOf(of.channels...), Reason: "over"}})
	}
	return l.attributeEvent(seq, c)
}

// attributeEvent sets or deletes an attribute of the channel.
func (l *Log) attributeEvent(seq streams.Seq, c *channel) *streams.Event {
	key := l.pickOf("topic", "seat\t1", "o'key", "π")
	if l.random.IntN(3) == 0 {
		return l.make(seq, c, streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: key, Reason: l.pickOf("", "gone")}})
	}
	return l.make(seq, c, streams.AttributeSet{AttributeSet: &streampb.AttributeSet{
		Key: key, Value: string(l.body()), AutoDelete: l.random.IntN(2) == 0, Protected: l.random.IntN(2) == 0,
	}})
}

// reactionEvent puts a reaction to message n or takes it back; it changes something, as
// all that is written does.
func (l *Log) reactionEvent(seq streams.Seq, c *channel, n uint64) *streams.Event {
	emoji, user := l.pickOf("👍", "👩‍👩‍👧‍👦", "it's"), l.user()
	if c.reacted != 0 && l.random.IntN(3) == 0 { // think again
		n, emoji, user = c.reacted, c.emoji, c.user
	}
	c.reacted, c.emoji, c.user = n, emoji, user
	if l.reactions(c, n, emoji)[user] {
		return l.Unreact(seq, c.group, c.name, n, emoji, user)
	}
	return l.React(seq, c.group, c.name, n, emoji, user)
}

// React puts a user's reaction to message n.
func (l *Log) React(seq streams.Seq, group streams.Group, name streams.Channel, n uint64, emoji, user string) *streams.Event {
	c := l.channel(group, name)
	users := l.reactions(c, n, emoji)
	users[user] = true
	e := l.make(seq, c, streams.Reacted{Reacted: &streampb.Reacted{Target: n, Emoji: emoji, Count: uint64(len(users))}})
	e.User = streams.User(user)
	return e
}

// Unreact takes it back.
func (l *Log) Unreact(seq streams.Seq, group streams.Group, name streams.Channel, n uint64, emoji, user string) *streams.Event {
	c := l.channel(group, name)
	users := l.reactions(c, n, emoji)
	delete(users, user)
	e := l.make(seq, c, streams.Unreacted{Unreacted: &streampb.Unreacted{Target: n, Emoji: emoji, Count: uint64(len(users))}})
	e.User = streams.User(user)
	return e
}

func (l *Log) reactions(c *channel, n uint64, emoji string) map[string]bool {
	key := fmt.Sprintf("%d %s", n, emoji)
	if c.reactions == nil {
		c.reactions = map[string]map[string]bool{}
	}
	if c.reactions[key] == nil {
		c.reactions[key] = map[string]bool{}
	}
	return c.reactions[key]
}

// Happens makes an event of any payload.
func (l *Log) Happens(seq streams.Seq, group streams.Group, name streams.Channel, payload streams.Payload) *streams.Event {
	return l.make(seq, l.channel(group, name), payload)
}

func (l *Log) pickOf(values ...string) string { return values[l.random.IntN(len(values))] }
