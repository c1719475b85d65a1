package ring

import (
	"container/list"
	"sync"
)

// Budget bounds the bytes of the rings made from it.
type Budget struct {
	limit int64 // bytes; static

	mu    sync.Mutex
	order list.List // of *Ring, most recently used in front; guarded by mu
	total int64     // bytes; guarded by mu
}

// NewBudget returns a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// New returns an empty ring that holds at most limit events.
func (b *Budget) New(limit int) *Ring { return &Ring{limit: limit, budget: b} }

// Bytes is what all rings hold together.
func (b *Budget) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// used notes that r was used and holds so many bytes, and makes room.
func (b *Budget) used(r *Ring, bytes int64) {
	b.mu.Lock()
	b.count(r, bytes)
	if r.place != nil {
		b.order.MoveToFront(r.place)
	}
	for b.total > b.limit && b.order.Len() > 0 {
		victim := b.order.Back().Value.(*Ring)
		excess := b.total - b.limit
		b.mu.Unlock()
		left := victim.shrink(excess)
		b.mu.Lock()
		b.count(victim, left)
	}
	b.mu.Unlock()
}

// count brings the total up to date; b.mu is held. A ring is in the order
// while it holds something. Two callers may count one ring in the wrong order;
// the next use puts that right.
func (b *Budget) count(r *Ring, bytes int64) {
	b.total += bytes - r.held
	r.held = bytes
	switch {
	case bytes > 0 && r.place == nil:
		r.place = b.order.PushFront(r)
	case bytes == 0 && r.place != nil:
		b.order.Remove(r.place)
		r.place = nil
	}
}

func (b *Budget) remove(r *Ring) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(r, 0)
}
