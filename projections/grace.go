package projections

import (
	"context"
	"sync"
	"time"
)

// stopGrace is how long what was begun with ClickHouse may still take once the
// projector is to end. An insert that is let finish need not be repeated, and
// the engine of `throng dev` takes it badly when a client leaves while they
// still greet each other: it aborts.
const stopGrace = 2 * time.Second

// withGrace returns a context that ends after within, or stopGrace after ctx
// is done, whichever is first. The caller must call cancel.
func withGrace(ctx context.Context, within time.Duration) (graced context.Context, cancel func()) {
	graced, end := context.WithTimeout(context.WithoutCancel(ctx), within)
	var mu sync.Mutex
	var grace *time.Timer
	forget := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		grace = time.AfterFunc(stopGrace, end)
	})
	return graced, func() {
		end()
		if forget() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if grace != nil {
			grace.Stop()
		}
	}
}
