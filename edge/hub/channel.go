package hub

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	// maxHeld is how many events ahead of their turn a channel keeps while a
	// fill reads those before them. When it is full they are all dropped: the
	// fill reads them as well.
	maxHeld = 4096
	// fillPage and fillBytes bound one read of a fill.
	fillPage  = 1000
	fillBytes = 8 << 20 // bytes of JSON
	// fillTries is after how many reads without progress a fill gives up. The
	// next event or beacon begins another.
	fillTries   = 20
	fillBackOff = 10 * time.Millisecond // doubled with each, up to fillLongest
	fillLongest = 500 * time.Millisecond
)

// channel is one channel of a view.
type channel struct {
	// Static.
	view *View
	name streams.Channel
	ring *ring.Ring

	head atomic.Uint64 // place.V, set after the ring has it

	// Guarded by view.mu.
	known   bool // it exists; false where only an event of it was seen so far
	place   streams.Place
	n       streams.Number
	seq     streams.Seq      // of the event at place
	held    []*streams.Event // ahead of place, in the order they came; at most maxHeld
	wanted  streams.Version  // newest version known to exist while filling
	filling bool
	written streams.Version // newest a command through this process was answered with
	subs    []*Subscription
	moved   chan struct{} // closed when place moves; nil while nobody waits
	// recalled are the messages whose bodies no answer may hold; nil for none.
	recalled map[streams.Number]struct{}
}

// apply takes the channel's next event; view.mu is held. Its JSON is made here
// unless whoever read it has made it.
func (c *channel) apply(entry ring.Entry) {
	e := entry.Event
	if p, ok := e.Payload.(streams.MessageRecalled); ok {
		c.recall(streams.Number(p.GetTarget()))
	}
	if entry.JSON == nil {
		entry.JSON = wire.AppendEvent(nil, e)
	}
	if redacted, ok := c.redact(entry); ok {
		entry = redacted
	}
	c.place = c.place.After(e)
	c.n, c.seq = e.N, e.Seq
	c.ring.Append(entry)
	c.head.Store(uint64(e.V))
	c.view.foldEvent(e)
	for _, s := range c.subs {
		s.wake()
	}
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// foldEvent keeps what the view knows about the group current; mu is held.
func (v *View) foldEvent(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.GroupUpdated:
		v.settings = p.GetSettings()
	case streams.ChannelCreated:
		v.channel(streams.Channel(p.GetChannel())).known = true
	case streams.MemberJoined:
		v.memberIs(streams.User(p.GetMember()), p.GetRole(), e.Seq)
	case streams.MemberLeft:
		v.memberIs(streams.User(p.GetMember()), 0, e.Seq)
	}
}

// hold keeps an event for after the fill; view.mu is held.
func (c *channel) hold(e *streams.Event) {
	if len(c.held) == maxHeld {
		c.held = nil
	}
	c.held = append(c.held, e)
}

// release applies the held events whose turn has come; view.mu is held.
func (c *channel) release() {
	for len(c.held) > 0 {
		e := c.held[0]
		verdict := streams.Judge(c.place, e)
		if verdict == streams.Ahead {
			return
		}
		c.held = c.held[1:]
		if verdict == streams.Belongs {
			c.apply(ring.Entry{Event: e})
		}
	}
	c.held = nil
}

// want makes the channel read on from the log up to a version; view.mu is held.
func (c *channel) want(version streams.Version, by uncovered) {
	c.wanted = max(c.wanted, version)
	if c.filling || c.place.V >= c.wanted {
		return
	}
	c.filling = c.view.hub.spawn(func() { c.fill(c.view.hub.life) })
	if c.filling {
		c.view.hub.config.Metrics.lost.WithLabelValues(string(by)).Inc()
	}
}

// fill reads what is missing until the channel is where it is wanted to be.
func (c *channel) fill(ctx context.Context) {
	v, backOff := c.view, fillBackOff
	for tries := 0; ; {
		v.mu.Lock()
		missing := backfill.Range{After: c.place.V, Upto: c.wanted, Limit: fillPage, Bytes: fillBytes, Lo: c.seq}
		if len(c.held) > 0 && c.held[0].V > missing.After+1 {
			missing.Upto = min(missing.Upto, c.held[0].V-1)
		}
		if v.closed || missing.After >= c.wanted || tries == fillTries || ctx.Err() != nil {
			c.filling, c.wanted = false, c.place.V
			v.mu.Unlock()
			break
		}
		v.mu.Unlock()
		entries, err := v.hub.config.Loader.Events(ctx, v.target(c.name), missing)
		v.mu.Lock()
		for _, entry := range entries {
			// The loader has judged it against the fences of its time. Judged here,
			// an event of an earlier term would seem stale behind a newer fence.
			if !v.closed && entry.Event.V == c.place.V+1 {
				c.apply(entry)
			}
		}
		c.release()
		progress := c.place.V > missing.After
		v.mu.Unlock()
		if progress {
			tries, backOff = 0, fillBackOff
			continue
		}
		tries++
		v.hub.config.Logger.Debug("fill", "group", v.group, "channel", c.name, "tries", tries, "err", err)
		pause(ctx, backOff)
		backOff = min(2*backOff, fillLongest)
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
	c.subs = nil
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}
