package sequencer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// simInstance is one process. It runs the term as serve does, but for the
// order in which things happen, which is the scheduler's.
type simInstance struct {
	world    *simWorld
	name     string
	number   int
	conn     *simConn
	seq      *Sequencer // nil: the process is down
	term     *term      // nil: it does not serve
	tasks    []func()   // started beside the deciding
	requests []*Batch   // on their way to it
	busy     bool       // within a step
	paused   int        // steps it will not be given
}

var simMetrics = NewMetrics(prometheus.NewRegistry())

func (i *simInstance) start() {
	w := i.world
	i.conn = w.connect(i.name)
	replicas := 1
	if w.batches {
		replicas = 3
	}
	config := Config{
		Deployment: topology.Deployment{Partitions: 1, Replicas: replicas},
		Claims:     NewClaims(nil, i.name, 1), Logger: slog.New(slog.DiscardHandler), Metrics: simMetrics,
		Now: func() time.Time { return w.now }, SnapshotEvery: 300 * time.Millisecond,
		WithoutDedup: w.sabotage.withoutDedup, MaxHeld: 2,
	}
	i.seq = newSequencer(config, i.conn, func(f func()) { i.tasks = append(i.tasks, f) })
	w.trace("%s starts", i.name)
}

func (i *simInstance) crash() {
	i.world.trace("%s crashes", i.name)
	i.conn.die()
	i.seq, i.term, i.tasks, i.requests = nil, nil, nil, nil
}

func (i *simInstance) step() {
	w := i.world
	switch {
	case i.paused > 0 && w.severity > 0:
		i.paused--
		return
	case w.chance(0.004):
		i.paused = w.below(60)
		w.trace("%s pauses", i.name)
		return
	case i.seq != nil && w.chance(0.003):
		i.crash()
		return
	case i.busy:
		return
	case i.seq == nil:
		if w.below(4) == 0 {
			i.start()
		}
		return
	}
	conn := i.conn
	i.busy = true
	var err error
	for range 1 + w.below(4) {
		if err = i.act(); err != nil || conn.dead {
			break
		}
	}
	i.busy = false
	if conn.dead { // it crashed in the middle
		if i.seq != nil && i.conn == conn {
			panic("a dead process goes on")
		}
		return
	}
	if err != nil {
		w.trace("%s: the term ends: %v", i.name, simCause(err))
		i.end()
	}
}

// simCause leaves out of an error what differs from run to run.
func simCause(err error) error {
	for _, known := range []error{errLeaseLost, eventlog.ErrFenced, eventlog.ErrFull, eventlog.ErrUnknown} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

// end is what runTerm does behind serve.
func (i *simInstance) end() {
	t := i.term
	if t == nil {
		return
	}
	i.busy = true
	for len(i.tasks) > 0 {
		i.runTask()
	}
	i.busy = false
	if i.term != t { // it crashed meanwhile
		return
	}
	if i.world.below(2) == 0 { // what had been delivered when the subscription was drained
		for _, b := range i.requests {
			_ = i.seq.Submit(b)
		}
	}
	i.requests = nil
	i.seq.unanswered = append(t.waiting, t.abandonLoads()...)
	t.close()
	i.term = nil
}

func (i *simInstance) runTask() {
	f := i.tasks[0]
	i.tasks = i.tasks[1:]
	f()
}

// act does one thing.
func (i *simInstance) act() error {
	w := i.world
	owns := w.leader == i.number
	if i.term == nil {
		if owns && w.below(3) == 0 || w.chance(0.002) {
			return i.takeOver()
		}
		return nil
	}
	if !owns && w.below(30) == 0 || w.severity == 0 && i.epochIsOld() {
		return errLeaseLost
	}
	if len(i.tasks) > 0 && w.below(4) == 0 {
		i.runTask()
		return nil
	}
	t, from := i.term, w.below(7)
	if w.sabotage.staleLoads {
		t.stored = 0
	}
	for k := range 7 {
		if did, err := i.serve(t, (from+k)%7); did {
			return err
		}
	}
	return nil
}

func (i *simInstance) takeOver() error {
	w, conn := i.world, i.conn
	t := i.seq.newTerm("sim", &retention{purged: make(chan purgeOutcome, 1)})
	t.chunk = 1 + w.below(5)
	err := t.begin(context.Background())
	if conn.dead {
		return nil
	}
	if err != nil {
		w.trace("%s fails to take over: %v", i.name, simCause(err))
		t.close()
		return nil
	}
	w.trace("%s serves epoch %d from %d, replayed %d", i.name, t.log.Epoch(), t.fold.checkpoint, t.fold.replayed)
	i.term = t
	return t.resume(context.Background())
}

// serve does what serve's case of that number does, if it is ready.
func (i *simInstance) serve(t *term, which int) (did bool, err error) {
	w := i.world
	switch which {
	case 0:
		if len(i.requests) > 0 {
			b := i.requests[0]
			i.requests = i.requests[1:]
			return true, i.seq.Submit(b)
		}
	case 1:
		if len(i.seq.inbox) > 0 && !t.full() && len(t.loads.behind) < maxBehind {
			err := t.take(context.Background(), <-i.seq.inbox)
			i.answerEarly(t)
			return true, err
		}
	case 2:
		if len(t.loads.fetched) > 0 && !t.full() {
			return true, t.arrived(context.Background(), <-t.loads.fetched)
		}
	case 3:
		if len(t.log.Replies()) > 0 {
			return true, t.settle(t.log.Settle(<-t.log.Replies()))
		}
	case 4:
		if len(t.state.Replies()) > 0 {
			return true, t.settleState(t.state.Settle(<-t.state.Replies()))
		}
	case 5:
		return true, i.tick(t)
	case 6:
		if w.below(4) == 0 {
			t.publishBeacon()
			t.fold.dedup.expire(t.now())
			return true, nil
		}
	}
	return false, nil
}

// tick is the term's, but for the order of a snapshot's records, which follows
// from maps.
func (i *simInstance) tick(t *term) error {
	w := i.world
	if w.now.After(t.nextSnapshot) && t.snap.seq == 0 {
		if err := t.startSnapshot(); err != nil {
			return err
		}
		sortEntities(t.snap.queue)
		t.nextSnapshot = w.now.Add(i.seq.config.SnapshotEvery)
		w.trace("%s begins a snapshot at %d of %d records", i.name, t.snap.seq, len(t.snap.queue))
	}
	if w.sabotage.earlySnapshot {
		defer func(committed streams.Seq) { t.committed = committed }(t.committed)
		t.committed = t.log.Next() - 1
	}
	return t.tick(context.Background())
}

func (i *simInstance) answerEarly(t *term) {
	if i.world.sabotage.earlyAnswer {
		for _, b := range t.waiting {
			b.wait = 0
		}
		t.answer()
	}
}

// unrest says what there is still to do.
func (i *simInstance) unrest() string {
	switch {
	case i.seq == nil:
		return "is down"
	case i.number != i.world.leader:
		if i.term != nil {
			return "serves without owning"
		}
		return ""
	case i.term == nil:
		return "does not serve"
	case len(i.requests)+len(i.seq.inbox)+len(i.tasks)+len(i.term.loads.places)+len(i.term.loads.behind)+len(i.term.waiting) > 0:
		return fmt.Sprintf("has commands to decide: %d requests, %d in the inbox, %d tasks, %d fetching, %d behind, %d waiting",
			len(i.requests), len(i.seq.inbox), len(i.tasks), len(i.term.loads.places), len(i.term.loads.behind), len(i.term.waiting))
	case i.term.log.Unsettled()+i.term.state.Unsettled() > 0:
		return "has appends in flight"
	}
	return ""
}

// epochIsOld reports whether a newer fence stands.
func (i *simInstance) epochIsOld() bool {
	return i.term == nil || streams.Seq(i.term.log.Epoch()) < i.world.log.lastOf[streams.FenceSubject(0)]
}

func (i *simInstance) submit(commands []Command, respond func([]*streampb.Result)) {
	conn := i.conn
	i.requests = append(i.requests, &Batch{Commands: commands, Respond: func(results []*streampb.Result) {
		if !conn.dead {
			respond(results)
		}
	}})
}

func sortEntities(keys []entityKey) {
	slices.SortFunc(keys, func(a, b entityKey) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.entity.Channel, b.entity.Channel), cmp.Compare(a.entity.Member, b.entity.Member),
			cmp.Compare(a.entity.Attribute, b.entity.Attribute), cmp.Compare(a.entity.Card, b.entity.Card))
	})
}
