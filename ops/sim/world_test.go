package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
)

// sabotage breaks one thing, to show that the checks notice.
type sabotage struct {
	unfenced      bool // the streams believe nothing that is expected of them
	withoutDedup  bool // the duplicate window is off
	anyOrder      bool // edges take what comes without looking whether it follows
	ignoresGaps   bool // readers go on behind a gap without pulling it
	longLease     bool // owners trust their lease whoever has taken over
	noBeacons     bool // edges do not look at beacons
	goesOn        bool // projectors go on behind what failed instead of asking the sink
	keepsRepeated bool // the sink keeps what is written twice twice
	sequencer     sequencer.Breakage
}

// groups are those of the world.
var groups = []streams.Group{"g", "h"}

// world is one simulated partition: two streams, instances that may own it,
// clients, edges with readers, projectors and their sink. What happens when
// follows from the seed alone.
type world struct {
	seed      uint64
	rng       *rand.Rand
	now       time.Time
	severity  float64 // of faults; 0 while healing
	sabotage  sabotage
	batches   bool          // how the log is appended to
	aging     bool          // now and then the duplicate window passes
	hotWindow time.Duration // 0: the log is kept
	linger    int           // how slowly instances notice that the lease is another's

	log, state *stream
	sink       *sink
	conns      []*conn
	instances  []*instance
	leader     int // the instance that is said to own the partition
	clients    []*client
	edges      []*edge
	projectors []*projector

	tasks        []*task
	posted       int          // events in the log
	acknowledged uint64       // newest sequence a sender was told
	current      *task        // the one that runs
	ghosts       []func() any // what dead processes asked and may still be done
	quiet        bool         // nothing else happens any more
	healing      bool         // there are no faults any more
	deaf         bool         // edges hear nothing of the log but beacons
	tally

	digest   hash.Hash64
	printf   func(format string, args ...any) // nil: the trace is only hashed
	problems []string
}

// tally counts what a test must have seen to mean anything.
type tally struct {
	steps, events, fences, purges, renewed, drained, loaded, gaps, queried, repeated int
}

// simSteps is how long a seed works before it is healed.
const simSteps = 8000

var simStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(seed uint64, s sabotage) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7468726f6e67)), now: simStart, sabotage: s,
		log:    newStream(streams.LogStream(0), "throng.log.0.", false),
		state:  newStream(streams.StateStream(0), "throng.state.0.", true),
		digest: fnv.New64a(),
	}
	w.severity = []float64{0, 0.2, 1, 1, 2, 4}[w.below(6)]
	w.batches, w.aging = w.below(2) == 0, w.below(3) == 0
	w.hotWindow = []time.Duration{0, 100 * time.Millisecond, time.Second, 10 * time.Second}[w.below(4)]
	w.linger = []int{10, 30, 300}[w.below(3)]
	w.log.unfenced, w.state.unfenced = s.unfenced, s.unfenced
	w.log.stored, w.state.stored = w.republish, w.checkRecord
	w.log.purged = w.checkPurge
	w.log.pageAtMost, w.state.pageAtMost = w.page, w.page
	w.sink = newSink(w)
	for i := range 2 + w.below(2) {
		w.instances = append(w.instances, &instance{world: w, name: fmt.Sprintf("i%d", i), number: i})
	}
	for i := range 3 + w.below(2) {
		w.clients = append(w.clients, newClient(w, i))
	}
	for i := range 2 {
		w.edges = append(w.edges, newEdge(w, i))
		w.projectors = append(w.projectors, newProjector(w, i))
	}
	return w
}

func (w *world) below(n int) int { return w.rng.IntN(n) }

// chance is whether a fault of this probability happens now.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p*w.severity }

func (w *world) page(limit int) int { return min(limit, 1+w.below(60)) }

func (w *world) trace(format string, args ...any) {
	line := fmt.Appendf(nil, format, args...)
	_, _ = w.digest.Write(line)
	if w.printf != nil {
		w.printf("%8d  %s", w.now.Sub(simStart).Milliseconds(), line)
	}
}

func (w *world) problem(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.trace("PROBLEM %s", line)
	if len(w.problems) < 10 {
		w.problems = append(w.problems, line)
	}
}

func (w *world) stream(name string) *stream {
	if name == w.log.name {
		return w.log
	}
	return w.state
}

// streamOf is the stream that stores a subject, nil if none does.
func (w *world) streamOf(subject string) *stream {
	for _, s := range []*stream{w.log, w.state} {
		if matches(s.prefix+">", subject) {
			return s
		}
	}
	return nil
}

func (w *world) republish(m message) {
	if token, _ := streams.ParseLog(m.subject); token.Group != "" {
		w.posted++
	}
	for _, e := range w.edges {
		e.live(m)
	}
}

// step lets somebody do something.
func (w *world) step() {
	w.steps++
	switch k := w.below(100); {
	case k < 7:
		w.now = w.now.Add(time.Duration(w.below(40)) * time.Millisecond)
	case k < 8:
		w.stepRarely()
	case k < 20:
		w.clients[w.below(len(w.clients))].step()
	case k < 31:
		w.edges[w.below(len(w.edges))].step()
	case k < 36:
		e := w.edges[w.below(len(w.edges))]
		e.readers[w.below(len(e.readers))].step()
	case k < 44:
		w.projectors[w.below(len(w.projectors))].step()
	case k < 60:
		w.stepConn()
	case k < 74:
		for range 1 + w.below(8) {
			w.stepTask()
		}
	default:
		w.instances[w.below(len(w.instances))].step()
	}
}

// stepConn moves messages of some connection that has any.
func (w *world) stepConn() {
	from := w.below(len(w.conns))
	for i := range w.conns {
		if c := w.conns[(from+i)%len(w.conns)]; len(c.out)+len(c.in) > 0 {
			c.step()
			return
		}
	}
}

func (w *world) stepRarely() {
	switch k := w.below(16); {
	case k < 3:
		w.now = w.now.Add(time.Duration(w.below(6000)) * time.Millisecond)
	case k < 6 && w.severity > 0:
		w.leader = w.below(len(w.instances))
		w.trace("the lease says %s", w.instances[w.leader].name)
	case k < 7 && w.aging && !w.healing && w.steps > 1500 && w.below(2) == 0:
		w.now = w.now.Add(16 * time.Minute)
	case k < 10:
		w.stepGhost()
	default:
		w.bury()
	}
}

// run does the seed's work and comes to rest.
func (w *world) run() {
	w.trace("seed %d severity %v batches %v aging %v hot window %v", w.seed, w.severity, w.batches, w.aging, w.hotWindow)
	for range simSteps {
		w.step()
	}
	w.heal()
	if w.rest() && (w.seed%4 != 0 || w.restByBeacons()) {
		w.check()
	}
	w.events, w.fences = len(w.sink.events), len(w.log.messages)-len(w.sink.events)
	w.finish()
}

// rest lets everybody finish.
func (w *world) rest() bool {
	for range 200 {
		if w.unrest() == "" {
			return true
		}
		for range 200 {
			w.step()
		}
	}
	w.problem("the world does not come to rest: %s", w.unrest())
	return false
}

// restByBeacons lets clients go on while edges hear nothing of the log, nor
// compare with the owner: what they lack in the end beacons alone tell them of.
func (w *world) restByBeacons() bool {
	w.trace("beacons alone")
	w.deaf = true
	for _, c := range w.clients {
		c.left += 2
	}
	return w.rest()
}

// heal ends all faults. What is on its way still arrives.
func (w *world) heal() {
	w.trace("healing")
	w.severity, w.healing = 0, true
	for _, c := range w.conns {
		c.paused = 0
	}
	w.leader = w.below(len(w.instances))
	for _, e := range w.edges {
		e.compare()
	}
}

// finish ends all coroutines.
func (w *world) finish() {
	for _, e := range w.edges {
		for _, v := range e.views {
			v.log.Close()
		}
	}
	for _, c := range w.conns {
		if !c.dead {
			c.die()
		}
	}
}

// unrest says what there is still to do.
func (w *world) unrest() string {
	for _, c := range w.conns {
		if len(c.out)+len(c.in) > 0 {
			return c.name + " has messages on their way"
		}
	}
	for _, i := range w.instances {
		if what := i.unrest(); what != "" {
			return i.name + " " + what
		}
	}
	for _, c := range w.clients {
		if c.left > 0 || len(c.batch) > 0 {
			return "client " + string(c.user) + " waits for answers"
		}
	}
	for _, p := range w.projectors {
		if what := p.unrest(); what != "" {
			return p.name + " " + what
		}
	}
	for _, e := range w.edges {
		if what := e.unrest(); what != "" {
			return e.name + " " + what
		}
	}
	if len(w.ghosts) > 0 {
		return "something is left of dead processes"
	}
	return ""
}
