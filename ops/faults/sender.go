//go:build linux

package faults

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throng/throng/streams"
)

// sender writes to a channel through whichever edge takes it, each message
// until it is acknowledged, in order. All fields but acked are owned by run.
type sender struct {
	Channel
	user      string
	listen    []string
	edge      int // it tries first, then the next
	window    int // messages under way at once
	twin      bool
	forbidden bool
	pace      time.Duration // between messages
	padding   int           // bytes more in each body
	clock     func() time.Duration
	acked     *atomic.Int64 // of all senders

	conns int // made so far
	sends []*Send
}

// acknowledgement is the answer to send.
type acknowledgement struct {
	V         uint64 `json:"v"`
	N         uint64 `json:"n"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
}

// settled reports whether a send needs no further attempt.
func (s *Send) settled() bool {
	for _, a := range s.Attempts {
		if a.Outcome == Acked || a.final() {
			return true
		}
	}
	return false
}

// run sends until stop is closed, and returns when everything is settled or ctx
// ends.
func (s *sender) run(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		conn, err := dial(ctx, s.listen[s.edge], s.user, nil)
		if err == nil {
			s.conns++
			done := s.session(ctx, conn, stop)
			conn.close()
			if done {
				return
			}
		}
		s.edge = (s.edge + 1) % len(s.listen)
		pause(ctx, 50*time.Millisecond)
	}
}

// flight is an attempt without its answer yet.
type flight struct {
	send    *Send
	attempt int // index in the send's
	waiter  *waiter
	twin    *flight // the same at the other edge
}

// session sends what is left, in order, and then new messages. It reports
// whether all is settled; if not, the connection is of no more use.
func (s *sender) session(ctx context.Context, conn *connection, stop <-chan struct{}) (done bool) {
	var other *connection
	if s.twin {
		var err error
		if other, err = dial(ctx, s.listen[(s.edge+1)%len(s.listen)], s.user, nil); err == nil {
			defer other.close()
		}
	}
	var flights []*flight
	defer func() {
		for _, f := range flights { // whose answers nobody waits for any more
			f.fail(Broken, s.clock())
		}
	}()
	launch := func(m *Send) bool {
		f := s.launch(conn, m, s.edge)
		if f == nil {
			return false
		}
		if other != nil {
			f.twin = s.launch(other, m, (s.edge+1)%len(s.listen))
		}
		flights = append(flights, f)
		return true
	}
	for _, m := range s.left() {
		if !launch(m) {
			return false
		}
	}
	for {
		stopping := ctx.Err() != nil
		select {
		case <-stop:
			stopping = true
		default:
		}
		for !stopping && len(flights) < s.window {
			if !launch(s.compose()) {
				return false
			}
		}
		if len(flights) == 0 {
			return len(s.left()) == 0
		}
		f := flights[0]
		flights = flights[1:]
		wait, alive := s.land(f)
		if f.twin != nil {
			if _, well := s.land(f.twin); !well {
				other = nil // for the rest of this session
			}
		}
		if !alive {
			return false
		}
		if !f.send.settled() {
			if !pause(ctx, wait) || !launch(f.send) {
				return false
			}
			continue
		}
		if s.pace > 0 && !stopping {
			pause(ctx, s.pace)
		}
	}
}

func (s *sender) left() (left []*Send) {
	for _, m := range s.sends {
		if !m.settled() {
			left = append(left, m)
		}
	}
	return left
}

// compose makes a new message.
func (s *sender) compose() *Send {
	id := newID()
	body := fmt.Sprintf("%s %d %s%s", s.user, len(s.sends), id, strings.Repeat(".", s.padding))
	m := &Send{Channel: s.Channel, User: s.user, ID: id, Body: body, Forbidden: s.forbidden}
	s.sends = append(s.sends, m)
	return m
}

func newID() string {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	return streams.MakeClientID(time.Now().UnixMilli(), entropy).String()
}

func arguments(m *Send) map[string]any {
	return map[string]any{"group": m.Group, "channel": m.Name, "client_id": m.ID, "body": m.Body}
}

// launch begins an attempt; nil if the connection is over.
func (s *sender) launch(conn *connection, m *Send, edge int) *flight {
	began := s.clock()
	w, err := conn.begin("send", arguments(m), nil)
	m.Attempts = append(m.Attempts, Attempt{Edge: edge, Conn: s.conns, Began: began})
	f := &flight{send: m, attempt: len(m.Attempts) - 1, waiter: w}
	if err != nil {
		f.fail(Broken, s.clock())
		return nil
	}
	return f
}

func (f *flight) fail(outcome Outcome, at time.Duration) {
	a := &f.send.Attempts[f.attempt]
	a.Outcome, a.Ended = outcome, at
	if f.twin != nil {
		f.twin.fail(outcome, at)
	}
}

// land waits for an attempt's answer. It returns how long to wait before the
// next attempt, and whether the connection lives.
func (s *sender) land(f *flight) (wait time.Duration, alive bool) {
	var ok acknowledgement
	err := f.waiter.end(&ok, answerWithin)
	a := &f.send.Attempts[f.attempt]
	a.Ended = s.clock()
	var r *refusal
	switch {
	case errors.As(err, &r):
		a.Outcome, a.Code = Refused, r.Code
		return min(time.Duration(r.RetryMS)*time.Millisecond, 100*time.Millisecond), true
	case errors.Is(err, errSilent):
		a.Outcome = Silent
		return 0, false
	case err != nil:
		a.Outcome = Broken
		return 0, false
	}
	a.Outcome, a.V, a.N, a.Seq, a.Duplicate = Acked, ok.V, ok.N, ok.Seq, ok.Duplicate
	s.acked.Add(1)
	return 0, true
}
