package hub

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	// fillPage and fillBytes bound one read of a fill.
	fillPage  = 1000
	fillBytes = 8 << 20 // bytes of JSON
)

// channel is one channel of a view: what follow decides, made ready for
// subscriptions.
type channel struct {
	// Static.
	view *View
	name streams.Channel
	ring *ring.Ring

	source Source

	head  atomic.Uint64 // log.At(), set after the ring has it
	where position      // both, for who may not take view.mu

	// Guarded by view.mu.
	log     *follow.Channel
	known   bool            // it exists; false where only an event of it was seen so far
	written streams.Version // newest a command through this process was answered with
	subs    []*Subscription
	moved   chan struct{} // closed when the channel moves; nil while nobody waits
	// recalled are the messages whose bodies no answer may hold; nil for none.
	recalled map[streams.Number]struct{}
	layout                                  // who sees it
	attrs    *attributes                    // nil until they are asked for
	firsts   map[streams.Seq]streams.Number // see first
}

// Deliver takes the channel's next event; view.mu is held. Its JSON is made
// here unless whoever read it has made it.
func (c *channel) Deliver(entry ring.Entry) {
	e := entry.Event
	c.view.fold(e)
	if p, ok := e.Payload.(streams.MessageRecalled); ok {
		c.recall(streams.Number(p.GetTarget()))
	}
	if entry.JSON == nil {
		entry.JSON = wire.AppendEvent(nil, e)
	}
	entry, _ = c.dress(entry)
	c.attrs.fold(c, e)
	if c.view.hub.config.WithoutContiguity && uint64(e.V) != c.head.Load()+1 {
		c.ring.Clear() // it takes no holes
	}
	c.ring.Append(entry)
	c.where.set(e.V, e.N)
	c.head.Store(uint64(e.V))
	c.source.wake()
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// Stale counts an event that belongs to nobody's history; view.mu is held.
func (c *channel) Stale(*streams.Event) { c.view.hub.config.Metrics.stale.Inc() }

// Load begins a fill, unless the hub is closed; view.mu is held.
func (c *channel) Load(by follow.Cause) (begun bool) {
	begun = c.view.hub.spawn(func() { c.fill(c.view.hub.life) })
	if begun {
		c.view.hub.config.Metrics.lost.WithLabelValues(string(by)).Inc()
	}
	return begun
}

// fill reads what is missing until the channel is where it is wanted to be.
func (c *channel) fill(ctx context.Context) {
	v := c.view
	for {
		v.mu.Lock()
		if ctx.Err() != nil {
			c.log.Abandon()
		}
		missing, ok := c.log.Missing()
		v.mu.Unlock()
		if !ok {
			return
		}
		entries, err := v.hub.config.Loader.Events(ctx, v.target(c.name), backfill.Range{
			After: missing.After, Upto: missing.Upto, Lo: missing.Lo, Limit: fillPage, Bytes: fillBytes,
		})
		v.mu.Lock()
		wait := c.log.Loaded(entries)
		v.mu.Unlock()
		if wait > 0 {
			v.hub.config.Logger.Debug("fill", "group", v.group, "channel", c.name, "pause", wait, "err", err)
			pause(ctx, wait)
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// close ends the subscriptions; view.mu is held.
func (c *channel) close() {
	c.ring.Close()
	for _, s := range c.subs {
		s.finish(Lost)
	}
	c.subs, c.source.crowds = nil, nil
	c.view.hub.attributes.drop(c)
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}
