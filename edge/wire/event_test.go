package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

var update = flag.Bool("update", false, "rewrite testdata; read the difference before committing it")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs, got:\n%s\nwant:\n%s", path, got, want)
	}
}

var id = streams.MakeClientID(1794000000123, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})

func event(channel streams.Channel, payload streams.Payload) *streams.Event {
	return &streams.Event{
		Group: "g1", Channel: channel, V: 42, N: 40, Seq: 918273, Epoch: 7,
		TS: 1794000000123, User: "alice", Payload: payload,
	}
}

func settings() *streampb.Settings {
	return &streampb.Settings{
		Join: "open", History: "all", MaxMessageBytes: 16384,
		MentionAll: streampb.Role_ROLE_MODERATOR, Attrs: streampb.Role_ROLE_MEMBER,
	}
}

func TestEventsAsTheyStandInTheGoldenFile(t *testing.T) {
	full := event("general", streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
		Type: "text", Body: []byte("hi @bob"), Mentions: []string{"bob", "carol"}, MentionAll: true,
		MentionRoles: []string{"admin"}, ReplyTo: 3, Priority: streampb.Priority_PRIORITY_HIGH, Expires: 1794000060123,
	}})
	full.ClientID = id
	events := []*streams.Event{
		full,
		event("general", streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
			Type: "text", Body: []byte("quote \" slash \\ tab \t line \n bell \a <b>&\u2028 \xff é 😀"),
		}}),
		event("general", streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
			Type: "my.card", Body: []byte("{ \"a\" :\n [1,\t2] , \"html\": \"<b>\" }"), BodyJson: true,
			Priority: streampb.Priority_PRIORITY_LOW,
		}}),
		event("general", streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 12, Body: []byte("better")}}),
		event("general", streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 12, Body: []byte(`{"x":1}`), BodyJson: true}}),
		event("general", streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: 12}}),
		event("@", streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "community", Name: "The group", Settings: settings()}}),
		event("@", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "general", Kind: "public", Name: "General"}}),
		event("@members", streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: "bob", Role: streampb.Role_ROLE_MEMBER}}),
		event("@members", streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: "bob", Reason: "bored"}}),
	}
	events = append(events, groupEvents()...)
	events = append(events, memberEvents()...)
	lines := [][]byte{
		wire.AppendRecalled(nil, full), wire.AppendExpired(nil, full),
		wire.AppendExpired(nil, event("general", streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 12, Body: []byte("gone"), Expires: 1_794_000_000_000}})),
		wire.AppendHidden(nil, full), wire.AppendHidden(nil, events[len(events)-1]),
	}
	for _, e := range events {
		lines = append(lines, wire.AppendEvent(nil, e))
	}
	var out []byte
	for _, line := range lines {
		if !json.Valid(line) || bytes.IndexByte(line, '\n') >= 0 {
			t.Errorf("not one line of JSON: %q", line)
		}
		out = append(append(out, line...), '\n')
	}
	golden(t, "events.golden", out)
}

func TestFramesAsTheyStandInTheGoldenFile(t *testing.T) {
	posted := &streampb.MessagePosted{Type: "text", Body: []byte("now"), Mentions: []string{"bob"}}
	one := wire.AppendEvent(nil, event("general", streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: 1}}))
	result := &streampb.Result{V: 42, N: 40, Seq: 918273, Ts: 1794000000123, Channel: "general", Duplicate: true}
	already := &streampb.Result{V: 5, Already: true}
	info := &streampb.GroupInfo{
		Kind: "room", Name: "A room", Settings: settings(), Members: 2, Role: streampb.Role_ROLE_OWNER, Created: 1, V: 3,
		Channels: []*streampb.ChannelInfo{{Channel: "@", V: 3}, {Channel: "general", Kind: "public", Name: "General", V: 9, N: 8, Pinned: []uint64{3, 1}}, {
			Channel: "t", Kind: "thread", V: 1, Parent: &streampb.Parent{Channel: "general", N: 3}, Settings: &streampb.ChannelSettings{
				Write: streampb.Role_ROLE_ADMIN, WriteGroups: []string{"staff"}, SlowModeMs: 5, Position: 2, Category: "Talk",
			},
		}},
		Census: &streampb.Census{Members: 9, Moderators: 3, Admins: 2, Owners: 1}, Online: 4,
	}
	page := &streampb.MemberPage{After: "bob", Count: 3, Members: []*streampb.MemberInfo{
		{User: "alice", Role: streampb.Role_ROLE_OWNER, Joined: 5}, {User: "bob", Role: streampb.Role_ROLE_MEMBER, Joined: 6, MutedUntil: 100, Online: true, UserGroups: []string{"staff"}},
		{User: "carol", Role: streampb.Role_ROLE_MEMBER, Joined: 7, MutedUntil: 99}, {User: "dave", Role: streampb.Role_ROLE_MEMBER, MutedUntil: -1},
	}}
	lines := [][]byte{
		wire.AppendOK(nil, 7, wire.Empty()),
		wire.AppendError(nil, 7, streams.RejectRetry(streams.Muted, 1500e6, "muted")),
		wire.AppendRefusal(nil, streams.Reject(streams.NotFound, "no such group")),
		wire.AppendWritten(nil, written(wire.Send), result),
		wire.AppendWritten(nil, written(wire.Edit), &streampb.Result{V: 43, N: 40, Seq: 1}),
		wire.AppendWritten(nil, written(wire.Join), already),
		wire.AppendWritten(nil, written(wire.Join), &streampb.Result{V: 6, Waiting: true}),
		wire.AppendWritten(nil, written(wire.CreateGroup), &streampb.Result{V: 1}),
		wire.AppendWritten(nil, written(wire.DeleteGroup), &streampb.Result{V: 9}),
		wire.AppendWritten(nil, written(wire.CreateChannel), &streampb.Result{V: 2, Channel: "general"}),
		wire.AppendWritten(nil, written(wire.UpdateChannel), &streampb.Result{V: 3, Channel: "general"}),
		wire.AppendWritten(nil, &wire.Command{Name: wire.Send, Group: "@d00", Peer: "bob"}, result),
		wire.AppendWritten(nil, &wire.Command{Name: wire.Invite, Group: "g1", Code: "ABCDEFGH", Write: &streampb.Command{
			Body: &streampb.Command_Invite{Invite: &streampb.Invite{Invite: "i1"}},
		}}, &streampb.Result{V: 7}),
		wire.AppendError(nil, 7, &streams.Rejection{Code: streams.Conflict, Message: "changed", Current: []streams.AttributeNow{
			{Key: "seat:1", Value: "bob", V: 12}, {Key: "seat:2"},
		}}),
		wire.AppendSubscribed(nil, wire.Subscribed{V: 42, N: 40, Log: "abc", Events: [][]byte{one}, Gap: &wire.Missing{After: 3, Upto: 41}}),
		wire.AppendSubscribed(nil, wire.Subscribed{Log: "abc", Attrs: wire.AppendAttributes(nil, attributes)}),
		wire.AppendAttrs(nil, 42, wire.AppendAttributes(nil, nil)),
		wire.AppendAttrs(nil, 42, wire.AppendAttributes(nil, attributes)),
		wire.AppendChanges(nil, 42, []*streams.Event{
			event("@", streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: "k", Value: "v\n"}}),
			event("@", streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: "k"}}),
		}),
		wire.AppendPulled(nil, [][]byte{one, one}, 42, true),
		wire.AppendHistory(nil, [][]byte{
			wire.AppendMessage(nil, &wire.Message{N: 2, Recalled: true}),
			wire.AppendMessage(nil, &wire.Message{N: 1, V: 1, Seq: 5, TS: 6, User: "alice", ClientID: id, Posted: posted, EditedTS: 9}),
			wire.AppendMessage(nil, &wire.Message{N: 3, V: 4, Seq: 5, TS: 6, User: "alice", Posted: posted, Reactions: []wire.Reaction{
				{Emoji: "\"", Count: 1}, {Emoji: "👍", Count: 2, Mine: true},
			}}),
			wire.AppendMessage(nil, &wire.Message{N: 4, V: 5, Seq: 6, TS: 7, User: "alice", Posted: posted, Expired: true}),
		}, false),
		wire.AppendGroup(nil, "g1", info),
		wire.AppendMembers(nil, page, 99),
		wire.AppendMembers(nil, &streampb.MemberPage{}, 99),
		wire.AppendPresence(nil, &streampb.Presence{Online: 3, Members: 9}),
		wire.AppendWelcome(nil, wire.Welcome{User: "alice", Session: "s", Time: 5, Heartbeat: 25e9, PullLimit: 1000, Version: "dev"}),
		wire.AppendBlock(nil, "g1", "general", [][]byte{one, one}),
		wire.AppendGap(nil, "g1", "general", wire.Missing{After: 3, Upto: 9}),
		wire.AppendLeft(nil, "g1"),
		wire.AppendRemoved(nil, "g1", "secret"),
		wire.AppendSignal(nil, "g1", "general", "alice", &wire.Hint{Type: "typing", Data: []byte("{\n\"on\" : true }")}),
		wire.AppendBye(nil, "restarting", 1200e6),
	}
	var out []byte
	for _, line := range lines {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		out = append(append(out, line...), '\n')
	}
	golden(t, "frames.golden", out)
}

func written(name wire.Name) *wire.Command { return &wire.Command{Name: name, Group: "g1"} }

var attributes = []*streampb.Attribute{
	{Key: "a", Value: "1", V: 3, User: "alice", Ts: 5},
	{Key: "b=+", Value: "\"", V: 4, User: "bob", Ts: 6, AutoDelete: true, Protected: true},
}

func groupEvents() []*streams.Event {
	channel := &streampb.ChannelSettings{
		Write: streampb.Role_ROLE_MODERATOR, WriteGroups: []string{"staff"}, ReadGroups: []string{"jury"}, SlowModeMs: 5, Position: 3, Category: "Talk",
	}
	return []*streams.Event{
		event("general", streams.Reacted{Reacted: &streampb.Reacted{Target: 12, Emoji: "👍", Count: 3}}),
		event("general", streams.Unreacted{Unreacted: &streampb.Unreacted{Target: 12, Emoji: "👍", Count: 0}}),
		event("general", streams.Pinned{Pinned: &streampb.Pinned{Target: 12}}),
		event("general", streams.Unpinned{Unpinned: &streampb.Unpinned{Target: 12}}),
		event("@", streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "room", Name: "Over", Settings: settings(), Deleted: true, Reason: "idle"}}),
		event("@", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{
			Channel: "secret", Kind: "private", Name: "Secret", Members: []string{"alice", "bob"}, Settings: channel,
		}}),
		event("@", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{
			Channel: "t", Kind: "thread", Parent: &streampb.Parent{Channel: "general", N: 7},
		}}),
		event("@", streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{
			Channel: "secret", Name: "Secret", Settings: channel, Added: []string{"carol"}, Removed: []string{"bob"},
		}}),
		event("@", streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: "secret", Reason: "done"}}),
		event("@", streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: "seat:1", Value: "bob", AutoDelete: true, Protected: true}}),
		event("@", streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: "seat:1", Reason: "gone"}}),
	}
}

func memberEvents() []*streams.Event {
	census := &streampb.Census{Members: 9, Owners: 1}
	state := &streampb.MemberState{Role: streampb.Role_ROLE_MEMBER, UserGroups: []string{"jury", "staff"}}
	payloads := []streams.Payload{
		streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: "bob", Role: streampb.Role_ROLE_MEMBER, Census: census, State: state, Invite: "i1"}},
		streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: "bob", Census: census, State: &streampb.MemberState{}}},
		streams.RoleChanged{RoleChanged: &streampb.RoleChanged{Member: "bob", Role: streampb.Role_ROLE_MODERATOR, Reason: "why", Census: census, State: state}},
		streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: "bob", Until: 1794000060123, Reason: "why", State: state}},
		streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: "bob", Until: -1, State: state}},
		streams.MemberUnmuted{MemberUnmuted: &streampb.MemberUnmuted{Member: "bob", Reason: "why", State: state}},
		streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: "bob", Until: 1794000060123, Reason: "why", Census: census}},
		streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: "bob"}},
		streams.MemberUnbanned{MemberUnbanned: &streampb.MemberUnbanned{Member: "bob", Reason: "why"}},
		streams.MemberKicked{MemberKicked: &streampb.MemberKicked{Member: "bob", Reason: "why", Census: census}},
		streams.JoinRequested{JoinRequested: &streampb.JoinRequested{Member: "bob", Reason: "please"}},
		streams.JoinDeclined{JoinDeclined: &streampb.JoinDeclined{Member: "bob", Reason: "no"}},
		streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: "bob", State: state}},
		streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: "bob"}},
		streams.InviteCreated{InviteCreated: &streampb.InviteCreated{Invite: "i1", Hash: []byte("never told"), Expires: 5, Uses: 6}},
		streams.InviteRevoked{InviteRevoked: &streampb.InviteRevoked{Invite: "i1"}},
		streams.PeerBlocked{PeerBlocked: &streampb.PeerBlocked{Member: "bob"}},
		streams.PeerUnblocked{PeerUnblocked: &streampb.PeerUnblocked{Member: "bob"}},
	}
	events := make([]*streams.Event, 0, len(payloads))
	for _, p := range payloads {
		events = append(events, event("@members", p))
	}
	return events
}

func TestEveryEventOfMembersSaysWhomItIsAbout(t *testing.T) {
	for _, e := range memberEvents() {
		if line := wire.AppendEvent(nil, e); !bytes.Contains(line, []byte(`"member":"`)) || bytes.Contains(line, []byte("never")) {
			t.Errorf("%s", line)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := event("general", streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: bytes.Repeat([]byte("x"), 100)}})
	e.ClientID = id
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = wire.AppendEvent(buffer[:0], e)
	}
}
