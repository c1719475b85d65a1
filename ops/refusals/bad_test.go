package refusals_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/wire"
)

// unique numbers what must not be there twice.
var unique atomic.Int64

// numbered is a name of n bytes that nobody has used.
func numbered(n int) string { return fmt.Sprintf("n%0*d", n-1, unique.Add(1)) }

// limited makes what the limits are about.
func limited(t *testing.T) *deployment {
	t.Helper()
	d := deploy(t)
	for _, g := range []string{"g", "small", "slow"} {
		d.must(t, "alice", "create_group", `{"group":"`+g+`","kind":"community","name":"x"}`)
		d.must(t, "alice", "create_channel", `{"group":"`+g+`","channel":"c","kind":"public","name":"x"}`)
	}
	d.must(t, "alice", "create_channel", `{"group":"g","channel":"p","kind":"private","name":"x"}`)
	d.must(t, "alice", "update_group", `{"group":"small","settings":{"max_message_bytes":10}}`)
	d.must(t, "alice", "member", `{"group":"g","user":"bob","do":"add"}`)
	d.must(t, "alice", "send", `{"group":"g","channel":"c","body":"x"}`)
	return d
}

// It proves that every limit is taken at its very edge and refused one above,
// with its code, over every way.
func TestLimitsAtTheirEdge(t *testing.T) {
	d := limited(t)
	for name, way := range ways {
		ask := way(t, d, "dev:alice")
		for _, l := range limits {
			object := func(n int) string {
				return strings.ReplaceAll(l.object(n), "$X", fmt.Sprintf("x%d", unique.Add(1)))
			}
			if a := ask(t, string(l.command), object(l.most)); a.code() != "" {
				t.Errorf("%s, %d, over %s: %s", l.name, l.most, name, a)
			}
			if l.code == "" {
				continue
			}
			if a := ask(t, string(l.command), object(l.most+1)); a.code() != l.code {
				t.Errorf("%s, %d, over %s: %s, want %s", l.name, l.most+1, name, a, l.code)
			}
		}
	}
}

// gathering is a limit of how much there may be, filled by many commands.
type gathering struct {
	name    string
	command string
	object  string // with the number of the command
	most    int
}

// It proves the same of what gathers: pins, emojis, invitations, attributes.
func TestWhatGathersIsLimited(t *testing.T) {
	d := limited(t)
	for range 101 {
		d.must(t, "alice", "send", `{"group":"g","channel":"c","body":"x"}`)
	}
	for _, g := range []gathering{
		{"pins", "pin", `{"group":"g","channel":"c","n":%d}`, 100},
		{"emojis", "react", `{"group":"g","channel":"c","n":1,"emoji":"e%d"}`, 50},
		{"invitations", "invite", `{"group":"g","code":"the code %d"}`, 1000},
	} {
		var wait sync.WaitGroup
		slots := make(chan struct{}, 32)
		for i := range g.most {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				if a := d.nats(t, "dev:alice", g.command, fmt.Sprintf(g.object, i+1)); a.code() != "" {
					t.Errorf("%s, %d: %s", g.name, i+1, a)
				}
			})
		}
		wait.Wait()
		for name, way := range ways {
			if a := way(t, d, "dev:alice")(t, g.command, fmt.Sprintf(g.object, g.most+1)); a.code() != "conflict" {
				t.Errorf("%s, %d, over %s: %s", g.name, g.most+1, name, a)
			}
		}
	}
	for i := range 100 {
		d.must(t, "alice", "attr_set", `{"group":"g","channel":"c","set":`+several(100, "{", fmt.Sprint(`"k`, i, `-%d":""`), "}")+`}`)
	}
	for name, way := range ways {
		if a := way(t, d, "dev:alice")(t, "attr_set", `{"group":"g","channel":"c","set":{"one-more":""}}`); a.code() != "conflict" {
			t.Errorf("10,001 attributes over %s: %s", name, a)
		}
	}
}

// wrong are values by what they are, of which a field takes one at most.
var wrong = map[string][]string{
	"string": {`"Zq zq"`}, "number": {`7`, `-1`, `0.5`, `1e400`, `9007199254740992`, `99999999999999999999`},
	"list": {`[[]]`}, "object": {`{"x":{}}`}, "flag": {`true`},
}

func jsonKind(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "string"
	case '[':
		return "list"
	case '{':
		return "object"
	case 't', 'f':
		return "flag"
	}
	return "number"
}

// spoilt returns a command's object with each of its fields spoilt in each way
// that must be refused.
func spoilt(t *testing.T, f form, object string) (all []string) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &fields); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	with := func(name string, value json.RawMessage) {
		changed := maps.Clone(fields)
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
		members := make([]string, 0, len(changed))
		for _, name := range slices.Sorted(maps.Keys(changed)) {
			members = append(members, fmt.Sprintf("%q:%s", name, changed[name]))
		}
		all = append(all, "{"+strings.Join(members, ",")+"}")
	}
	for name, value := range fields {
		if name == "data" || name == "group" && f.command == wire.CreateGroup {
			continue // anything, and nothing as well
		}
		for other, values := range wrong {
			for _, v := range values {
				if other == "object" && f.command == wire.Edit && name == "body" {
					continue // which type the message has is for its owner to say
				}
				if other != jsonKind(value) || other == "number" && v != "7" {
					with(name, json.RawMessage(v))
				}
			}
		}
		if jsonKind(value) == "string" && name != "body" && name != "name" && name != "reason" && name != "code" && name != "emoji" {
			with(name, json.RawMessage(`"a.b >*"`))
			with(name, json.RawMessage(`""`))
		}
		if name == "group" || name == "n" || name == "emoji" || name == "do" || name == "body" || name == "kind" {
			with(name, nil)
		}
	}
	return all
}

// It proves that no command does anything with a field of the wrong type, a
// number out of range, a name that is none, or without a field it needs, and
// that every way says so in the same words; and that fields nobody knows change
// nothing.
func TestBadInputIsRefused(t *testing.T) {
	d := limited(t)
	w := &world{secrets: secrets{id: "bad"}, asker: "alice", insider: "bob", owner: "carol", named: "dave", invite: "i", revoked: "r"}
	asks := map[string]way{}
	for name, way := range ways {
		asks[name] = way(t, d, "dev:alice")
	}
	asked := 0
	for _, f := range forms {
		if f.command == wire.Connect || f.command == wire.Ping {
			continue
		}
		object := f.fill(w, "nothing", "c", 1)
		for name, ask := range asks {
			known := ask(t, string(f.command), object)
			more := ask(t, string(f.command), object[:len(object)-1]+`,"nobody_knows":[1]}`)
			if f.about("$G") && (more.String() != known.String() || known.code() == "bad_request" && name == "WebSocket") {
				t.Errorf("%s %s over %s: %s, and with an unknown field %s", f.command, object, name, known, more)
			}
		}
		for _, bad := range spoilt(t, f, object) {
			asked++
			for name, ask := range asks {
				if a := ask(t, string(f.command), bad); a.code() != "bad_request" {
					t.Errorf("%s %s over %s: %s", f.command, bad, name, a)
				}
			}
		}
	}
	t.Logf("%d spoilt objects over each way", asked)
}

// It proves that bytes that are no UTF-8, objects that are none, and what is too
// large are refused by each way in its manner.
func TestBadBytesAreRefused(t *testing.T) {
	d := limited(t)
	large := func(n int) string {
		return fmt.Sprintf(`{"nobody_knows":"%s"}`, letters(n-len(`{"nobody_knows":""}`)))
	}
	for name, ask := range map[string]func(body string) answer{
		"HTTP": func(body string) answer { return d.http(t, "dev:alice", "ping", body) },
		"NATS": func(body string) answer { return d.nats(t, "dev:alice", "ping", body) },
	} {
		for body, code := range map[string]string{
			"{\"x\":\"\xff\"}": "bad_request", "{\"\xc0\xaf\":1}": "bad_request", `[]`: "bad_request", `null`: "bad_request", `{`: "bad_request",
			`{} {}`: "bad_request", large(wire.MaxFrame): "", large(wire.MaxFrame + 1): "too_large",
		} {
			if a := ask(body); a.code() != code {
				t.Errorf("%.40q over %s: %s, want %s", body, name, a, code)
			}
		}
	}
	frame := func(n int) string { return `{"id":9,"ping":` + large(n-len(`{"id":9,"ping":}`)) + `}` }
	for text, code := range map[string]int{
		"{\"id\":9,\"ping\":{\"x\":\"\xff\"}}": websocket.CloseInvalidFramePayloadData, frame(wire.MaxFrame + 1): websocket.CloseMessageTooBig, frame(wire.MaxFrame): 0,
	} {
		s := d.connect(t, "dev:alice")
		s.mu.Lock()
		if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		s.mu.Unlock()
		if code == 0 {
			if a := s.ask(t, "ping", `{}`); a.code() != "" {
				t.Errorf("%.40q: %s", text, a)
			}
			continue
		}
		<-s.ended
		if !websocket.IsCloseError(s.why, code) {
			t.Errorf("%.40q ended with %v, want %d", text, s.why, code)
		}
	}
}
