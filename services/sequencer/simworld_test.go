package sequencer

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/throng/throng/streams"
)

// sabotage breaks one thing, to show that the checks notice.
type sabotage struct {
	unfenced      bool // the streams believe nothing that is expected of them
	withoutDedup  bool // the duplicate window is off
	anyOrder      bool // readers take what comes without looking whether it follows
	earlySnapshot bool // records are written before the events they reflect are stored
	earlyAnswer   bool // commands are answered before their events are stored
	staleLoads    bool // records are loaded from replicas of any age
}

// simWorld is one simulated partition: two streams, instances that may own it,
// clients, readers and a projector. One goroutine does everything, in an order
// that follows from the seed alone.
type simWorld struct {
	seed     uint64
	rng      *rand.Rand
	now      time.Time
	severity float64 // of faults; 0 while healing
	sabotage sabotage
	batches  bool // how the log is appended to
	aging    bool // now and then the duplicate window passes

	log, state *simStream
	conns      []*simConn
	instances  []*simInstance
	leader     int // the instance that is said to own the partition
	clients    []*simClient
	readers    []*simReader
	projector  *simProjector

	depth    int // of steps within questions
	steps    int
	digest   hash.Hash64
	printf   func(format string, args ...any) // nil: the trace is only hashed
	problems []string
}

// simSteps is how long a seed works before it is healed.
const simSteps = 4000

var simStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newSimWorld(seed uint64, s sabotage) *simWorld {
	w := &simWorld{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7468726f6e67)), now: simStart, sabotage: s,
		log:    newSimStream(streams.LogStream(0), "throng.log.0.", false),
		state:  newSimStream(streams.StateStream(0), "throng.state.0.", true),
		digest: fnv.New64a(),
	}
	w.severity = []float64{0, 0.2, 1, 1, 2, 4}[w.below(6)]
	w.batches, w.aging = w.below(2) == 0, w.below(3) == 0
	w.log.unfenced, w.state.unfenced = s.unfenced, s.unfenced
	w.log.stored, w.state.stored = w.republish, w.checkRecord
	w.log.pageAtMost, w.state.pageAtMost = w.page, w.page
	for i := range 2 + w.below(2) {
		w.instances = append(w.instances, &simInstance{world: w, name: fmt.Sprintf("i%d", i), number: i})
	}
	for i := range 3 + w.below(2) {
		w.clients = append(w.clients, newSimClient(w, i))
	}
	for i := range 2 {
		w.readers = append(w.readers, newSimReader(w, i))
	}
	w.projector = newSimProjector(w)
	return w
}

func (w *simWorld) below(n int) int { return w.rng.IntN(n) }

// chance is whether a fault of this probability happens now.
func (w *simWorld) chance(p float64) bool { return w.rng.Float64() < p*w.severity }

func (w *simWorld) page(limit int) int { return min(limit, 1+w.below(60)) }

func (w *simWorld) trace(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	_, _ = w.digest.Write([]byte(line))
	if w.printf != nil {
		w.printf("%6d %*s%s", w.now.Sub(simStart).Milliseconds(), 2*w.depth, "", line)
	}
}

func (w *simWorld) problem(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.trace("PROBLEM %s", line)
	if len(w.problems) < 10 {
		w.problems = append(w.problems, line)
	}
}

func (w *simWorld) stream(name string) *simStream {
	if name == w.log.name {
		return w.log
	}
	return w.state
}

func (w *simWorld) streamOf(subject string) *simStream {
	for _, s := range []*simStream{w.log, w.state} {
		if simMatches(s.prefix+">", subject) {
			return s
		}
	}
	return nil
}

func (w *simWorld) republish(m simMessage) {
	for _, r := range w.readers {
		r.live(m)
	}
}

// step lets somebody do something.
func (w *simWorld) step() {
	w.steps++
	switch w.below(100) {
	case 0, 1, 2, 3, 4, 5, 6, 7, 8, 9:
		w.now = w.now.Add(time.Duration(w.below(40)) * time.Millisecond)
	case 10:
		if w.below(5) == 0 {
			w.now = w.now.Add(time.Duration(w.below(6000)) * time.Millisecond)
		}
	case 11:
		if w.severity > 0 && w.below(3) == 0 {
			w.leader = w.below(len(w.instances))
			w.trace("the lease says %s", w.instances[w.leader].name)
		}
	case 12:
		if w.aging && w.below(8) == 0 {
			w.now = w.now.Add(16 * time.Minute)
		}
	case 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29:
		w.clients[w.below(len(w.clients))].step()
	case 30, 31, 32, 33, 34, 35, 36, 37:
		w.readers[w.below(len(w.readers))].step()
	case 38, 39, 40, 41:
		w.projector.step()
	case 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69:
		w.conns[w.below(len(w.conns))].step()
	default:
		w.instances[w.below(len(w.instances))].step()
	}
}

// meanwhile lets others go on while somebody waits for an answer.
func (w *simWorld) meanwhile() {
	if w.depth >= 2 || w.below(2) == 0 {
		return
	}
	w.depth++
	for range w.below(5) * w.below(5) {
		w.step()
	}
	w.depth--
}

// run does the seed's work and comes to rest.
func (w *simWorld) run() {
	w.trace("seed %d severity %v batches %v aging %v", w.seed, w.severity, w.batches, w.aging)
	for range simSteps {
		w.step()
	}
	w.heal()
	for range 100 {
		if w.rests() {
			break
		}
		for range 200 {
			w.step()
		}
	}
	if !w.rests() {
		w.problem("the world does not come to rest: %s", w.unrest())
		return
	}
	w.check()
}

// heal ends all faults. What is on its way still arrives.
func (w *simWorld) heal() {
	w.trace("healing")
	w.severity = 0
	w.leader = w.below(len(w.instances))
	for _, r := range w.readers {
		r.resync = true
	}
}

func (w *simWorld) rests() bool { return w.unrest() == "" }

// unrest says what there is still to do.
func (w *simWorld) unrest() string {
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
	for _, r := range w.readers {
		if !r.current() {
			return r.conn.name + " is behind"
		}
	}
	if w.projector.stored != w.log.last() {
		return fmt.Sprintf("the projector has stored %d of %d", w.projector.stored, w.log.last())
	}
	return ""
}
