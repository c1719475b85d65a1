//go:build linux

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// reader follows one channel, over the edges in turn. What it misses it pulls;
// when its connection is lost it subscribes again after what it has.
type reader struct {
	name   string
	user   string
	at     Channel
	listen []string
	edge   int
	clock  func() time.Duration
	drowsy *drowsy // nil for one that always reads

	mu            sync.Mutex
	subscriptions []*Subscription     // guarded by mu
	have          map[uint64]struct{} // guarded by mu: every v it got
	complete      uint64              // guarded by mu: all up to it are in have
}

// pingEvery and pingWithin tell a frozen edge from a quiet one.
const (
	pingEvery  = time.Second
	pingWithin = 3 * time.Second
)

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.session(ctx)
		r.edge = (r.edge + 1) % len(r.listen)
		pause(ctx, 100*time.Millisecond)
	}
}

// got notes an event; mu is held.
func (r *reader) got(v uint64) {
	r.have[v] = struct{}{}
	for {
		if _, known := r.have[r.complete+1]; !known {
			return
		}
		r.complete++
	}
}

// through is up to where the reader has everything.
func (r *reader) through() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complete
}

// patience is how long an answer may take that the server gives within d.
func (r *reader) patience(d time.Duration) time.Duration {
	if r.drowsy != nil {
		d += napAtMost + time.Second // it reads late, and may have much before it
	}
	return d
}

// session is one connection with one subscription.
func (r *reader) session(ctx context.Context) {
	var s *Subscription          // set by the answer, before anything that follows it
	gaps := make(chan Range, 64) // never closed; when it is full the connection is given up
	lost := make(chan struct{})  // closed when a gap found no place
	lose := sync.OnceFunc(func() { close(lost) })
	demand := func(g Range) {
		select {
		case gaps <- g:
		default:
			lose()
		}
	}
	conn, err := dialSlow(ctx, r.listen[r.edge], r.user, func(f frame) {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case s == nil:
		case f.Gap != nil:
			g := f.Gap.Range
			s.Feed = append(s.Feed, Delivery{Gap: &g})
			demand(g)
		case f.Block != nil:
			for _, e := range f.Block.Events {
				s.Feed = append(s.Feed, Delivery{Event: e.entry()})
				r.got(e.V)
			}
		}
	}, r.drowsy)
	if err != nil {
		return
	}
	defer conn.close()
	after, began := r.through(), r.clock()
	var answer struct {
		V      uint64      `json:"v"`
		Log    string      `json:"log"`
		Events []wireEvent `json:"events"`
		Gap    *Range      `json:"gap"`
	}
	w, err := conn.begin("subscribe", map[string]any{"group": r.at.Group, "channel": r.at.Name, "after": after}, func(f frame) {
		if f.Error != nil || json.Unmarshal(f.OK, &answer) != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		s = &Subscription{Began: began, Ended: r.clock(), After: after, V: answer.V, Log: answer.Log, Gap: answer.Gap, Answer: entries(answer.Events)}
		r.subscriptions = append(r.subscriptions, s)
		for _, e := range s.Answer {
			r.got(e.V)
		}
		if s.Gap != nil {
			demand(*s.Gap)
		}
	})
	if err != nil || w.end(nil, r.patience(answerWithin)) != nil {
		return
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case g := <-gaps:
			if !r.pull(ctx, conn, s, g) {
				return
			}
		case <-ping.C:
			if conn.call("ping", map[string]any{}, nil, r.patience(pingWithin)) != nil {
				return
			}
		case <-conn.ended:
			return
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// page is the answer to pull.
type page struct {
	Events  []wireEvent `json:"events"`
	Through uint64      `json:"through"`
	More    bool        `json:"more"`
}

// pull fills a gap.
func (r *reader) pull(ctx context.Context, conn *connection, s *Subscription, g Range) bool {
	for g.After < g.Upto {
		var p page
		err := conn.call("pull", map[string]any{"group": r.at.Group, "channel": r.at.Name, "after": g.After, "upto": g.Upto, "limit": 500}, &p, r.patience(answerWithin))
		var refused *refusal
		if errors.As(err, &refused) {
			if !pause(ctx, 100*time.Millisecond) {
				return false
			}
			continue
		}
		if err != nil || p.Through <= g.After {
			return false
		}
		r.mu.Lock()
		s.Pulled = append(s.Pulled, entries(p.Events)...)
		for _, e := range p.Events {
			r.got(e.V)
		}
		r.mu.Unlock()
		g.After = p.Through
	}
	return true
}
