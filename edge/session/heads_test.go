package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/throng/throng/edge/edgetest"
)

// It proves that a channel in mode hint sends how far it is and no events, one
// frame for however much happened, not more than one a second, with mentions
// marked; and that it can be switched back.
func TestModeHintSendsHeads(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	s.OK(t, "dev:alice", "create_channel", map[string]any{"group": "g", "channel": "d", "kind": "public", "name": "D"})
	c := connected(t, s.Edge, "bob")
	for _, channel := range []string{"c", "d"} {
		c.ok("subscribe", fmt.Sprintf(`{"group":"g","channel":"%s","mode":"hint"}`, channel))
	}
	heads := func() map[string]head {
		t.Helper()
		f := c.push()
		if f.Heads == nil {
			t.Fatalf("got %+v, want heads", f)
		}
		by := map[string]head{}
		for _, h := range f.Heads {
			by[h.Channel] = h
		}
		return by
	}
	s.Send(t, "one")
	if got := heads(); got["c"] != (head{"g", "c", 1, 1, false, 0}) || len(got) != 1 {
		t.Errorf("after one message: %v", got)
	}
	began := time.Now()
	for i := range 20 {
		s.Send(t, fmt.Sprint("more ", i))
	}
	s.OK(t, "dev:alice", "send", map[string]any{"group": "g", "channel": "d", "body": "hi", "mentions": []string{"bob"}})
	got := heads()
	if got["c"] != (head{"g", "c", 21, 21, false, 0}) || got["d"] != (head{"g", "d", 1, 1, true, 0}) {
		t.Errorf("after many: %v", got)
	}
	if waited := time.Since(began); waited < 700*time.Millisecond {
		t.Errorf("the second frame came %v after the first", waited)
	}
	answer := c.ok("subscribe", `{"group":"g","channel":"c","after":20}`)
	if answer["v"] != 21.0 || len(answer["events"].([]any)) != 1 {
		t.Errorf("subscribed again: %v", answer)
	}
	s.Send(t, "pushed")
	for {
		if f := c.push(); f.Block != nil {
			if f.Block.Channel != "c" || f.Block.Events[0].V != 22 {
				t.Errorf("got %+v", f.Block)
			}
			return
		}
	}
}

// It proves that who follows @members by hints is told how many they are, once a
// second however many come.
func TestHintsOfMembersHaveTheirCount(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	c := connected(t, s.Edge, "bob")
	start := c.ok("subscribe", `{"group":"g","channel":"@members","mode":"hint"}`)
	for i := range 30 {
		s.OK(t, fmt.Sprintf("dev:new%d", i), "join", map[string]any{"group": "g"})
	}
	var last head
	frames := 0
	for last.V < uint64(start["v"].(float64))+30 {
		f := c.push()
		if len(f.Heads) != 1 {
			t.Fatalf("got %+v, want a head", f)
		}
		last = f.Heads[0]
		frames++
	}
	if last.Members != last.V || frames > 10 { // nobody has left
		t.Errorf("%d frames, the last %+v", frames, last)
	}
}
