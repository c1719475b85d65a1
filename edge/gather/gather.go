// Package gather makes one request of many questions that come up at the same
// time, as when ten thousand users come into a room at once and each is asked
// about. While nothing is under way a question goes out at once and alone; what
// comes up meanwhile waits and goes out together.
package gather

import (
	"context"
	"sync"
)

// Gather asks together what is asked at once. It starts no goroutine: whoever
// asks carries the request for those that wait with them.
type Gather[Q, A any] struct {
	// Static after New.
	ask    func(context.Context, []Q) []A
	most   int
	atOnce int

	mu      sync.Mutex
	running int             // requests under way, at most atOnce; guarded by mu
	waiting []*asking[Q, A] // oldest first, empty while running < atOnce; guarded by mu
}

// asking is one question. It has an answer, or carries a request that will bring
// it one.
type asking[Q, A any] struct {
	question Q
	carry    chan struct{} // closed when it is to carry the next request
	answer   chan A        // holds one
	left     bool          // its asker has given up; guarded by Gather.mu
}

// New returns a gather whose requests hold at most so many questions, with so
// many requests under way at once. ask answers each question, in their order;
// its ctx does not end with an asker's.
func New[Q, A any](most, atOnce int, ask func(context.Context, []Q) []A) *Gather[Q, A] {
	return &Gather[Q, A]{ask: ask, most: most, atOnce: atOnce}
}

// Ask returns the answer, or ctx's error where that ends before.
func (g *Gather[Q, A]) Ask(ctx context.Context, question Q) (A, error) {
	own := &asking[Q, A]{question: question, carry: make(chan struct{}), answer: make(chan A, 1)}
	g.mu.Lock()
	if g.running < g.atOnce {
		g.running++
		close(own.carry) // nobody else waits
	} else {
		g.waiting = append(g.waiting, own)
	}
	g.mu.Unlock()
	select {
	case <-own.carry:
		return g.request(ctx, own), nil
	case answer := <-own.answer:
		return answer, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	own.left = true
	select {
	case <-own.carry: // just now: somebody else is to
		g.next()
	default:
	}
	var none A
	return none, ctx.Err()
}

// request asks for its carrier and the oldest that wait, and has another carry
// the next one.
func (g *Gather[Q, A]) request(ctx context.Context, carrier *asking[Q, A]) A {
	batch := []*asking[Q, A]{carrier}
	g.mu.Lock()
	for ; len(g.waiting) > 0 && len(batch) < g.most; g.waiting = g.waiting[1:] {
		if !g.waiting[0].left {
			batch = append(batch, g.waiting[0])
		}
	}
	g.mu.Unlock()
	questions := make([]Q, len(batch))
	for i, a := range batch {
		questions[i] = a.question
	}
	answers := g.ask(context.WithoutCancel(ctx), questions) // others wait for it; ask has its own deadline
	for i, a := range batch[1:] {
		a.answer <- answers[i+1]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next()
	return answers[0]
}

// next has the oldest that waits carry a request; mu is held.
func (g *Gather[Q, A]) next() {
	for len(g.waiting) > 0 {
		oldest := g.waiting[0]
		g.waiting = g.waiting[1:]
		if !oldest.left {
			close(oldest.carry)
			return
		}
	}
	g.running--
}
