package session_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
)

// deaf starts an edge that can be made to lose all live events.
func deaf(t *testing.T) (s *edgetest.Stack, lose *atomic.Bool) {
	t.Helper()
	lose = new(atomic.Bool)
	s = edgetest.New(t, func(c *edge.Config) {
		c.Lose = func(msg *nats.Msg) bool {
			return lose.Load() && strings.HasPrefix(msg.Subject, "throng.live.") && !strings.HasSuffix(msg.Subject, ".@fence")
		}
	})
	s.Group(t)
	return s, lose
}

// sendElsewhere sends through another edge, so that no answer tells this one.
func sendElsewhere(t *testing.T, s *edgetest.Stack, count int) {
	t.Helper()
	other, stop := s.Start(t)
	defer stop()
	for range count {
		edgetest.Post(t, other, "dev:alice", "send", `{"group":"g","channel":"c","body":"x"}`)
	}
}

func TestWhatWasLostBeforeATakeoverIsFilledBehindIt(t *testing.T) {
	s, lose := deaf(t)
	c, f := connected(t, s.Edge, "bob"), &follower{t: t}
	f.resume(c, "")
	lose.Store(true)
	sendElsewhere(t, s, 3)
	s.Owner.Stop()
	s.Owner.Start() // its fence arrives
	lose.Store(false)
	s.Send(t, "of the next term")
	f.until(c, 4)
}

func TestResyncFillsWhatNoEventUncovers(t *testing.T) {
	s, lose := deaf(t)
	c, f := connected(t, s.Edge, "bob"), &follower{t: t}
	f.resume(c, "")
	lose.Store(true)
	sendElsewhere(t, s, 3)
	s.Edge.Resync() // as after a reconnect to NATS
	f.until(c, 3)
}

func TestRecalledBodiesAreInNoLaterAnswer(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	s.Send(t, "first secret", "kept")
	s.OK(t, "dev:alice", "edit", `{"group":"g","channel":"c","n":1,"body":"second secret"}`)
	s.OK(t, "dev:alice", "recall", `{"group":"g","channel":"c","n":1}`)
	cold, stop := s.Start(t)
	defer stop()
	for name, e := range map[string]*edge.Edge{"warm": s.Edge, "cold": cold} {
		c := connected(t, e, "bob")
		for _, command := range []string{"pull", "history", "subscribe"} {
			ok := c.ok(command, `{"group":"g","channel":"c","after":0}`)
			text, err := json.Marshal(ok)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "secret") || !strings.Contains(string(text), "kept") || !strings.Contains(string(text), `"recalled":true`) {
				t.Errorf("%s on a %s edge: %s", command, name, text)
			}
		}
	}
}
