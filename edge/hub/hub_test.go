package hub_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// follower counts how it is woken.
type follower struct{ woken atomic.Int64 }

func (f *follower) Wake(*hub.Source)                   { f.woken.Add(1) }
func (f *follower) Ended(*hub.Subscription, hub.Ended) {}
func (f *follower) Signal(*hub.Subscription, []byte)   {}

// More users come at once than a view remembers without subscriptions: each is
// let in, and who follows is not forgotten for who comes later.
func TestMoreUsersSubscribeThanAreRememberedWithout(t *testing.T) {
	const users = 200
	s := edgetest.New(t)
	s.Group(t)
	for i := range users {
		s.OK(t, fmt.Sprintf("dev:u%d", i), "join", map[string]any{"group": "g"})
	}
	s.Send(t, "one", "two", "three") // to be read from the log, which gives the others time to come
	conn, registry := s.Connection(t), prometheus.NewRegistry()
	h := hub.New(hub.Config{
		Conn: conn, JS: s.JS, Owner: owner.New(conn, 1), Logger: streamtest.Logger(t), Metrics: hub.NewMetrics(registry),
		Loader:  backfill.New(backfill.Config{Conn: conn, Partitions: 1, Metrics: backfill.NewMetrics(registry)}),
		Hidden:  hidden.New(hidden.Config{Conn: conn, JS: s.JS, Partitions: 1, Logger: streamtest.Logger(t)}),
		Members: 8,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	view, err := h.Open(t.Context(), hub.Reader{}, "g")
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	followers := make([]follower, users)
	var all sync.WaitGroup
	for i := range users {
		all.Go(func() {
			_, _, err := view.Subscribe(t.Context(), hub.Interest{
				Reader: hub.Reader{User: streams.User(fmt.Sprintf("u%d", i))}, Channel: "c", Follower: &followers[i], Crowd: &followers[i],
				Tail: wire.Option{Given: true, Value: 3},
			})
			if err != nil {
				t.Errorf("user %d: %v", i, err)
			}
		})
	}
	all.Wait()
	s.Send(t, "to all")
	streamtest.Eventually(t, 10*time.Second, "everybody is told", func() bool {
		for i := range followers {
			if followers[i].woken.Load() == 0 {
				return false
			}
		}
		return true
	})
	if _, _, err := view.Subscribe(t.Context(), hub.Interest{Reader: hub.Reader{User: "stranger"}, Channel: "c", Follower: &follower{}, Crowd: &follower{}}); err == nil {
		t.Error("a stranger was let in")
	}
}
