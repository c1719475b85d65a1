package hub

import (
	"context"
	"time"

	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
)

const (
	// readPatience is how long a read waits for what was written before it.
	readPatience = 2 * time.Second
	// livePatience is how long that is expected live, before it is read from
	// the log.
	livePatience = 100 * time.Millisecond
)

// await waits until the view has applied what was written to a channel
// through this process. Errors are [*streams.Rejection] with unavailable.
func (v *View) await(ctx context.Context, name streams.Channel) error {
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	live := time.NewTimer(livePatience)
	defer live.Stop()
	for {
		v.mu.Lock()
		c := v.channels[name]
		if v.closed {
			v.mu.Unlock()
			return owner.Unavailable()
		}
		if c == nil || c.log.At() >= c.written {
			v.mu.Unlock()
			return nil
		}
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved, written := c.moved, c.written
		v.mu.Unlock()
		select {
		case <-moved:
		case <-live.C:
			v.want(name, written, follow.ByWrite)
		case <-patience.C:
			return owner.Unavailable()
		case <-ctx.Done():
			return owner.Unavailable()
		}
	}
}
