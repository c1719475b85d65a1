package hub

import (
	"container/list"
	"sync"
)

// attributeBudget bounds the bytes of all attributes held. Above it the sets
// that were asked for longest ago are dropped; who asks next loads them again.
//
// Its lock is taken under a view's, never the other way round.
type attributeBudget struct {
	limit int64 // bytes; static

	mu    sync.Mutex
	order list.List // of *channel, most recently asked for in front; guarded by mu
	total int64     // guarded by mu
}

// count notes what a channel's attributes cost; its view's mu is held.
func (b *attributeBudget) count(c *channel, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := c.attrs
	b.total += bytes - a.counted
	a.counted = bytes
	if a.place == nil {
		a.place = b.order.PushFront(c)
	}
}

// touch notes that they were asked for.
func (b *attributeBudget) touch(c *channel) {
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.attrs != nil && c.attrs.place != nil {
		b.order.MoveToFront(c.attrs.place)
	}
}

// drop forgets a channel's attributes; its view's mu is held. Those being
// loaded stay.
func (b *attributeBudget) drop(c *channel) {
	a := c.attrs
	if a == nil || a.loading != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total -= a.counted
	if a.place != nil {
		b.order.Remove(a.place)
	}
	c.attrs = nil
}

// excess is the channel to drop next, nil while there is room. One that alone
// is above the limit stays until another is asked for.
func (b *attributeBudget) excess() *channel {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total <= b.limit || b.order.Len() < 2 {
		return nil
	}
	return b.order.Back().Value.(*channel)
}

// Bytes is what all attributes held cost.
func (b *attributeBudget) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// trimAttributes drops what is above the budget. No view's mu is held.
func (h *Hub) trimAttributes() {
	for c := h.attributes.excess(); c != nil; c = h.attributes.excess() {
		c.view.mu.Lock()
		loading := c.attrs != nil && c.attrs.loading != nil
		h.attributes.drop(c)
		c.view.mu.Unlock()
		if loading {
			return // whoever loads trims
		}
	}
}
