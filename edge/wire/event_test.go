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
	var out []byte
	for _, e := range events {
		line := wire.AppendEvent(nil, e)
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
		Channels: []*streampb.ChannelInfo{{Channel: "@", V: 3}, {Channel: "general", Kind: "public", Name: "General", V: 9, N: 8}},
	}
	page := &streampb.MemberPage{After: "bob", Count: 3, Members: []*streampb.MemberInfo{
		{User: "alice", Role: streampb.Role_ROLE_OWNER, Joined: 5}, {User: "bob", Role: streampb.Role_ROLE_MEMBER, Joined: 6},
	}}
	lines := [][]byte{
		wire.AppendOK(nil, 7, wire.Empty()),
		wire.AppendError(nil, 7, streams.RejectRetry(streams.Muted, 1500e6, "muted")),
		wire.AppendRefusal(nil, streams.Reject(streams.NotFound, "no such group")),
		wire.AppendWritten(nil, wire.Send, "g1", result),
		wire.AppendWritten(nil, wire.Edit, "g1", &streampb.Result{V: 43, N: 40, Seq: 1}),
		wire.AppendWritten(nil, wire.Join, "g1", already),
		wire.AppendWritten(nil, wire.CreateGroup, "g1", &streampb.Result{V: 1}),
		wire.AppendWritten(nil, wire.CreateChannel, "g1", &streampb.Result{V: 2, Channel: "general"}),
		wire.AppendSubscribed(nil, wire.Subscribed{V: 42, N: 40, Log: "abc", Events: [][]byte{one}, Gap: &wire.Missing{After: 3, Upto: 41}}),
		wire.AppendSubscribed(nil, wire.Subscribed{Log: "abc", Attrs: true}),
		wire.AppendPulled(nil, [][]byte{one, one}, 42, true),
		wire.AppendHistory(nil, [][]byte{
			wire.AppendMessage(nil, &wire.Message{N: 2, Recalled: true}),
			wire.AppendMessage(nil, &wire.Message{N: 1, V: 1, Seq: 5, TS: 6, User: "alice", ClientID: id, Posted: posted, EditedTS: 9}),
		}, false),
		wire.AppendGroup(nil, "g1", info),
		wire.AppendMembers(nil, page),
		wire.AppendMembers(nil, &streampb.MemberPage{}),
		wire.AppendWelcome(nil, wire.Welcome{User: "alice", Session: "s", Time: 5, Heartbeat: 25e9, PullLimit: 1000, Version: "dev"}),
		wire.AppendBlock(nil, "g1", "general", [][]byte{one, one}),
		wire.AppendGap(nil, "g1", "general", wire.Missing{After: 3, Upto: 9}),
		wire.AppendLeft(nil, "g1"),
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

func BenchmarkAppendEvent(b *testing.B) {
	e := event("general", streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: bytes.Repeat([]byte("x"), 100)}})
	e.ClientID = id
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = wire.AppendEvent(buffer[:0], e)
	}
}
