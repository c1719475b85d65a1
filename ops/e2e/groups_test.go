//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams/streamtest"
)

// step is one command and what its answer must have: the members of a JSON
// object, "*" for any value, or the code of a refusal.
type step struct{ user, command, object, want string }

// matches reports whether got has all that want has.
func matches(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for key, value := range w {
			if inner, has := g[key]; !ok || !has || !matches(value, inner) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, matches)
	case string:
		return w == "*" || want == got
	}
	return want == got
}

func (s step) check(t testing.TB, how string, answer object) {
	t.Helper()
	if !strings.HasPrefix(s.want, "{") {
		if answer.code() != s.want {
			t.Fatalf("%s over %s: %s %s: %v, want %s", s.user, how, s.command, s.object, answer, s.want)
		}
		return
	}
	var want any
	if err := json.Unmarshal([]byte(s.want), &want); err != nil {
		t.Fatalf("%s: %v", s.want, err)
	}
	if !matches(want, map[string]any(answer)) {
		t.Fatalf("%s over %s: %s %s: %v, want %s", s.user, how, s.command, s.object, answer, s.want)
	}
}

// ways does commands over each of the three ways in turn.
type ways struct {
	t       testing.TB
	listen  string
	conn    *nats.Conn
	clients map[string]*client
	turn    int
}

func (w *ways) do(s step) object {
	w.t.Helper()
	w.turn++
	object, kept := s.object, object(nil)
	switch w.turn % 3 {
	case 0:
		_, kept = post(w.t, w.listen, "dev:"+s.user, s.command, object)
		s.check(w.t, "HTTP", kept)
	case 1:
		msg, err := w.conn.RequestMsg(natsCommand(s.command, "dev:"+s.user, object), patience)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := json.Unmarshal(msg.Data, &kept); err != nil {
			w.t.Fatal(err)
		}
		s.check(w.t, "NATS", kept)
	default:
		c := w.clients[s.user]
		if c == nil {
			c = connect(w.t, w.listen, "dev:"+s.user)
			w.clients[s.user] = c
		}
		err := c.call(s.command, json.RawMessage(object), &kept)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			kept = map[string]any{"error": map[string]any{"code": refused.Code}}
		} else if err != nil {
			w.t.Fatal(err)
		}
		s.check(w.t, "WebSocket", kept)
	}
	return kept
}

// Every command on groups does over HTTP, NATS and WebSocket alike what the
// contract says, against a deployment with all its parts.
func TestEveryCommandOnGroups(t *testing.T) {
	s := startServer(t)
	conn, _ := s.connect(t)
	later := time.Now().Add(time.Hour).UnixMilli()
	for round := range 3 { // each command by each way
		w := &ways{t: t, listen: s.listen, conn: conn, clients: map[string]*client{}, turn: round}
		all := func(steps []step) {
			for _, step := range steps {
				step.object = strings.ReplaceAll(step.object, `"g"`, fmt.Sprintf(`"g%d"`, round))
				step.want = strings.ReplaceAll(step.want, `"g"`, fmt.Sprintf(`"g%d"`, round))
				w.do(step)
			}
		}
		all(membersAndModeration(later))
		all(channelsAndActs())
		all(attributesOfGroups())
		invitations(w, fmt.Sprintf("i%d", round))
		directChats(w, fmt.Sprintf("ann%d", round), fmt.Sprintf("ben%d", round))
		all([]step{
			{"dave", "delete_group", `{"group":"g"}`, `not_member`},
			{"alice", "delete_group", `{"group":"g","reason":"over"}`, `{"group":"g","v":"*"}`},
			{"alice", "group", `{"group":"g"}`, `not_found`},
			{"alice", "history", `{"group":"g","channel":"c"}`, `not_found`},
			{"alice", "create_group", `{"group":"g","kind":"room","name":"again"}`, `conflict`},
		})
		for _, name := range slices.Sorted(maps.Keys(w.clients)) {
			w.clients[name].close()
		}
	}
}

func membersAndModeration(later int64) []step {
	return []step{
		{"alice", "create_group", `{"group":"g","kind":"community","name":"G","settings":{"join":"open"}}`, `{"group":"g","v":"*"}`},
		{"alice", "create_channel", `{"group":"g","channel":"c","kind":"public","name":"C"}`, `{"channel":"c","v":"*"}`},
		{"bob", "group", `{"group":"g"}`, `not_member`},
		{"bob", "join", `{"group":"g"}`, `{"v":"*"}`},
		{"bob", "join", `{"group":"g"}`, `{"already":true}`},
		{"carol", "join", `{"group":"g"}`, `{"v":"*"}`},
		{"bob", "send", `{"group":"g","channel":"c","body":"hello"}`, `{"n":1}`},
		{"bob", "member", `{"group":"g","user":"carol","do":"mute"}`, `forbidden`},
		{"alice", "member", `{"group":"g","user":"bob","do":"role","role":"moderator"}`, `{"v":"*"}`},
		{"bob", "member", fmt.Sprintf(`{"group":"g","user":"carol","do":"mute","until":%d,"reason":"loud"}`, later), `{"v":"*"}`},
		{"carol", "send", `{"group":"g","channel":"c","body":"no"}`, `muted`},
		{"carol", "signal", `{"group":"g","channel":"c","type":"typing"}`, `muted`},
		{"bob", "members", `{"group":"g"}`, fmt.Sprintf(`{"count":3,"members":[{"user":"alice","role":"owner"},{"user":"bob","role":"moderator"},{"user":"carol","muted_until":%d}]}`, later)},
		{"bob", "member", `{"group":"g","user":"carol","do":"unmute"}`, `{"v":"*"}`},
		{"carol", "signal", `{"group":"g","channel":"c","type":"typing","data":{"on":true}}`, `{}`},
		{"carol", "send", `{"group":"g","channel":"c","body":"yes"}`, `{"n":2}`},
		{"bob", "member", `{"group":"g","user":"alice","do":"kick"}`, `forbidden`},
		{"bob", "member", `{"group":"g","user":"carol","do":"kick"}`, `{"v":"*"}`},
		{"carol", "history", `{"group":"g","channel":"c"}`, `not_member`},
		{"bob", "member", `{"group":"g","user":"carol","do":"ban"}`, `{"v":"*"}`},
		{"carol", "join", `{"group":"g"}`, `banned`},
		{"bob", "member", `{"group":"g","user":"carol","do":"unban"}`, `{"v":"*"}`},
		{"carol", "history", `{"group":"g","channel":"c"}`, `not_member`},
		{"alice", "member", `{"group":"g","user":"carol","do":"add"}`, `{"v":"*"}`},
		{"alice", "member", `{"group":"g","user":"carol","do":"user_groups","user_groups":["jury"]}`, `{"v":"*"}`},
		{"alice", "leave", `{"group":"g"}`, `forbidden`},
		{"alice", "update_group", `{"group":"g","name":"H","settings":{"mute_all":true}}`, `{"group":"g","v":"*"}`},
		{"carol", "send", `{"group":"g","channel":"c","body":"no"}`, `muted`},
		{"alice", "update_group", `{"group":"g","settings":{"mute_all":false,"join":"approval"}}`, `{"v":"*"}`},
		{"eve", "join", `{"group":"g"}`, `{"v":"*","waiting":true}`},
		{"eve", "group", `{"group":"g"}`, `not_member`},
		{"alice", "member", `{"group":"g","user":"eve","do":"decline"}`, `{"v":"*"}`},
		{"alice", "group", `{"group":"g"}`, `{"name":"H","role":"owner","members":3,"roles":{"owner":1,"moderator":1,"member":1},"settings":{"join":"approval"},"channels":[{"channel":"c","kind":"public"}]}`},
	}
}

func channelsAndActs() []step {
	return []step{
		{"alice", "create_channel", `{"group":"g","channel":"p","kind":"private","name":"P","members":["bob"],"read_groups":["jury"]}`, `{"channel":"p","v":"*"}`},
		{"carol", "pull", `{"group":"g","channel":"p","after":0}`, `{"events":[],"more":false}`},
		{"alice", "update_channel", `{"group":"g","channel":"p","settings":{"read_groups":[]}}`, `{"channel":"p","v":"*"}`},
		{"carol", "pull", `{"group":"g","channel":"p","after":0}`, `not_found`},
		{"carol", "send", `{"group":"g","channel":"p","body":"x"}`, `not_found`},
		{"carol", "group", `{"group":"g"}`, `{"channels":[{"channel":"c"}]}`},
		{"bob", "send", `{"group":"g","channel":"p","body":"x"}`, `{"n":1}`},
		{"alice", "update_channel", `{"group":"g","channel":"p","remove":["bob"]}`, `{"channel":"p","v":"*"}`},
		{"bob", "history", `{"group":"g","channel":"p"}`, `not_found`},
		{"alice", "create_channel", `{"group":"g","channel":"t","kind":"thread","parent":{"channel":"c","n":1}}`, `{"channel":"t","v":"*"}`},
		{"carol", "send", `{"group":"g","channel":"t","body":"in the thread"}`, `{"n":1}`},
		{"alice", "update_channel", `{"group":"g","channel":"c","name":"News","write":"moderator"}`, `{"channel":"c","v":"*"}`},
		{"carol", "send", `{"group":"g","channel":"c","body":"no"}`, `forbidden`},
		{"carol", "react", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`, `{"v":"*"}`},
		{"bob", "react", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`, `{"v":"*"}`},
		{"bob", "react", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`, `{"v":"*","already":true}`},
		{"carol", "history", `{"group":"g","channel":"c","after":0,"limit":1}`, `{"messages":[{"n":1,"reactions":{"👍":{"count":2,"mine":true}}}]}`},
		{"carol", "unreact", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`, `{"v":"*"}`},
		{"carol", "history", `{"group":"g","channel":"c","after":0,"limit":1}`, `{"messages":[{"n":1,"reactions":{"👍":{"count":1,"mine":false}}}]}`},
		{"carol", "pin", `{"group":"g","channel":"c","n":1}`, `forbidden`},
		{"bob", "pin", `{"group":"g","channel":"c","n":1}`, `{"v":"*"}`},
		{"carol", "group", `{"group":"g"}`, `{"channels":[{"channel":"c","name":"News","pinned":[1],"settings":{"write":"moderator"}},{"channel":"t","kind":"thread","parent":{"channel":"c","n":1}}]}`},
		{"bob", "unpin", `{"group":"g","channel":"c","n":1}`, `{"v":"*"}`},
		{"bob", "recall", `{"group":"g","channel":"c","n":2}`, `{"v":"*"}`},
		{"carol", "history", `{"group":"g","channel":"c"}`, `{"messages":[{"n":2,"recalled":true},{"n":1,"body":"hello"}]}`},
		{"alice", "delete_channel", `{"group":"g","channel":"t","reason":"done"}`, `{"channel":"t","v":"*"}`},
		{"carol", "history", `{"group":"g","channel":"t"}`, `not_found`},
	}
}

func attributesOfGroups() []step {
	return []step{
		{"carol", "attr_set", `{"group":"g","set":{"k":"v"}}`, `forbidden`},
		{"bob", "attr_set", `{"group":"g","set":{"a":"1","b":"2"},"if_v":{"a":0}}`, `{"v":"*"}`},
		{"bob", "attr_set", `{"group":"g","set":{"a":"3"},"if_v":{"a":0}}`, `conflict`},
		{"carol", "attrs", `{"group":"g"}`, `{"full":true,"attrs":{"a":{"value":"1","user":"bob"},"b":{"value":"2"}}}`},
		{"bob", "attr_set", `{"group":"g","set":{"c":"3"},"del":["b"]}`, `{"v":"*"}`},
		{"carol", "attrs", `{"group":"g","after":0,"keys":["b"]}`, `{"full":false,"changes":[{"op":"set","key":"b","value":"2"},{"op":"del","key":"b"}]}`},
		{"bob", "attr_set", `{"group":"g","channel":"c","set":{"topic":"news"}}`, `{"v":"*"}`},
		{"carol", "attrs", `{"group":"g","channel":"c"}`, `{"full":true,"attrs":{"topic":{"value":"news"}}}`},
	}
}

// invitations are made, used once and revoked.
func invitations(w *ways, group string) {
	w.do(step{"alice", "create_group", `{"group":"` + group + `","kind":"community","name":"I","settings":{"join":"invite"}}`, `{"v":"*"}`})
	id := newID()
	object := `{"group":"` + group + `","uses":1,"expires_in_ms":600000,"client_id":"` + id + `"}`
	made := w.do(step{"alice", "invite", object, `{"invite":"*","code":"*","v":"*"}`})
	if again := w.do(step{"alice", "invite", object, `{"invite":"*","duplicate":true}`}); again["code"] != nil || again["invite"] != made["invite"] {
		w.t.Errorf("again: %v, first %v", again, made)
	}
	w.do(step{"bob", "join", `{"group":"` + group + `"}`, `forbidden`})
	w.do(step{"bob", "join", `{"group":"` + group + `","code":"nonsense"}`, `forbidden`})
	w.do(step{"bob", "join", `{"group":"` + group + `","code":"` + made.text("code") + `"}`, `{"v":"*"}`})
	w.do(step{"carol", "join", `{"group":"` + group + `","code":"` + made.text("code") + `"}`, `forbidden`})
	second := w.do(step{"alice", "invite", `{"group":"` + group + `","code":"my own code"}`, `{"invite":"*","code":"my own code"}`})
	w.do(step{"alice", "invite_revoke", `{"group":"` + group + `","invite":"` + second.text("invite") + `"}`, `{"v":"*"}`})
	w.do(step{"carol", "join", `{"group":"` + group + `","code":"my own code"}`, `forbidden`})
}

// directChats are made by the first message, and stopped by a block.
func directChats(w *ways, ann, ben string) {
	first := w.do(step{ann, "send", `{"user":"` + ben + `","body":"hi"}`, `{"group":"*","n":1}`})
	group := first.text("group")
	w.do(step{ben, "create_group", `{"kind":"direct","user":"` + ann + `"}`, `{"group":"` + group + `","already":true}`})
	w.do(step{ben, "send", `{"user":"` + ann + `","body":"hi yourself"}`, `{"group":"` + group + `","n":2}`})
	w.do(step{ann, "history", `{"group":"` + group + `","channel":"main"}`, `{"messages":[{"n":2,"user":"` + ben + `"},{"n":1,"user":"` + ann + `"}]}`})
	w.do(step{"eve", "history", `{"group":"` + group + `","channel":"main"}`, `not_member`})
	w.do(step{"eve", "join", `{"group":"` + group + `"}`, `forbidden`})
	w.do(step{ben, "block", `{"user":"` + ann + `"}`, `{"group":"` + group + `","v":"*"}`})
	w.do(step{ann, "send", `{"group":"` + group + `","channel":"main","body":"still there?"}`, `forbidden`})
	w.do(step{ben, "unblock", `{"user":"` + ann + `"}`, `{"v":"*"}`})
	w.do(step{ann, "send", `{"group":"` + group + `","channel":"main","body":"back"}`, `{"n":3}`})
	w.do(step{ann, "leave", `{"group":"` + group + `"}`, `forbidden`})
}

// A private channel is there on another edge for who is in it, and for nobody
// else, as soon as the log says so.
func TestPrivateChannelOverTwoEdges(t *testing.T) {
	s := startServer(t)
	other := startEdge(t, s.nats)
	newGroup(t, s.listen, "g1", "general", "alice", "bob", "carol")
	outside, inside := connect(t, other, "dev:bob"), connect(t, other, "dev:carol")
	from := outside.mustSubscribe(t, "g1", "@", nil).V
	inside.mustSubscribe(t, "g1", "@", nil)
	must(t, s.listen, "dev:alice", "create_channel", object{"group": "g1", "channel": "vault", "kind": "private", "name": "Gold", "members": []string{"carol"}})
	outside.await(t, "g1", "@", from+1)
	inside.await(t, "g1", "@", from+1)
	hidden, told := outside.mustPull(t, "g1", "@", from, from+1)[0], inside.mustPull(t, "g1", "@", from, from+1)[0]
	if hidden.Kind != "hidden" || contains(hidden.raw, "vault") || told.Kind != "channel_create" {
		t.Errorf("outside %s, inside %s", hidden.raw, told.raw)
	}
	inside.mustSubscribe(t, "g1", "vault", nil)
	outside.refused(t, "not_found", "subscribe", object{"group": "g1", "channel": "vault"})
	must(t, s.listen, "dev:alice", "send", object{"group": "g1", "channel": "vault", "body": "x"})
	inside.await(t, "g1", "vault", 1)
	must(t, s.listen, "dev:alice", "update_channel", object{"group": "g1", "channel": "vault", "remove": []string{"carol"}})
	streamtest.Eventually(t, patience, "carol is out", func() bool {
		return isRefusal(inside.call("history", object{"group": "g1", "channel": "vault"}, nil), "not_found")
	})
}

// Who subscribes in an open room is in it, on any edge; who is banned is out at
// once and stays out.
func TestRoomsTakeWhoSubscribes(t *testing.T) {
	s := startServer(t)
	other := startEdge(t, s.nats)
	must(t, s.listen, "dev:alice", "create_group", object{"group": "r1", "kind": "room", "name": "R"})
	must(t, s.listen, "dev:alice", "create_channel", object{"group": "r1", "channel": "stage", "kind": "public", "name": "Stage"})
	bob := connect(t, other, "dev:bob")
	bob.refused(t, "not_member", "history", object{"group": "r1", "channel": "stage"})
	bob.mustSubscribe(t, "r1", "stage", nil)
	bob.must(t, "send", object{"group": "r1", "channel": "stage", "body": "here"})
	bob.await(t, "r1", "stage", 1)
	bob.must(t, "attr_set", object{"group": "r1", "set": object{"seat": "bob"}})
	must(t, s.listen, "dev:alice", "member", object{"group": "r1", "user": "bob", "do": "ban"})
	streamtest.Eventually(t, patience, "bob is out", func() bool {
		return isRefusal(bob.call("history", object{"group": "r1", "channel": "stage"}, nil), "not_member")
	})
	bob.refused(t, "banned", "subscribe", object{"group": "r1", "channel": "stage"})
}
