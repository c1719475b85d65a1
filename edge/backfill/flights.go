package backfill

import (
	"context"
	"sync"
	"time"
)

// patience is the longest a load may take, whoever waits for it.
const patience = 4 * time.Second

// flights makes one of equal loads that are wanted at the same time.
type flights[K comparable, V any] struct {
	mu      sync.Mutex
	running map[K]*flight[V] // guarded by mu
}

type flight[V any] struct {
	done  chan struct{} // closed by the caller that loads
	value V
	err   error
}

// do returns load's result. The first caller runs it, detached from its own
// ctx because others may wait for it as well.
func (f *flights[K, V]) do(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	f.mu.Lock()
	if other := f.running[key]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.done:
			return other.value, other.err
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
	own := &flight[V]{done: make(chan struct{})}
	if f.running == nil {
		f.running = map[K]*flight[V]{}
	}
	f.running[key] = own
	f.mu.Unlock()

	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	own.value, own.err = load(detached)
	f.mu.Lock()
	delete(f.running, key)
	f.mu.Unlock()
	close(own.done)
	return own.value, own.err
}
