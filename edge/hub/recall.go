package hub

import (
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// recall notes that messages were recalled and takes their bodies out of the
// ring; view.mu is held.
func (c *channel) recall(numbers ...streams.Number) {
	fresh := false
	for _, n := range numbers {
		if _, known := c.recalled[n]; known {
			continue
		}
		if c.recalled == nil {
			c.recalled = map[streams.Number]struct{}{}
		}
		c.recalled[n], fresh = struct{}{}, true
	}
	if fresh {
		c.ring.Replace(c.redact)
	}
}

// redact returns the entry without a body if it is a recalled message or an
// edit of one; view.mu is held.
func (c *channel) redact(entry ring.Entry) (redacted ring.Entry, ok bool) {
	if len(c.recalled) == 0 {
		return entry, false
	}
	n := entry.Event.N
	switch p := entry.Event.Payload.(type) {
	case streams.MessagePosted:
	case streams.MessageEdited:
		n = streams.Number(p.GetTarget())
	default:
		return entry, false
	}
	if _, recalled := c.recalled[n]; !recalled {
		return entry, false
	}
	entry.JSON = wire.AppendRecalled(nil, entry.Event)
	return entry, true
}

// dressed returns entries as they may be in the ring, in a slice of its own
// where it changes any; view.mu is not held.
func (c *channel) dressed(entries []ring.Entry) []ring.Entry {
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	shared := true // with other readers of the same load
	for i, entry := range entries {
		dressed, ok := c.dress(entry)
		if !ok {
			continue
		}
		if shared {
			entries, shared = append([]ring.Entry(nil), entries...), false
		}
		entries[i] = dressed
	}
	return entries
}
