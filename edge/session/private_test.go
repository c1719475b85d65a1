package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// marks are what nobody outside the private channel may ever read a byte of.
var marks = []string{"vault", "Vault of gold", "thread-in-v", "under the floor", "deep-key", "carol-only"}

// vault makes a private channel of alice and carol in group g, with a thread.
func vault(t *testing.T, s *edgetest.Stack) {
	t.Helper()
	s.OK(t, "dev:carol", "join", `{"group":"g"}`)
	s.OK(t, "dev:alice", "create_channel", `{"group":"g","channel":"vault","kind":"private","name":"Vault of gold","members":["carol"],"category":"carol-only"}`)
	s.OK(t, "dev:alice", "create_channel", `{"group":"g","channel":"thread-in-v","kind":"thread","parent":"vault"}`)
	for _, channel := range []string{"vault", "thread-in-v"} {
		s.OK(t, "dev:alice", "send", `{"group":"g","channel":"`+channel+`","body":"under the floor"}`)
		s.OK(t, "dev:alice", "attr_set", `{"group":"g","channel":"`+channel+`","set":{"deep-key":"under the floor"}}`)
	}
}

// clean fails if anything of the private channel was heard.
func clean(t *testing.T, what string, heard ...string) {
	t.Helper()
	for _, text := range heard {
		for _, mark := range marks {
			if strings.Contains(text, mark) {
				t.Errorf("%s: %q in %s", what, mark, text)
			}
		}
	}
}

// reads are the commands that read a channel, or pass something on there.
var reads = []string{
	`subscribe {"group":"g","channel":"%s"}`, `subscribe {"group":"g","channel":"%s","after":0}`, `subscribe {"group":"g","channel":"%s","tail":9}`,
	`pull {"group":"g","channel":"%s","after":0}`, `history {"group":"g","channel":"%s"}`, `history {"group":"g","channel":"%s","after":0}`,
	`attrs {"group":"g","channel":"%s"}`, `attrs {"group":"g","channel":"%s","after":0}`, `signal {"group":"g","channel":"%s","type":"t"}`,
}

func TestNobodyOutsideReadsAByteOfAPrivateChannel(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	bob, carol := connected(t, s.Edge, "bob"), connected(t, s.Edge, "carol")
	bob.keep = true
	outside := &follower{t: t}
	early := bob.ok("subscribe", `{"group":"g","channel":"@","tail":10}`) // before there is anything private
	outside.v = uint64(early["v"].(float64))
	vault(t, s)
	inside := &follower{t: t}
	inside.begun(carol, carol.ask("subscribe", `{"group":"g","channel":"@","after":0}`))
	for _, command := range []string{
		`update_channel {"group":"g","channel":"vault","add":["dave"],"read_groups":["carol-only"]}`,
		`update_channel {"group":"g","channel":"thread-in-v","name":"under the floor"}`,
		`create_channel {"group":"g","channel":"open","kind":"public","name":"Open to all"}`,
		`delete_channel {"group":"g","channel":"thread-in-v"}`,
	} {
		name, object, _ := strings.Cut(command, " ")
		s.OK(t, "dev:alice", name, object)
	}
	v := uint64(len(s.Owner.Events("g", "@")))
	outside.until(bob, v)
	inside.until(carol, v)
	hidden := 0
	for _, e := range outside.events {
		if e.Kind == "hidden" {
			hidden++
		}
	}
	if hidden != 5 || outside.events[len(outside.events)-2].Kind != "channel_create" {
		t.Errorf("%d hidden events: %+v", hidden, outside.events)
	}
	for _, e := range inside.events {
		if e.Kind == "hidden" {
			t.Errorf("hidden from who is in it: %+v", e)
		}
	}
	for _, channel := range []string{"vault", "thread-in-v", "nothing-there"} {
		for _, read := range reads {
			name, object, _ := strings.Cut(fmt.Sprintf(read, channel), " ")
			f := bob.answer(bob.ask(name, object))
			if f.Error == nil || f.Error.Code != "not_found" || f.Error.Message != "there is no such channel" {
				t.Errorf("%s %s: %+v %s", name, object, f.Error, f.OK)
			}
		}
	}
	for _, object := range []string{`{"group":"g","channel":"@","after":0}`, `{"group":"g","channel":"@","tail":99}`} {
		again := bob.ok("subscribe", object)
		if n := len(again["events"].([]any)); n != int(v) {
			t.Errorf("%s: %d events of %d", object, n, v)
		}
	}
	bob.ok("pull", `{"group":"g","channel":"@","after":0}`)
	bob.ok("attrs", `{"group":"g"}`)
	clean(t, "outside", bob.heard...)
	_, pulled := s.Post(t, "dev:bob", "pull", `{"group":"g","channel":"@","after":0}`)
	clean(t, "outside over HTTP", fmt.Sprint(pulled))
	if _, pulled = s.Post(t, "dev:carol", "pull", `{"group":"g","channel":"@","after":0}`); !strings.Contains(fmt.Sprint(pulled), "Vault of gold") {
		t.Errorf("inside over HTTP: %v", pulled)
	}
	if messages := carol.ok("history", `{"group":"g","channel":"vault"}`)["messages"].([]any); len(messages) != 1 {
		t.Errorf("inside: %v", messages)
	}
}

func TestWhoComesIntoAPrivateChannelReadsItAndWhoIsTakenOutDoesNot(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	vault(t, s)
	bob := connected(t, s.Edge, "bob")
	bob.ok("subscribe", `{"group":"g","channel":"c"}`)
	enter := map[string]string{
		"named":   `update_channel {"group":"g","channel":"vault","add":["bob"]}`,
		"grouped": `member {"group":"g","user":"bob","do":"user_groups","user_groups":["jury"]}`,
	}
	leave := map[string][]string{
		"named":   {`update_channel {"group":"g","channel":"vault","remove":["bob"]}`},
		"grouped": {`member {"group":"g","user":"bob","do":"user_groups","user_groups":[]}`, `update_channel {"group":"g","channel":"vault","read_groups":[]}`},
	}
	s.OK(t, "dev:alice", "update_channel", `{"group":"g","channel":"vault","read_groups":["jury"]}`)
	act := func(command string) {
		t.Helper()
		name, object, _ := strings.Cut(command, " ")
		s.OK(t, "dev:alice", name, object)
	}
	for _, how := range []string{"named", "grouped"} {
		for _, out := range leave[how] {
			act(enter[how])
			for _, channel := range []string{"vault", "thread-in-v"} {
				bob.ok("subscribe", `{"group":"g","channel":"`+channel+`","after":0}`)
			}
			if ok := bob.ok("pull", `{"group":"g","channel":"@","after":0}`); !strings.Contains(fmt.Sprint(ok), "Vault of gold") {
				t.Errorf("%s: %v", how, ok)
			}
			act(out)
			gone := map[string]bool{}
			for len(gone) < 2 {
				p := bob.push()
				if p.Conversation == nil || !p.Conversation.Left || p.Conversation.Group != "g" || p.Conversation.Channel == "" {
					t.Fatalf("%s, %s: %+v", how, out, p)
				}
				gone[p.Conversation.Channel] = true
			}
			bob.keep, bob.heard = true, nil
			act(`send {"group":"g","channel":"vault","body":"under the floor"}`)
			act(`send {"group":"g","channel":"c","body":"to all"}`)
			for p := bob.push(); p.Block == nil; p = bob.push() {
			}
			if code := bob.code("history", `{"group":"g","channel":"vault"}`); code != "not_found" {
				t.Errorf("%s, %s: %s", how, out, code)
			}
			bob.ok("pull", `{"group":"g","channel":"@","after":0}`)
			clean(t, how+" "+out, bob.heard...)
			bob.keep = false
		}
	}
}

// By seq, nothing of a channel is delivered to a member behind the event that
// removed them, however fast it goes on.
func TestDeliveryEndsAtTheEventThatRemoves(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	vault(t, s)
	stop := load(t, s, 2)
	for round, command := range []string{
		`member {"group":"g","user":"bob","do":"kick"}`, `member {"group":"g","user":"bob","do":"ban"}`,
	} {
		if round > 0 {
			s.OK(t, "dev:bob", "join", `{"group":"g"}`)
		}
		bob := connected(t, s.Edge, "bob")
		f := &follower{t: t}
		f.v = uint64(bob.ok("subscribe", `{"group":"g","channel":"c"}`)["v"].(float64))
		f.until2(bob, f.v+20)
		name, object, _ := strings.Cut(command, " ")
		s.OK(t, "dev:alice", name, object)
		for {
			p := bob.push()
			if p.Conversation != nil {
				if p.Conversation.Group != "g" || p.Conversation.Channel != "" {
					t.Errorf("%+v", p.Conversation)
				}
				break
			}
			f.take(p)
		}
		members := s.Owner.Events("g", "@members")
		removed := members[len(members)-1].Seq
		if last := s.Owner.Events("g", "c")[f.v-1].Seq; last > removed {
			t.Errorf("%s: seq %d was delivered behind %d", command, last, removed)
		}
		if code := bob.code("subscribe", `{"group":"g","channel":"c"}`); code != "not_member" {
			t.Errorf("%s: %s", command, code)
		}
	}
	stop()
}

// until2 takes what is pushed until at least v.
func (f *follower) until2(c *client, v uint64) {
	f.t.Helper()
	for f.v < v {
		f.take(c.push())
	}
}

func TestWhatIsDeletedEndsForAll(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	vault(t, s)
	carol := connected(t, s.Edge, "carol")
	for _, channel := range []string{"c", "vault", "thread-in-v"} {
		carol.ok("subscribe", `{"group":"g","channel":"`+channel+`"}`)
	}
	s.OK(t, "dev:alice", "delete_channel", `{"group":"g","channel":"vault"}`)
	gone := map[string]bool{}
	for len(gone) < 2 {
		gone[carol.push().Conversation.Channel] = true
	}
	if !gone["vault"] || !gone["thread-in-v"] {
		t.Errorf("gone: %v", gone)
	}
	if code := carol.code("history", `{"group":"g","channel":"thread-in-v"}`); code != "not_found" {
		t.Errorf("a thread of what was deleted: %s", code)
	}
	s.OK(t, "dev:alice", "delete_group", `{"group":"g"}`)
	if p := carol.push(); p.Conversation == nil || p.Conversation.Channel != "" || !p.Conversation.Left {
		t.Errorf("got %+v", p)
	}
	for _, command := range []string{"pull", "history", "attrs", "subscribe"} {
		streamtest.Eventually(t, patience, command+" finds nothing", func() bool {
			f := carol.answer(carol.ask(command, `{"group":"g","channel":"c","after":0}`))
			return f.Error != nil && f.Error.Code == "not_found"
		})
	}
}

func TestHistorySinceTheJoin(t *testing.T) {
	s := edgetest.New(t)
	s.OK(t, "dev:alice", "create_group", `{"group":"g","kind":"community","name":"G","settings":{"history":"since_join"}}`)
	s.OK(t, "dev:alice", "create_channel", `{"group":"g","channel":"c","kind":"public","name":"C"}`)
	for i := range 30 {
		s.Send(t, fmt.Sprint("under the floor ", i))
	}
	s.OK(t, "dev:alice", "recall", `{"group":"g","channel":"c","n":30}`)
	s.OK(t, "dev:bob", "join", `{"group":"g"}`)
	for i := range 20 {
		s.Send(t, fmt.Sprint("after ", i))
	}
	bob := connected(t, s.Edge, "bob")
	bob.keep = true
	for _, command := range []string{
		`subscribe {"group":"g","channel":"c","after":0}`, `subscribe {"group":"g","channel":"c","tail":40}`, `pull {"group":"g","channel":"c","after":0}`,
	} {
		name, object, _ := strings.Cut(command, " ")
		events := bob.ok(name, object)["events"].([]any)
		hidden := 0
		for _, e := range events {
			if e.(map[string]any)["kind"] == "hidden" {
				hidden++
			}
		}
		if len(events)-hidden != 20 {
			t.Errorf("%s: %d events, %d hidden", command, len(events), hidden)
		}
	}
	for object, want := range map[string]int{
		`{"group":"g","channel":"c"}`: 20, `{"group":"g","channel":"c","after":0}`: 20, `{"group":"g","channel":"c","after":0,"limit":7}`: 7,
		`{"group":"g","channel":"c","after":5,"limit":7}`: 7, `{"group":"g","channel":"c","before":20}`: 0, `{"group":"g","channel":"c","before":33}`: 2,
		`{"group":"g","channel":"c","after":45,"limit":7}`: 5,
	} {
		ok := bob.ok("history", object)
		messages := ok["messages"].([]any)
		if len(messages) != want || ok["more"] != (want == 7) {
			t.Errorf("%s: %d messages, more %v, want %d", object, len(messages), ok["more"], want)
		}
		for _, m := range messages {
			if m.(map[string]any)["n"].(float64) <= 30 {
				t.Errorf("%s: %v", object, m)
			}
		}
	}
	clean(t, "since the join", bob.heard...)
	if messages := s.OK(t, "dev:alice", "history", `{"group":"g","channel":"c","after":0}`)["messages"].([]any); len(messages) != 50 {
		t.Errorf("the owner reads %d", len(messages))
	}
}

func TestExpiredMessagesSayNothing(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	s.OK(t, "dev:alice", "send", `{"group":"g","channel":"c","body":"under the floor","ttl_ms":1}`)
	s.OK(t, "dev:alice", "send", `{"group":"g","channel":"c","body":"stays","ttl_ms":3600000}`)
	s.OK(t, "dev:alice", "edit", `{"group":"g","channel":"c","n":1,"body":"deeper under the floor"}`)
	s.OK(t, "dev:alice", "edit", `{"group":"g","channel":"c","n":2,"body":"stays longer"}`)
	streamtest.Eventually(t, patience, "the time has passed", func() bool {
		return s.Owner.Events("g", "c")[0].Payload.(streams.MessagePosted).GetExpires() <= time.Now().UnixMilli()
	})
	bob := connected(t, s.Edge, "bob")
	bob.keep = true
	for _, command := range []string{`subscribe {"group":"g","channel":"c","after":0}`, `pull {"group":"g","channel":"c","after":0}`} {
		name, object, _ := strings.Cut(command, " ")
		events := bob.ok(name, object)["events"].([]any)
		first, second := events[0].(map[string]any), events[1].(map[string]any)
		if first["expired"] != true || first["body"] != "" || second["body"] != "stays" {
			t.Errorf("%s: %v", command, events)
		}
		gone, stays := events[2].(map[string]any), events[3].(map[string]any)
		if gone["expired"] != true || gone["body"] != "" || gone["target"] != 1.0 || stays["body"] != "stays longer" {
			t.Errorf("%s, of the edits: %v", command, events)
		}
	}
	messages := bob.ok("history", `{"group":"g","channel":"c","after":0}`)["messages"].([]any)
	if first := messages[0].(map[string]any); len(first) != 2 || first["expired"] != true || first["n"] != 1.0 {
		t.Errorf("history: %v", messages)
	}
	clean(t, "expired", bob.heard...)
}
