package session

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/transport"
)

const (
	// mostTick is the coarsest the deadlines of sessions are looked at.
	mostTick = 100 * time.Millisecond
	// turnWrites is how many sessions a pass writes to before it looks for
	// answers that wait and lets others run.
	turnWrites = 128
	// serveWrites is how many messages one session is written before others get
	// their turn.
	serveWrites = 16
)

// shard serves some of the sessions: one goroutine writes to them, closes them
// and keeps their time, another reads them. There are as many as cores.
type shard struct {
	// Static after newShard.
	endpoint *Endpoint
	poller   *transport.Poller
	tick     time.Duration
	wakeup   chan struct{} // 1: ready or moved is not empty; never closed

	waiting atomic.Bool // ready is not empty

	mu        sync.Mutex
	ready     []*session                // with something to do, each once; bounded by the sessions. Guarded by mu
	moved     []*audience               // with new events, each once; guarded by mu
	audiences map[*hub.Source]*audience // those with members; guarded by mu, written by run alone
	spare     []*session                // guarded by mu; the other buffer of ready

	// Owned by run.
	wheel *transport.Wheel[*session]
	now   time.Time // of this turn
	out   outbox
	batch batches

	ends sync.WaitGroup // sessions that finish; run waits for them
}

func newShard(e *Endpoint) (*shard, error) {
	poller, err := transport.NewPoller()
	if err != nil {
		return nil, err
	}
	tick := max(min(mostTick, e.config.Heartbeat/5), time.Millisecond)
	now := time.Now()
	return &shard{
		endpoint: e, poller: poller, tick: tick, now: now,
		wakeup:    make(chan struct{}, 1),
		audiences: map[*hub.Source]*audience{},
		wheel:     transport.NewWheel[*session](tick, now),
	}, nil
}

// run serves until ctx ends. The sessions must have ended before.
func (sh *shard) run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return sh.poller.Run(ctx) })
	tasks.Go(func() error {
		tick := time.NewTicker(sh.tick)
		defer tick.Stop()
		for {
			select {
			case <-sh.wakeup:
				sh.now = time.Now()
			case <-tick.C:
				sh.now = time.Now()
				sh.wheel.Advance(sh.now, sh.onTime)
			case <-ctx.Done():
				sh.ends.Wait()
				return nil
			}
			sh.turn()
		}
	})
	return tasks.Wait()
}

// enqueue makes run serve a session. Any goroutine may call it.
func (sh *shard) enqueue(s *session) {
	sh.mu.Lock()
	sh.ready = append(sh.ready, s)
	sh.waiting.Store(true)
	sh.mu.Unlock()
	sh.signal()
}

// Wake is called by the hub when a channel moved.
func (sh *shard) Wake(source *hub.Source) {
	sh.mu.Lock()
	a := sh.audiences[source]
	if a == nil || a.moved {
		sh.mu.Unlock()
		return
	}
	a.moved = true
	sh.moved = append(sh.moved, a)
	sh.mu.Unlock()
	sh.signal()
}

func (sh *shard) signal() {
	select {
	case sh.wakeup <- struct{}{}:
	default: // it is awake
	}
}

// turn does what there is to do now. What is left or comes meanwhile is another
// turn's, so that time is kept under any load.
func (sh *shard) turn() {
	sh.serveReady()
	sh.mu.Lock()
	moved := sh.moved
	sh.moved = nil
	for _, a := range moved {
		a.moved = false // what comes from here on is another pass's, or this one's already
	}
	sh.mu.Unlock()
	for _, a := range moved {
		sh.pass(a)
	}
	sh.mu.Lock()
	more := len(sh.ready) > 0 || len(sh.moved) > 0
	sh.mu.Unlock()
	if more {
		sh.signal()
	}
}

// serveReady serves the sessions that are waiting now.
func (sh *shard) serveReady() {
	if !sh.waiting.Load() {
		return
	}
	sh.mu.Lock()
	ready := sh.ready
	sh.ready, sh.spare = sh.spare[:0], nil
	sh.waiting.Store(false)
	sh.mu.Unlock()
	for i, s := range ready {
		sh.serve(s)
		if i%turnWrites == turnWrites-1 {
			runtime.Gosched()
		}
	}
	clear(ready)
	if cap(ready) <= 4096 { // else it was a storm
		sh.mu.Lock()
		sh.spare = ready[:0]
		sh.mu.Unlock()
	}
}
