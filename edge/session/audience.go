package session

import (
	"runtime"

	"github.com/throng/throng/edge/hub"
)

// audience is the sessions of one shard that follow one channel.
type audience struct {
	source *hub.Source // static
	moved  bool        // it is in shard.moved; guarded by shard.mu

	// Owned by the shard's run.
	members []*follow
	left    bool // a member left while a pass was under way: its place is another's now
}

// join puts a follow among those its shard serves.
func (sh *shard) join(f *follow) {
	if f.audience != nil {
		return
	}
	source := f.sub.Source()
	sh.mu.Lock()
	a := sh.audiences[source]
	if a == nil {
		a = &audience{source: source}
		sh.audiences[source] = a
	}
	sh.mu.Unlock()
	f.audience, f.place = a, len(a.members)
	a.members = append(a.members, f)
}

// leave takes it out again.
func (sh *shard) leave(f *follow) {
	a := f.audience
	if a == nil {
		return
	}
	last := len(a.members) - 1
	moved := a.members[last]
	a.members[f.place], moved.place = moved, f.place
	a.members[last] = nil
	a.members = a.members[:last]
	a.left, f.audience = true, nil
	if last == 0 {
		sh.mu.Lock()
		delete(sh.audiences, a.source)
		sh.mu.Unlock()
	}
}

// pass brings all members to where the channel is. What is pending is joined
// once for all who stand at the same place and know no more and no less than
// everybody; the others are served by themselves.
func (sh *shard) pass(a *audience) {
	defer sh.batch.clear()
	a.left = false
	delivered, messages := 0, 0
	for i := 0; i < len(a.members); i++ {
		if i%turnWrites == turnWrites-1 {
			runtime.Gosched()
			sh.serveReady() // answers do not wait for a large channel
			if i >= len(a.members) {
				break
			}
		}
		f := a.members[i]
		s := f.session
		if f.dirty || s.closes {
			continue
		}
		if s.blocked || f.hint {
			sh.apart(f)
			continue
		}
		b := sh.batch.at(a.source, f.cursor)
		switch {
		case b == nil: // not all is at hand
			sh.apart(f)
		case b.to == f.cursor: // it is where the channel is
		case f.state.Load() != live: // asked only now: see follow.state
		case !f.sub.Shares(b.entries):
			sh.apart(f)
		default:
			if sh.give(f, b) {
				delivered += int(b.to - b.from)
				messages += len(b.marks)
			}
		}
	}
	sh.endpoint.config.Metrics.deliveries.Add(float64(delivered))
	sh.endpoint.config.Metrics.messages.Add(float64(messages))
	if a.left || sh.batch.cut {
		sh.Wake(a.source) // somebody may have been passed over, or there is more
	}
}

// apart has a member served by itself.
func (sh *shard) apart(f *follow) {
	if f.session.queue(f) && !f.session.blocked {
		f.session.signal()
	}
}

// give writes a batch to a member and reports whether it took all.
func (sh *shard) give(f *follow, b *batch) bool {
	s := f.session
	n, err := s.conn.Write(b.frames)
	if n == len(b.frames) {
		f.cursor = b.to
		return true
	}
	if err != nil {
		sh.end(s)
		return false
	}
	// What is written whole is delivered; of what is written in part the rest
	// goes first, and everything else stays in the ring.
	begun := 0
	for _, m := range b.marks {
		if n < m.end {
			if n > begun {
				s.unsent = append([]byte(nil), b.frames[n:m.end]...)
				f.cursor = m.upto
			}
			break
		}
		begun, f.cursor = m.end, m.upto
	}
	s.queue(f)
	sh.block(s)
	return false
}
