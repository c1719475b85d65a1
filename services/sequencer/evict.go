package sequencer

import "github.com/throng/throng/services/group"

// evictVisits bounds what one tick looks at, and so how long it keeps the
// sequencer from deciding: about 1 ms.
const evictVisits = 8192

// evict drops entities that were not used lately while there are more than the
// bound, group after group. It returns how many it dropped.
func (f *fold) evict(bound int, pinned func(entityKey) bool) (dropped int) {
	before := f.held
	groups := len(f.order)
	for visits := evictVisits; visits > 0 && f.held > bound && groups > 0; {
		g := f.order[f.evictAt%len(f.order)]
		visited := f.groups[g].Evict(min(visits, f.held-bound), func(e group.Entity) bool { return pinned(entityKey{g, e}) })
		visits -= max(1, visited)
		if visits > 0 {
			f.evictAt++
			groups--
		}
	}
	return before - f.held
}
