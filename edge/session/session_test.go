package session_test

import (
	"fmt"
	"testing"

	"github.com/throng/throng/edge/edgetest"
)

func TestFirstStory(t *testing.T) {
	s := edgetest.New(t)
	alice, bob := connected(t, s.Edge, "alice"), connected(t, s.Edge, "bob")
	alice.ok("create_group", `{"group":"g","kind":"community","name":"G"}`)
	alice.ok("create_channel", `{"group":"g","channel":"c","kind":"public","name":"C"}`)
	if code := bob.code("subscribe", `{"group":"g","channel":"c"}`); code != "not_member" {
		t.Errorf("got %s", code)
	}
	if code := bob.code("subscribe", `{"group":"other","channel":"c"}`); code != "not_found" {
		t.Errorf("got %s", code)
	}
	bob.ok("join", `{"group":"g"}`)
	if code := bob.code("subscribe", `{"group":"g","channel":"other"}`); code != "not_found" {
		t.Errorf("got %s", code)
	}
	if ok := bob.ok("subscribe", `{"group":"g","channel":"c"}`); fmt.Sprint(ok["v"], ok["n"], ok["events"]) != "0 0 []" {
		t.Errorf("got %v", ok)
	}
	if ok := alice.ok("send", `{"group":"g","channel":"c","body":"hi"}`); fmt.Sprint(ok["v"], ok["n"], ok["duplicate"]) != "1 1 <nil>" {
		t.Errorf("got %v", ok)
	}
	f := follower{t: t}
	f.take(bob.push())
	if len(f.events) != 1 || string(f.events[0].Body) != `"hi"` || f.events[0].User != "alice" {
		t.Errorf("got %+v", f.events)
	}
	alice.ok("edit", `{"group":"g","channel":"c","n":1,"body":"ho"}`)
	ok := bob.ok("history", `{"group":"g","channel":"c"}`)
	message := ok["messages"].([]any)[0].(map[string]any)
	if message["body"] != "ho" || message["edited_ts"] == nil || message["n"] != 1.0 {
		t.Errorf("got %v", ok)
	}
	ok = bob.ok("pull", `{"group":"g","channel":"c","after":0}`)
	if len(ok["events"].([]any)) != 2 || ok["through"] != 2.0 || ok["more"] != false {
		t.Errorf("got %v", ok)
	}
	ok = bob.ok("group", `{"group":"g"}`)
	if len(ok["channels"].([]any)) != 1 || ok["role"] != "member" || ok["members"] != 2.0 {
		t.Errorf("got %v", ok)
	}
	if ok = bob.ok("members", `{"group":"g"}`); ok["count"] != 2.0 {
		t.Errorf("got %v", ok)
	}
}
