package session_test

import (
	"testing"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
)

// Of a direct group that does not exist a stranger is told what strangers are
// told of groups that do.
func TestWhetherADirectGroupExistsIsToldToNobodyElse(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	eve := connected(t, s.Edge, "eve")
	for _, command := range []string{"subscribe", "history", "attrs"} {
		want := eve.answer(eve.ask(command, `{"group":"g","channel":"main"}`))
		f := eve.answer(eve.ask(command, `{"group":"`+string(streams.DirectGroup("alice", "bob"))+`","channel":"main"}`))
		if f.Error == nil || want.Error == nil || *f.Error != *want.Error || f.Error.Code != "not_member" {
			t.Errorf("%s: %+v, want %+v", command, f.Error, want.Error)
		}
	}
}

// Where the history begins with the join, changes of attributes do so too: who
// asks for older ones gets how it all stands.
func TestAttributesSinceTheJoin(t *testing.T) {
	s := edgetest.New(t)
	s.OK(t, "dev:alice", "create_group", `{"group":"g","kind":"community","name":"G","settings":{"history":"since_join"}}`)
	s.OK(t, "dev:alice", "attr_set", `{"group":"g","set":{"deep-key":"under the floor"}}`)
	s.OK(t, "dev:alice", "attr_set", `{"group":"g","del":["deep-key"]}`)
	s.OK(t, "dev:bob", "join", `{"group":"g"}`)
	v := s.OK(t, "dev:alice", "attr_set", `{"group":"g","set":{"key":"value"}}`)["v"].(float64)
	bob := connected(t, s.Edge, "bob")
	bob.keep = true
	if all := bob.ok("attrs", `{"group":"g","after":0}`); all["full"] != true || all["v"] != v {
		t.Errorf("since before the join: %v", all)
	}
	clean(t, "since before the join", bob.heard...)
	if changes := bob.ok("attrs", `{"group":"g","after":3}`); changes["full"] != false || len(changes["changes"].([]any)) != 1 {
		t.Errorf("since the join: %v", changes)
	}
	if changes := s.OK(t, "dev:alice", "attrs", `{"group":"g","after":0}`); changes["full"] != false {
		t.Errorf("the owner is told %v", changes)
	}
}
