package history

import (
	"sync"
	"time"

	"github.com/throng/throng/streams"
)

// openFor is how long nothing is asked of ClickHouse after it failed, so that
// queries do not pile up before a door that is shut.
const openFor = time.Second

// breaker remembers a failure. The zero value is closed.
type breaker struct {
	mu    sync.Mutex
	until time.Time
}

// allow returns a [*streams.Rejection] while the breaker is open.
func (b *breaker) allow(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.until.Sub(now); left > 0 {
		return streams.RejectRetry(streams.HistoryUnavailable, left, "history is away, try again")
	}
	return nil
}

// fail opens the breaker unless ClickHouse itself answered: then it is there.
func (b *breaker) fail(now time.Time, answered bool) {
	if answered {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = now.Add(openFor)
}
