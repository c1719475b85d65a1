package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// instance is one process of services.
type instance struct {
	world    *world
	name     string
	number   int
	conn     *conn
	seq      *sequencer.Stepped // nil: the process is down
	requests []*sequencer.Batch // on their way to it
	open     int                // batches it was handed and has not answered

	waiting bool  // for NATS: nothing else is done meanwhile
	leaving bool  // it drains
	exits   bool  // and the process ends then
	over    bool  // the term is, once nothing runs beside it
	cause   error // of that

	nextRetain time.Time
	patience   time.Time // up to when it drains
}

var metrics = sequencer.NewMetrics(prometheus.NewRegistry())

func (i *instance) start() {
	w := i.world
	i.conn = w.connect(i.name)
	deployment := topology.Deployment{Partitions: 1, Replicas: 1, HotWindow: w.hotWindow}
	if w.batches {
		deployment.Replicas = 3
	}
	conn := i.conn
	i.seq = sequencer.NewStepped(sequencer.Config{
		Deployment: deployment, Claims: sequencer.NewClaims(nil, i.name, 1),
		Logger: slog.New(slog.DiscardHandler), Metrics: metrics,
		Now: func() time.Time { return w.now }, SnapshotEvery: 300 * time.Millisecond,
		WithoutDedup: w.sabotage.withoutDedup, MaxHeld: 2,
	}, conn, func(f func()) { w.start(conn, f) }, i.trusted, w.sabotage.sequencer)
	i.waiting, i.leaving, i.exits, i.over, i.open = false, false, false, false, 0
	w.trace("%s starts", i.name)
}

func (i *instance) crash() {
	i.world.trace("%s crashes", i.name)
	i.conn.die()
	i.seq, i.requests = nil, nil
}

// trusted is what the lease says, if clocks are as they should: true only while
// nobody else can have taken over.
func (i *instance) trusted() bool {
	return i.world.sabotage.longLease || !i.epochIsOld() && i.world.below(4) > 0
}

// listens reports whether it takes requests.
func (i *instance) listens() bool {
	return i.seq != nil && i.seq.Serving() && !i.leaving && !i.over
}

func (i *instance) step() {
	w := i.world
	switch {
	case i.seq == nil:
		if w.below(4) == 0 {
			i.start()
		}
	case i.conn.paused > 0 && w.severity > 0:
		i.conn.paused--
	case w.chance(0.004):
		i.conn.paused = w.below(60)
		w.trace("%s pauses", i.name)
	case w.chance(0.003):
		i.crash()
	case i.over:
		i.conn.paused = 0
		i.end()
	case !i.waiting:
		i.conn.paused = 0
		for range 1 + w.below(6) {
			if i.waiting || i.over {
				break
			}
			i.act()
		}
	}
}

// act does one thing.
func (i *instance) act() {
	w := i.world
	owns := w.leader == i.number
	if !i.seq.Serving() {
		if owns && w.below(3) == 0 || w.chance(0.002) {
			i.await(i.takeOver)
		}
		return
	}
	switch {
	case i.leaving:
		i.drain()
		return
	case !owns && w.below(w.linger) == 0 || w.severity == 0 && i.epochIsOld():
		if w.below(2) == 0 {
			i.leave(false)
		} else {
			i.fail(sequencer.ErrLeaseLost)
		}
		return
	case w.chance(0.0008):
		i.leave(true)
		return
	case i.seq.MustRenew():
		i.await(func() error {
			w.trace("%s renews its fence", i.name)
			w.renewed++
			return i.seq.Renew(context.Background())
		})
		return
	}
	from := w.below(sequencer.Things + 1)
	for k := range sequencer.Things + 1 {
		if did, err := i.serve((from + k) % (sequencer.Things + 1)); did || err != nil {
			i.fail(err)
			return
		}
	}
}

func (i *instance) serve(thing int) (did bool, err error) {
	w := i.world
	switch thing {
	case sequencer.Things:
		if len(i.requests) == 0 {
			return false, nil
		}
		i.submit1()
		return true, nil
	case 6:
		if w.now.Before(i.nextRetain) {
			return false, nil
		}
		i.nextRetain = w.now.Add(300 * time.Millisecond)
	case 7:
		if w.below(4) > 0 {
			return false, nil
		}
	}
	return i.seq.Do(context.Background(), thing)
}

// submit1 hands in the oldest request, as NATS delivers it.
func (i *instance) submit1() {
	b := i.requests[0]
	i.requests = i.requests[1:]
	if i.seq.Submit(b) == nil {
		i.open++
	}
}

// await does what waits for NATS.
func (i *instance) await(f func() error) {
	conn := i.conn
	i.waiting = true
	i.world.start(conn, func() {
		err := f()
		if conn.dead {
			return
		}
		i.waiting = false
		i.fail(err)
	})
}

// fail ends the term if err is not nil.
func (i *instance) fail(err error) {
	if err != nil && !i.over && i.seq.Serving() {
		i.world.trace("%s: the term ends: %v", i.name, plain(err))
		i.over, i.cause = true, err
	}
}

// plain leaves out of an error what differs from run to run.
func plain(err error) error {
	for _, known := range []error{sequencer.ErrLeaseLost, eventlog.ErrFenced, eventlog.ErrFull, eventlog.ErrUnknown, errLost} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

func (i *instance) takeOver() error {
	w, conn := i.world, i.conn
	err := i.seq.TakeOver(context.Background(), 1+w.below(5))
	switch {
	case conn.dead:
		return nil
	case err != nil:
		w.trace("%s fails to take over: %v", i.name, plain(err))
		return nil
	}
	memory := i.seq.Memory()
	w.trace("%s serves epoch %d from %d, replayed %d", i.name, i.seq.Epoch(), memory.Checkpoint(), memory.Replayed())
	return i.seq.Resume(context.Background())
}

// leave begins a clean end, of the term or of the process. What was delivered
// before it stopped listening is still taken.
func (i *instance) leave(exits bool) {
	w := i.world
	i.leaving, i.exits, i.patience = true, exits, w.now.Add(2*time.Second)
	for range w.below(len(i.requests) + 1) {
		i.submit1()
	}
	i.requests = nil
	w.trace("%s drains, ends: %v", i.name, exits)
}

func (i *instance) drain() {
	done, err := i.seq.Drain(context.Background())
	switch {
	case err != nil:
		i.fail(err)
	case done, i.world.now.After(i.patience):
		i.world.trace("%s is drained: %v", i.name, done)
		i.world.drained++
		i.over, i.cause = true, nil
	}
}

// end is what runTerm does behind serve.
func (i *instance) end() {
	w := i.world
	if i.conn.tasks > 0 {
		return // they are waited for
	}
	leaving := i.leaving
	if !i.leaving && w.below(2) == 0 { // what had been delivered when the subscription was drained
		for len(i.requests) > 0 {
			i.submit1()
		}
	}
	i.requests = nil
	i.seq.End(leaving, i.cause)
	if left := i.open - i.seq.Left(); leaving && left > 0 {
		w.problem("%s left %d batches without an answer", i.name, left)
	}
	exits := i.exits
	i.leaving, i.exits, i.over, i.cause = false, false, false, nil
	if exits {
		w.trace("%s ends", i.name)
		i.conn.die()
		i.seq = nil
	}
}

// unrest says what there is still to do.
func (i *instance) unrest() string {
	switch {
	case i.seq == nil:
		return "is down"
	case i.waiting || i.over || i.leaving:
		return "is about something"
	case i.number != i.world.leader:
		if i.seq.Serving() {
			return "serves without owning"
		}
		return ""
	case !i.seq.Serving():
		return "does not serve"
	case len(i.requests) > 0:
		return fmt.Sprintf("has %d requests", len(i.requests))
	}
	return i.seq.Busy()
}

// epochIsOld reports whether a newer fence stands.
func (i *instance) epochIsOld() bool {
	return i.seq == nil || !i.seq.Serving() || streams.Seq(i.seq.Epoch()) < i.world.log.lastOf[streams.FenceSubject(0)]
}

func (i *instance) request(commands []sequencer.Command, respond func([]*streampb.Result)) {
	conn, answered := i.conn, false
	i.requests = append(i.requests, &sequencer.Batch{Commands: commands, Respond: func(results []*streampb.Result) {
		if answered {
			i.world.problem("%s answers a batch twice", conn.name)
		}
		answered = true
		if !conn.dead {
			i.open--
			respond(results)
		}
	}})
}
