package sequencer

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	simSeeds = flag.Int("sim.seeds", 300, "how many seeds TestSimulation runs")
	simSeed  = flag.Uint64("sim.seed", 0, "the one seed TestSimulation runs, with its trace; 0 for -sim.seeds from 1 on")
)

// TestSimulation runs the sequencer's own code against a simulated JetStream
// that loses, delays, repeats and reorders, in a world where processes crash
// and pause and the lease may name anybody. Each seed is one order of things.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		w := newSimWorld(*simSeed, sabotage{})
		w.printf = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
		w.run()
		w.report(t)
		return
	}
	const shares = 8
	for share := range shares {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			t.Parallel()
			for seed := share + 1; seed <= *simSeeds; seed += shares {
				w := newSimWorld(uint64(seed), sabotage{})
				w.run()
				w.report(t)
			}
		})
	}
}

func (w *simWorld) report(t *testing.T) {
	t.Helper()
	for _, problem := range w.problems {
		t.Errorf("seed %d: %s", w.seed, problem)
	}
	if len(w.problems) > 0 {
		t.Logf("see what happened: go test ./services/sequencer -run TestSimulation$ -sim.seed %d", w.seed)
	}
}

// TestSimulationIsDeterministic shows that a seed is the whole story: twice the
// same one, twice the same trace.
func TestSimulationIsDeterministic(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		var digests [2]uint64
		for i := range digests {
			w := newSimWorld(seed, sabotage{})
			w.run()
			digests[i] = w.digest.Sum64()
		}
		if digests[0] != digests[1] {
			t.Errorf("seed %d: the trace is %x and then %x", seed, digests[0], digests[1])
		}
	}
}

// TestSimulationNotices breaks one thing at a time: a check that nothing can
// fail is none.
func TestSimulationNotices(t *testing.T) {
	const within = 60 // seeds
	for what, broken := range map[string]struct {
		sabotage sabotage
		says     string // in one of the problems
	}{
		"streams without fences":                 {sabotage{unfenced: true}, "in epoch"},
		"no duplicate window":                    {sabotage{withoutDedup: true}, "in the log 2 times"},
		"readers that take what does not follow": {sabotage{anyOrder: true}, " events after "},
		"records written before their events":    {sabotage{earlySnapshot: true}, "the log ends at"},
		"records from replicas that lag":         {sabotage{staleLoads: true}, "should have"},
		"answers before the commit":              {sabotage{earlyAnswer: true}, "is not in the log"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				w := newSimWorld(seed, broken.sabotage)
				w.run()
				for _, problem := range w.problems {
					if strings.Contains(problem, broken.says) {
						t.Logf("noticed at seed %d: %s", seed, problem)
						return
					}
				}
			}
			t.Errorf("not noticed within %d seeds", within)
		})
	}
}
