package ring

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/throng/throng/streams"
)

// Entry is one event and its JSON, all of it immutable.
type Entry struct {
	Event *streams.Event
	JSON  []byte
	// Veil is the private channel the event is about; who is not in it is told
	// Hidden. Empty for what every reader of the ring's channel may know.
	Veil   streams.Channel
	Hidden []byte // nil without Veil
	// Expires is when a message, or an edit of it, says nothing any more, ms since
	// 1970 UTC; 0 for never.
	Expires int64
}

// overhead is what an event costs beside its JSON: its struct, its payload and
// the body, which stands in both.
const overhead = 400 // bytes

// Size is what the entry counts for in a budget, in bytes.
func (e Entry) Size() int64 { return int64(2*len(e.JSON) + len(e.Hidden) + overhead) }

// Ring is the newest events of one channel.
type Ring struct {
	// Static after Budget.New.
	limit  int // events
	budget *Budget

	mu      sync.RWMutex
	entries []Entry // oldest first; guarded by mu
	bytes   int64   // of entries; guarded by mu
	closed  bool    // guarded by mu

	place *list.Element // guarded by budget.mu
	held  int64         // bytes the budget has counted; guarded by budget.mu
}

// Append adds the channel's next event. It panics on a hole: whoever appends
// has judged the event.
func (r *Ring) Append(e Entry) {
	r.mu.Lock()
	if last := len(r.entries) - 1; last >= 0 && r.entries[last].Event.V+1 != e.Event.V {
		r.mu.Unlock()
		panic(fmt.Sprintf("ring of %s/%s: v %d behind v %d", e.Event.Group, e.Event.Channel, e.Event.V, r.entries[last].Event.V))
	}
	if !r.closed {
		r.entries = append(r.entries, e)
		r.bytes += e.Size()
		r.drop(len(r.entries) - r.limit)
	}
	bytes := r.bytes
	r.mu.Unlock()
	r.budget.used(r, bytes)
}

// Prepend adds events read back in front of the oldest, as many of the newest
// of them as there is room for. Events that do not end right before the oldest
// are not taken; an empty ring takes only what ends at head.
func (r *Ring) Prepend(older []Entry, head streams.Version) {
	if len(older) == 0 {
		return
	}
	r.mu.Lock()
	joint := head + 1
	if len(r.entries) > 0 {
		joint = r.entries[0].Event.V
	}
	if room := r.limit - len(r.entries); !r.closed && room > 0 && older[len(older)-1].Event.V+1 == joint {
		older = older[max(0, len(older)-room):]
		r.entries = append(append(make([]Entry, 0, len(older)+len(r.entries)), older...), r.entries...)
		for _, e := range older {
			r.bytes += e.Size()
		}
	}
	bytes := r.bytes
	r.mu.Unlock()
	r.budget.used(r, bytes)
}

// Replace puts change's answer in the place of each entry for which it has
// one. Readers that took the former one keep it.
func (r *Ring) Replace(change func(Entry) (Entry, bool)) {
	r.mu.Lock()
	for i, e := range r.entries {
		if changed, ok := change(e); ok {
			r.bytes += changed.Size() - e.Size()
			r.entries[i] = changed
		}
	}
	bytes := r.bytes
	r.mu.Unlock()
	r.budget.used(r, bytes)
}

// drop forgets the oldest n events; r.mu is held.
func (r *Ring) drop(n int) {
	if n <= 0 {
		return
	}
	for i := range n {
		r.bytes -= r.entries[i].Size()
		r.entries[i] = Entry{}
	}
	r.entries = r.entries[n:]
}

// Clear forgets all events; the next may have any version.
func (r *Ring) Clear() {
	r.mu.Lock()
	r.drop(len(r.entries))
	bytes := r.bytes
	r.mu.Unlock()
	r.budget.used(r, bytes)
}

// Oldest is the oldest version held, 0 if none is.
func (r *Ring) Oldest() streams.Version {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.entries) == 0 {
		return 0
	}
	return r.entries[0].Event.V
}

// First returns the oldest entry held.
func (r *Ring) First() (Entry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.entries) == 0 {
		return Entry{}, false
	}
	return r.entries[0], true
}

// After appends to out the held events with v > after, oldest first, at most
// count of them and, but for the first, at most bytes of JSON. They begin
// later than after+1 where those in between are no longer held.
func (r *Ring) After(out []Entry, after streams.Version, count, bytes int) []Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.entries) == 0 {
		return out
	}
	from := 0
	if first := r.entries[0].Event.V; after >= first {
		from = int(min(after-first+1, streams.Version(len(r.entries))))
	}
	for i, e := range r.entries[from:] {
		if bytes -= len(e.JSON); i == count || i > 0 && bytes < 0 {
			break
		}
		out = append(out, e)
	}
	return out
}

// Take is [Ring.After] for a reader of a channel that has come to head. lost is
// up to where what comes after cursor is no longer held; the events taken come
// behind it. It is 0 if nothing is lost. head has to be known before the call:
// what is up to there has been in the ring.
func (r *Ring) Take(out []Entry, cursor, head streams.Version, count, bytes int) (taken []Entry, lost streams.Version) {
	before := len(out)
	out = r.After(out, cursor, count, bytes)
	switch {
	case len(out) > before:
		if first := out[before].Event.V; first > cursor+1 {
			lost = first - 1
		}
	case head > cursor:
		lost = head
	}
	return out, lost
}

// Newest returns the newest events with v > after, oldest first, at most count
// of them and at most bytes of JSON.
func (r *Ring) Newest(after streams.Version, count, bytes int) []Entry {
	r.mu.RLock()
	from := len(r.entries)
	for from > 0 && len(r.entries)-from < count && r.entries[from-1].Event.V > after {
		if bytes -= len(r.entries[from-1].JSON); bytes < 0 {
			break
		}
		from--
	}
	out := append([]Entry(nil), r.entries[from:]...)
	held := r.bytes
	r.mu.RUnlock()
	r.budget.used(r, held)
	return out
}

// Close gives the bytes back. A closed ring holds nothing any more.
func (r *Ring) Close() {
	r.mu.Lock()
	r.closed, r.entries, r.bytes = true, nil, 0
	r.mu.Unlock()
	r.budget.remove(r)
}

// shrink drops oldest events until at least bytes are free, or all.
func (r *Ring) shrink(bytes int64) (left int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for freed := int64(0); n < len(r.entries) && freed < bytes; n++ {
		freed += r.entries[n].Size()
	}
	r.drop(n)
	if len(r.entries) == 0 {
		r.entries = nil
	}
	return r.bytes
}
