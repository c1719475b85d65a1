package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
)

// Events come in bursts, so that many frames are one write, and a socket takes a
// part of it: what it took is not said again, and nothing is left out.
func TestAWriteThatIsTakenInPartGoesOnWhereItWas(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) { c.RingEvents = 8192 })
	s.Group(t)
	const count, burst = 2000, 250
	readers := make([]*client, 4)
	followers := make([]follower, len(readers))
	for i := range readers {
		readers[i], followers[i].t = narrow(t, s.Edge, "bob"), t
		readers[i].ok("subscribe", `{"group":"g","channel":"c"}`)
	}
	sender := connected(t, s.Edge, "alice")
	body := strings.Repeat("x", 2000)
	for sent := 0; sent < count; sent += burst {
		ids := make([]uint64, burst)
		for i := range ids {
			ids[i] = sender.ask("send", fmt.Sprintf(`{"group":"g","channel":"c","body":"%s"}`, body))
		}
		for _, id := range ids {
			sender.okAnswer(id)
		}
	}
	for i, c := range readers {
		followers[i].until(c, count)
		if len(followers[i].gaps) > 0 {
			t.Errorf("reader %d was told gaps %v", i, followers[i].gaps)
		}
	}
}
