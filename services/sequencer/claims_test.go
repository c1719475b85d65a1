package sequencer

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/throng/throng/streams"
)

// world is instances that see the same leases, stepped until nothing moves.
type world struct {
	claims map[string]*Claims
	owners map[streams.Partition]string
	count  uint32
	moves  int
}

func (w *world) views() map[string]*Claims {
	views := map[string]*Claims{}
	for name := range w.claims {
		c := &Claims{
			instance: name, partitions: w.count, ready: make(chan struct{}),
			owners: map[streams.Partition]sighting{}, nodes: map[string]time.Time{},
		}
		close(c.ready)
		for other := range w.claims {
			c.nodes[other] = time.Now()
		}
		for p, owner := range w.owners {
			c.owners[p] = sighting{instance: owner, at: time.Now()}
		}
		views[name] = c
	}
	return views
}

// settle steps the world until nobody takes or gives, and counts the takes.
func (w *world) settle(t *rapid.T) {
	for range 200 {
		changed := false
		views := w.views()
		for p := range streams.Partition(w.count) {
			takers := 0
			for name, c := range views {
				if c.mayTake(p) {
					w.owners[p] = name
					w.moves++
					takers++
					changed = true
				}
			}
			if takers > 1 {
				t.Fatalf("%d instances take partition %d", takers, p)
			}
		}
		if changed {
			continue
		}
		for name, c := range views {
			for p := range streams.Partition(w.count) {
				if w.owners[p] == name && c.mustGive(p) {
					delete(w.owners, p)
					changed = true
				}
			}
		}
		if !changed {
			return
		}
	}
	t.Fatal("the shares don't settle")
}

func (w *world) spread() (least, most int) {
	counts := map[string]int{}
	for name := range w.claims {
		counts[name] = 0
	}
	for _, owner := range w.owners {
		counts[owner]++
	}
	least = int(w.count)
	for _, n := range counts {
		least, most = min(least, n), max(most, n)
	}
	return least, most
}

func TestSharesAreEvenAndMoveOnlyWhatMustMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			claims: map[string]*Claims{"i0": nil}, owners: map[streams.Partition]string{},
			count: uint32(rapid.IntRange(1, 24).Draw(t, "partitions")),
		}
		w.settle(t)
		for i := range rapid.IntRange(1, 8).Draw(t, "changes") {
			w.moves = 0
			var must int
			if len(w.claims) == 1 || rapid.Bool().Draw(t, "join") {
				w.claims[fmt.Sprintf("i%d", i+1)] = nil
				must = int(w.count) / len(w.claims) // the joining one's share
			} else {
				gone := ""
				for name := range w.claims {
					if gone == "" || name < gone {
						gone = name
					}
				}
				delete(w.claims, gone)
				for p, owner := range w.owners {
					if owner == gone {
						delete(w.owners, p)
						must++
					}
				}
			}
			w.settle(t)
			if least, most := w.spread(); most-least > 1 || len(w.owners) != int(w.count) {
				t.Fatalf("%d instances: shares from %d to %d, %d of %d partitions owned", len(w.claims), least, most, len(w.owners), w.count)
			}
			if w.moves > must {
				t.Fatalf("%d partitions moved where %d had to", w.moves, must)
			}
		}
	})
}
