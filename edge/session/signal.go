package session

import (
	"context"
	"time"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/wire"
)

const (
	// maxSignals is how many signals wait to be written. What comes beyond is
	// dropped: a signal is worth nothing later.
	maxSignals = 16
	// signalRate and signalBurst bound what one session sends, in signals a
	// second and at once. What is above is answered and passed on to nobody.
	signalRate  = 100
	signalBurst = 100
)

// Signal is called by the hub with a frame for the client.
func (f *follow) Signal(_ *hub.Subscription, frame []byte) {
	s := f.session
	s.mu.Lock()
	armed := f.state.Load() == live
	taken := armed && s.closing == nil && len(s.signals) < maxSignals
	if taken {
		s.signals = append(s.signals, frame)
	}
	s.mu.Unlock()
	switch {
	case taken:
		s.signal()
	case armed:
		s.endpoint.config.Hub.DropSignal()
	}
}

// allowance is how much more may be sent.
type allowance struct {
	left  float64
	since time.Time
}

// take reports whether there is some, and uses it up.
func (a *allowance) take(now time.Time) bool {
	if a.since.IsZero() {
		a.left = signalBurst
	} else {
		a.left = min(signalBurst, a.left+signalRate*now.Sub(a.since).Seconds())
	}
	a.since = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// passSignal does a signal command. It stays in its lane, so that a client's
// signals come in the order it sent them.
func (s *session) passSignal(ctx context.Context, it item) {
	s.mu.Lock()
	allowed := s.allowance.take(time.Now())
	s.mu.Unlock()
	if allowed {
		s.settle(it.id, s.endpoint.config.Runner.Read(ctx, it.task), reply{})
		return
	}
	s.endpoint.config.Hub.DropSignal()
	s.endpoint.config.Runner.Metrics().Answered(wire.Signal, it.task.Taken, nil)
	s.settle(it.id, command.Answer{OK: wire.Empty()}, reply{})
}
