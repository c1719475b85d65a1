package session_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
)

// It proves that an edge notices that the log is another one than it follows,
// with the new owner's fence or, where that got lost, with its beacon; that it
// sends its readers away, and that those who come back with the old log's name
// are told the new one and begin anew.
func TestReadersAreToldThatTheLogIsAnother(t *testing.T) {
	for _, by := range []string{"the fence", "a beacon"} {
		t.Run(by, func(t *testing.T) {
			lose := new(atomic.Bool)
			s := edgetest.New(t, func(c *edge.Config) {
				c.Lose = func(msg *nats.Msg) bool { return lose.Load() && strings.HasPrefix(msg.Subject, "throng.live.") }
			})
			s.Group(t)
			s.Send(t, "one", "two", "three")
			c := connected(t, s.Edge, "bob")
			old := c.ok("subscribe", `{"group":"g","channel":"c","after":0}`)
			if old["log"] != "log-of-the-test" || len(old["events"].([]any)) != 3 {
				t.Fatalf("before: %v", old)
			}
			s.Owner.Stop()
			s.Owner.Name("log-of-the-test") // the same: nobody is sent away
			s.Owner.Start()
			s.Send(t, "four")
			(&follower{t: t, v: 3}).until(c, 4)

			s.Owner.Stop()
			s.Owner.Name("another")
			if by == "a beacon" {
				lose.Store(true)
			}
			s.Owner.Start()
			if by == "a beacon" {
				s.Owner.Beacon()
			}
			if code := c.closed(); code != websocket.CloseServiceRestart {
				t.Errorf("closed with %d, want %d", code, websocket.CloseServiceRestart)
			}
			back := connected(t, s.Edge, "bob").ok("subscribe", `{"group":"g","channel":"c","after":2,"log":"log-of-the-test"}`)
			if back["log"] != "another" || back["v"] != 4.0 || len(back["events"].([]any)) != 0 || back["gap"] != nil {
				t.Errorf("with the old log's name: %v, want the new one and nothing behind the old after", back)
			}
		})
	}
}
