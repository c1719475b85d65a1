package hub

import (
	"sync"

	"github.com/throng/throng/streams"
)

// position is a version and the number that belongs to it. Its lock nests in all
// others.
type position struct {
	mu sync.Mutex
	v  streams.Version // guarded by mu
	n  streams.Number  // guarded by mu
}

func (p *position) set(v streams.Version, n streams.Number) {
	p.mu.Lock()
	p.v, p.n = v, n
	p.mu.Unlock()
}

func (p *position) get() (streams.Version, streams.Number) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.v, p.n
}
