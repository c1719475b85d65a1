package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throng/throng/edge/edgetest"
)

// A thread goes with the channel it hangs from, though no event says so of it.
func TestAThreadGoesWithItsParent(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	for _, parent := range []string{"c", "other"} {
		if parent != "c" {
			s.OK(t, "dev:alice", "create_channel", `{"group":"g","channel":"`+parent+`","kind":"public","name":"Other"}`)
		}
		s.OK(t, "dev:alice", "create_channel", `{"group":"g","channel":"thread-`+parent+`","kind":"thread","parent":"`+parent+`"}`)
		s.OK(t, "dev:alice", "send", `{"group":"g","channel":"thread-`+parent+`","body":"`+parent+`"}`)
	}
	bob := connected(t, s.Edge, "bob")
	for _, channel := range []string{"thread-c", "thread-other"} {
		bob.ok("subscribe", `{"group":"g","channel":"`+channel+`"}`)
	}
	s.OK(t, "dev:alice", "delete_channel", `{"group":"g","channel":"c"}`)
	if told := bob.push().Conversation; told == nil || !told.Left || told.Channel != "thread-c" || told.Group != "g" {
		t.Errorf("told %+v", told)
	}
	other, _ := s.Start(t) // which hears of it from the owner's snapshot alone
	for _, c := range []*client{bob, connected(t, other, "carol")} {
		if c != bob {
			c.ok("join", `{"group":"g"}`)
		}
		for _, read := range reads {
			name, object, _ := strings.Cut(fmt.Sprintf(read, "thread-c"), " ")
			f := c.answer(c.ask(name, object))
			if f.Error == nil || f.Error.Code != "not_found" || f.Error.Message != "there is no such channel" {
				t.Errorf("%s %s: %+v %s", name, object, f.Error, f.OK)
			}
		}
		c.ok("pull", `{"group":"g","channel":"thread-other","after":0}`)
	}
	s.OK(t, "dev:alice", "send", `{"group":"g","channel":"thread-other","body":"stays"}`)
	if p := bob.push(); p.Block == nil || p.Block.Channel != "thread-other" {
		t.Errorf("got %+v, want the other thread's message", p)
	}
}
