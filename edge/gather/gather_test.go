package gather_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/throng/throng/edge/gather"
)

// doubling takes a while for a request and doubles what it is asked.
func doubling(sizes *[]int, mu *sync.Mutex) func(context.Context, []int) []int {
	return func(_ context.Context, questions []int) []int {
		mu.Lock()
		*sizes = append(*sizes, len(questions))
		mu.Unlock()
		<-time.After(time.Second)
		answers := make([]int, len(questions))
		for i, q := range questions {
			answers[i] = 2 * q
		}
		return answers
	}
}

// It proves that who comes while a request is under way goes with the others,
// that requests stay as small and as few as they shall, and that everybody has
// their own answer.
func TestWhatWaitsGoesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		g := gather.New(10, 2, doubling(&sizes, &mu))
		began := time.Now()
		var all sync.WaitGroup
		for i := range 42 {
			all.Go(func() {
				if got, err := g.Ask(t.Context(), i); got != 2*i || err != nil {
					t.Errorf("of %d: %d, %v", i, got, err)
				}
			})
		}
		all.Wait()
		if len(sizes) != 6 || sizes[0] != 1 || sizes[1] != 1 {
			t.Errorf("requests of %v questions, want 1, 1, and 40 in four", sizes)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v, want three rounds of two", took)
		}
		if got, err := g.Ask(t.Context(), 7); got != 14 || err != nil || len(sizes) != 7 {
			t.Errorf("alone: %d, %v, in request %d", got, err, len(sizes))
		}
	})
}

// Whoever gives up holds up nobody, not even when it was their turn to carry.
func TestWhoGivesUpHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		g := gather.New(2, 1, doubling(&sizes, &mu))
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var given atomic.Int32
		var all sync.WaitGroup
		for i := range 9 {
			all.Go(func() {
				ctx := t.Context()
				if i%2 == 1 {
					ctx = short
				}
				got, err := g.Ask(ctx, i)
				switch {
				case errors.Is(err, context.DeadlineExceeded) && i%2 == 1:
					given.Add(1)
				case err != nil || got != 2*i:
					t.Errorf("of %d: %d, %v", i, got, err)
				}
			})
			synctest.Wait() // so that they wait in this order
		}
		all.Wait()
		if given.Load() != 4 {
			t.Errorf("%d gave up", given.Load())
		}
		if got, err := g.Ask(t.Context(), 1); got != 2 || err != nil {
			t.Errorf("after all: %d, %v", got, err)
		}
	})
}

// A request is for all that wait with its carrier: it does not end when the
// carrier's patience does.
func TestARequestOutlivesItsCarrier(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := gather.New(2, 1, func(ctx context.Context, questions []int) []int {
		cancel()
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		return questions
	})
	if got, err := g.Ask(ctx, 3); got != 3 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}
