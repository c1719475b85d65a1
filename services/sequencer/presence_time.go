package sequencer

import "time"

// pass does what time does to presence: silent edges are gone, and who was
// waited for.
func (p *presence) pass(now time.Time) {
	for name, e := range p.edges {
		if now.Sub(e.heard) < silentAfter {
			continue
		}
		for g := range e.groups {
			p.drop(e, g, now)
		}
		delete(p.edges, name)
	}
	ms := now.UnixMilli()
	for g := range p.timed {
		at := p.groups[g]
		for h, until := range at.waits {
			if until <= ms {
				delete(at.waits, h)
				p.doubt[g] = struct{}{}
			}
		}
		for h, until := range at.away {
			if until <= ms && at.users[h] == 0 {
				delete(at.away, h)
			}
		}
		if len(at.waits)+len(at.away) > 0 {
			continue
		}
		delete(p.timed, g)
		if len(at.users)+len(at.rosters) == 0 {
			delete(p.groups, g)
		}
	}
}

// again gives everybody time until then to be heard, after a while in which
// nobody could be.
func (p *presence) again(now, until time.Time) {
	for _, e := range p.edges {
		e.heard = now
	}
	for g := range p.timed {
		at := p.groups[g]
		for h := range at.waits {
			at.waits[h] = max(at.waits[h], until.UnixMilli())
		}
	}
}
