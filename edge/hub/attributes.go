package hub

import (
	"container/list"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// attributes is all attributes of one channel: loaded once from the owner when
// somebody first asks, then kept current from the channel's events. Guarded by
// view.mu.
//
// A page of the owner is as of some version that the view may not have come to
// yet, and events come in while pages are read. Each attribute carries the
// version of its own event, so whichever is newer stands; what was deleted
// meanwhile is remembered until the load is over. When the view has come to
// the newest page's version, all of it is as of the view's.
type attributes struct {
	loading chan struct{} // closed when the load is over; nil once it went well
	err     error         // of the load, before loading is closed

	held  map[string]*streampb.Attribute // what they point to never changes
	gone  map[string]uint64              // while loading: keys and the versions that deleted them
	since streams.Version                // newest version of a page: current from there on
	bytes int64                          // of held

	encoded []byte // see encode; nil where something changed

	place   *list.Element // guarded by attributeBudget.mu
	counted int64         // likewise: bytes that are in the budget's total
}

// attributeOverhead is what an attribute costs beside key, value and user: its
// struct, its place in the map and its part of the answer that is kept.
const attributeOverhead = 400 // bytes

func attributeBytes(a *streampb.Attribute) int64 {
	return int64(2*len(a.GetKey()) + 2*len(a.GetValue()) + len(a.GetUser()) + attributeOverhead)
}

// current reports whether the attributes are there as of where the channel
// stands.
func (a *attributes) current(c *channel) bool {
	return a != nil && a.loading == nil && c.log.At() >= a.since
}

// put places what a page or an event says about a key, unless what is known is
// newer.
func (a *attributes) put(next *streampb.Attribute) {
	last := a.held[next.GetKey()]
	if last.GetV() >= next.GetV() || a.gone[next.GetKey()] >= next.GetV() {
		return
	}
	if last != nil {
		a.bytes -= attributeBytes(last)
	}
	a.held[next.GetKey()] = next
	a.bytes += attributeBytes(next)
	a.encoded = nil
}

// remove is put for an event that deleted the key.
func (a *attributes) remove(key string, v streams.Version) {
	if a.loading != nil {
		a.gone[key] = uint64(v)
	}
	if last := a.held[key]; last != nil && last.GetV() < uint64(v) {
		a.bytes -= attributeBytes(last)
		delete(a.held, key)
		a.encoded = nil
	}
}

// fold takes an event of the channel; nothing is done where the attributes
// were not asked for.
func (a *attributes) fold(c *channel, e *streams.Event) {
	if a == nil {
		return
	}
	switch p := e.Payload.(type) {
	case streams.AttributeSet:
		a.put(&streampb.Attribute{
			Key: p.GetKey(), Value: p.GetValue(), V: uint64(e.V), User: string(e.User), Ts: e.TS,
			AutoDelete: p.GetAutoDelete(), Protected: p.GetProtected(),
		})
	case streams.AttributeDeleted:
		a.remove(p.GetKey(), e.V)
	default:
		return
	}
	if a.loading == nil {
		c.view.hub.attributes.count(c, a.bytes)
	}
}

// encode returns the map of the answers, in the order of the keys.
func (a *attributes) encode() []byte {
	if a.encoded == nil {
		a.encoded = wire.AppendAttributes(nil, a.some(slices.Sorted(maps.Keys(a.held))))
	}
	return a.encoded
}

// some returns those of the keys that are there.
func (a *attributes) some(keys []string) []*streampb.Attribute {
	found := make([]*streampb.Attribute, 0, len(keys))
	for _, key := range keys {
		if attribute := a.held[key]; attribute != nil {
			found = append(found, attribute)
		}
	}
	return found
}

// loadAttributes makes sure that the attributes are there, however many ask
// for them at once, and that they are as of where the channel stands. They may
// be dropped as soon as it returns. Errors are [*streams.Rejection].
func (c *channel) loadAttributes(ctx context.Context) error {
	for {
		c.view.mu.Lock()
		a := c.attrs
		switch {
		case c.view.closed:
			c.view.mu.Unlock()
			return owner.Unavailable()
		case a.current(c):
			c.view.mu.Unlock()
			c.view.hub.attributes.touch(c)
			return nil
		case a == nil:
			a = &attributes{loading: make(chan struct{}), held: map[string]*streampb.Attribute{}, gone: map[string]uint64{}}
			c.attrs = a
			c.view.mu.Unlock()
			c.load(context.WithoutCancel(ctx), a) // owner.Ask has its own deadline
			c.view.hub.trimAttributes()
			if a.err != nil {
				return a.err
			}
			continue
		case a.loading != nil:
			loading := a.loading
			c.view.mu.Unlock()
			select {
			case <-loading:
			case <-ctx.Done():
				return owner.Unavailable()
			}
			if a.err != nil {
				return a.err
			}
			continue
		}
		c.written = max(c.written, a.since)
		c.view.mu.Unlock()
		if err := c.view.await(ctx, c.name); err != nil {
			return err
		}
	}
}

// load reads all pages from the owner.
func (c *channel) load(ctx context.Context, a *attributes) {
	v, after := c.view, ""
	for {
		result, err := v.hub.config.Owner.Ask(ctx, v.partition, &streampb.Command{
			Group: string(v.group), User: "@server", Server: true,
			Body: &streampb.Command_Attrs{Attrs: &streampb.ReadAttributes{Channel: string(c.name), After: after}},
		})
		v.mu.Lock()
		if err != nil {
			a.err = err
			c.attrs = nil
			close(a.loading)
			v.mu.Unlock()
			return
		}
		page := result.GetAttributes()
		for _, attribute := range page.GetAttributes() {
			a.put(attribute)
		}
		a.since = max(a.since, streams.Version(page.GetV()))
		if after = page.GetAfter(); after == "" {
			a.loaded(c)
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
	}
}

// loaded ends the load; view.mu is held.
func (a *attributes) loaded(c *channel) {
	close(a.loading)
	a.loading, a.gone = nil, nil
	if c.view.closed {
		c.attrs = nil
		return
	}
	c.view.hub.attributes.count(c, a.bytes)
	c.view.hub.config.Metrics.loads.Inc()
}

// Attributes returns the ok object of attrs: with after, what has changed since
// if that is still known, else all; keys is the only ones that are asked for,
// nil for all. Errors are [*streams.Rejection]: not_member, not_found,
// unavailable.
func (v *View) Attributes(ctx context.Context, r Reader, name streams.Channel, after wire.Option, keys []string) ([]byte, error) {
	if err := v.Admit(ctx, r); err != nil {
		return nil, err
	}
	c, err := v.find(ctx, r, name)
	if err != nil {
		return nil, err
	}
	if after.Given {
		sight, err := v.look(ctx, r, c)
		if err != nil {
			return nil, err
		}
		c.warm(ctx, Interest{After: after})
		if changes := c.changes(streams.Version(after.Value), keys, sight); changes != nil {
			return changes, nil
		}
	}
	for {
		if err := c.loadAttributes(ctx); err != nil {
			return nil, err
		}
		v.mu.Lock()
		if a := c.attrs; a.current(c) {
			answer := c.full(a, keys)
			v.mu.Unlock()
			return answer, nil
		}
		v.mu.Unlock()
		if ctx.Err() != nil {
			return nil, owner.Unavailable()
		}
	}
}

// full answers with what stands; view.mu is held.
func (c *channel) full(a *attributes, keys []string) []byte {
	attributes := a.encode()
	if keys != nil {
		attributes = wire.AppendAttributes(nil, a.some(slices.Compact(slices.Sorted(slices.Values(keys)))))
	}
	return wire.AppendAttrs(nil, c.log.At(), attributes)
}

// changes answers with what the ring says happened after a version, nil if it
// does not hold all of it, or if the reader may not know all of it.
func (c *channel) changes(after streams.Version, keys []string, sight *sight) []byte {
	c.view.mu.Lock()
	head := c.log.At()
	entries := c.ring.Newest(after, math.MaxInt, math.MaxInt)
	c.view.mu.Unlock()
	if after > head || after < head && (len(entries) == 0 || entries[0].Event.V != after+1) {
		return nil
	}
	var events []*streams.Event
	bytes := 0
	for _, entry := range entries {
		var key string
		switch p := entry.Event.Payload.(type) {
		case streams.AttributeSet:
			key = p.GetKey()
		case streams.AttributeDeleted:
			key = p.GetKey()
		default:
			continue
		}
		if keys != nil && !slices.Contains(keys, key) {
			continue
		}
		if sight.hides(&entry) {
			return nil
		}
		if bytes += len(entry.JSON); bytes > AnswerBytes {
			return nil // all of them are the smaller answer, or bounded at least
		}
		events = append(events, entry.Event)
	}
	return wire.AppendChanges(nil, head, events)
}
