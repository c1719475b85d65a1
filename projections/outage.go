package projections

import (
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// The pause between two attempts grows from firstPause to longestPause.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
)

func newPauses() *backoff.ExponentialBackOff {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: longestPause, Multiplier: 2, RandomizationFactor: 0.2,
	}
	pauses.Reset()
	return pauses
}

// outage tells an operator once when a neighbour goes and once when it comes
// back, however often it was tried between.
type outage struct {
	// Static.
	logger *slog.Logger
	of     string // «clickhouse», «nats»
	count  prometheus.Counter
	now    prometheus.Gauge // counts who finds it away

	mu    sync.Mutex
	since time.Time // zero: it is there
}

func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.logger.Debug("still away", "of", o.of, "err", err)
		return
	}
	o.since = time.Now()
	o.count.Inc()
	o.now.Inc()
	o.logger.Warn("away: projecting waits, nothing is lost", "of", o.of, "err", err)
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	o.logger.Warn("back: projecting goes on", "of", o.of, "elapsed", time.Since(o.since))
	o.since = time.Time{}
	o.now.Dec()
}
