package sim

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/throng/throng/services/sequencer"
)

var (
	simSeeds  = flag.Int("sim.seeds", 1000, "how many seeds TestSimulation runs")
	simSeed   = flag.Uint64("sim.seed", 0, "the one seed TestSimulation runs, with its trace; 0 for -sim.seeds from 1 on")
	simDigest = flag.Bool("sim.digest", false, "with -sim.seed: print the hash of the trace instead of the trace")
)

// TestSimulation runs the whole system's own code in a world that loses, delays,
// repeats and reorders, where processes crash and pause and the lease may name
// anybody. Each seed is one order of things.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		w := newWorld(*simSeed, sabotage{})
		if !*simDigest {
			w.printf = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
		}
		w.run()
		if *simDigest {
			fmt.Printf("digest %x\n", w.digest.Sum64())
		}
		w.report(t)
		return
	}
	var next atomic.Uint64
	var mu sync.Mutex
	var sum tally
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= uint64(*simSeeds) && !t.Failed(); seed = next.Add(1) {
				w := newWorld(seed, sabotage{})
				w.run()
				w.report(t)
				mu.Lock()
				sum.add(w.tally)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if *simSeeds >= 100 && !t.Failed() {
		sum.check(t)
	}
	t.Logf("%d seeds: %+v", *simSeeds, sum)
}

func (s *tally) add(o tally) {
	s.steps += o.steps
	s.events += o.events
	s.fences += o.fences
	s.purges += o.purges
	s.renewed += o.renewed
	s.drained += o.drained
	s.loaded += o.loaded
	s.gaps += o.gaps
	s.queried += o.queried
	s.repeated += o.repeated
}

// check fails where something never happened that the seeds are there for.
func (s *tally) check(t *testing.T) {
	t.Helper()
	for what, count := range map[string]int{
		"purges": s.purges, "renewals of a fence": s.renewed, "drained terms": s.drained, "loads of an edge": s.loaded,
		"gaps of a reader": s.gaps, "reads of purged events": s.queried, "rows written again": s.repeated,
	} {
		if count < *simSeeds/20 {
			t.Errorf("only %d %s in %d seeds", count, what, *simSeeds)
		}
	}
}

func (w *world) report(t *testing.T) {
	t.Helper()
	for _, problem := range w.problems {
		t.Errorf("seed %d: %s", w.seed, problem)
	}
	if len(w.problems) > 0 {
		t.Logf("see what happened: go test ./ops/sim -count 1 -run 'TestSimulation$' -sim.seed %d", w.seed)
	}
}

// TestSimulationIsDeterministic shows that a seed is the whole story: twice the
// same one, here and in another process, the same trace.
func TestSimulationIsDeterministic(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 12; seed++ {
		var digests [2]string
		for i := range digests {
			w := newWorld(seed, sabotage{})
			w.run()
			digests[i] = fmt.Sprintf("digest %x", w.digest.Sum64())
		}
		if digests[0] != digests[1] {
			t.Errorf("seed %d: the trace is %s and then %s", seed, digests[0], digests[1])
		}
		if seed > 4 {
			continue
		}
		out, err := exec.Command(self, "-test.run", "^TestSimulation$", "-sim.digest", "-sim.seed", fmt.Sprint(seed)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), digests[0]+"\n") {
			t.Errorf("seed %d: the trace is %s here, in another process: %v %s", seed, digests[0], err, out)
		}
	}
}

// TestSimulationNotices breaks one thing at a time: a check that nothing can
// fail is none.
func TestSimulationNotices(t *testing.T) {
	const within = 100 // seeds
	for what, broken := range map[string]struct {
		sabotage sabotage
		says     string // in one of the problems
	}{
		"streams without fences":                 {sabotage{unfenced: true}, "in epoch"},
		"no duplicate window":                    {sabotage{withoutDedup: true}, "in the log 2 times"},
		"edges that take what does not follow":   {sabotage{anyOrder: true}, ": ring of "},
		"edges without beacons":                  {sabotage{noBeacons: true}, "has not heard of all"},
		"readers that do not pull what is gone":  {sabotage{ignoresGaps: true}, " in place of "},
		"projectors that go on behind a failure": {sabotage{goesOn: true}, "the sink"},
		"a sink that keeps repeated rows":        {sabotage{keepsRepeated: true}, " rows for "},
		"records written before their events":    {sabotage{sequencer: sequencer.Breakage{EarlySnapshot: true}}, "the log ends at"},
		"leases that are trusted for too long":   {sabotage{longLease: true}, " answers a read as of "},
		"records from replicas that lag":         {sabotage{sequencer: sequencer.Breakage{StaleLoads: true}}, "should have"},
		"answers before the commit":              {sabotage{sequencer: sequencer.Breakage{EarlyAnswer: true}}, "is not in the log"},
		"a purge of what is not projected":       {sabotage{sequencer: sequencer.Breakage{IgnoreProjected: true}}, "is not projected"},
		"a purge of the fence":                   {sabotage{sequencer: sequencer.Breakage{PurgeFence: true}}, "and so the fence at"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				w := newWorld(seed, broken.sabotage)
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
