package sequencer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// ErrBusy: the inbox is full. The asker should try again.
var ErrBusy = errors.New("too many commands are waiting")

// Sequencer owns one partition whenever it holds the lease.
type Sequencer struct {
	config    Config
	transport eventlog.Transport // carries the terms' appends and reads
	spawn     func(func())       // starts what a term does beside deciding

	// inbox is what Submit hands to the serving term. It holds inboxSize
	// batches; when it is full Submit returns ErrBusy. Never closed.
	inbox chan *Batch

	// Owned by Run: batches a former term could not answer, oldest first.
	unanswered []*Batch
	// The fence of the latest term, 0 before the first. Owned by Run.
	stood streams.Seq
}

// New returns a sequencer. It starts nothing.
func New(config Config) (*Sequencer, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("sequencer of partition %d: %w", config.Partition, err)
	}
	config.Logger = config.Logger.With("partition", config.Partition)
	return newSequencer(config, eventlog.OverNATS(config.Conn), func(f func()) { go f() }), nil
}

func newSequencer(config Config, transport eventlog.Transport, spawn func(func())) *Sequencer {
	return &Sequencer{config: config, transport: transport, spawn: spawn, inbox: make(chan *Batch, inboxSize)}
}

// Submit hands in a batch; its Respond is called once, when all of it is
// decided and stored. It returns [ErrBusy] instead of waiting.
func (s *Sequencer) Submit(b *Batch) error {
	b.submitted = s.config.Now()
	select {
	case s.inbox <- b:
		return nil
	default:
		return ErrBusy
	}
}

// Run serves terms until ctx ends. What was accepted by then is answered.
func (s *Sequencer) Run(ctx context.Context) error {
	const brief, long = 100 * time.Millisecond, 5 * time.Second // between terms, so that a broken NATS is not hammered
	for ctx.Err() == nil {
		err := s.runTerm(ctx)
		if ctx.Err() != nil {
			break
		}
		s.config.Metrics.Terms.WithLabelValues(cause(err)).Inc()
		if errors.Is(err, errHandover) {
			s.config.Logger.Info("handed over")
		} else {
			s.config.Logger.Warn("term ended", "err", err)
		}
		pause := brief
		if errors.Is(err, errLogLost) {
			pause = long // nobody but an operator ends that
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// cause is the metric label for what ended a term.
func cause(err error) string {
	for _, known := range []struct {
		err   error
		label string
	}{
		{eventlog.ErrFenced, "fenced"}, {eventlog.ErrFull, "full"},
		{errLeaseLost, "lease"}, {eventlog.ErrUnknown, "unknown"}, {errHandover, "handover"}, {errLogLost, "lost"},
	} {
		if errors.Is(err, known.err) {
			return known.label
		}
	}
	return "other"
}

// term is one stretch of ownership. All fields are owned by the goroutine in
// serve; goroutines it starts only send to fetched and are waited for.
type term struct {
	sequencer *Sequencer
	log       *eventlog.Term
	state     *eventlog.Term // nil while snapshots can't be written; see regain
	regain    regain
	logName   string
	fold      *fold
	committed streams.Seq // everything up to here is stored
	stored    streams.Seq // and of the snapshot's stream
	waiting   []*Batch    // decided, not answered, oldest first
	snap      snapshot
	authors   *authors
	retention *retention

	chunk        int // records a tick encodes for a snapshot
	nextSnapshot time.Time

	trusted  func() bool // nobody else can have taken over; see decide
	loads    *loads
	presence *presence
	hearing  *hearing      // nil in tests that simulate: nobody tells anything
	burying  chan struct{} // a place for the one clean-up that runs; see attributes.go
	wait     sync.WaitGroup
}

func (s *Sequencer) runTerm(ctx context.Context) error {
	lease, err := s.config.Claims.acquire(ctx, s.config.Partition, s.config.Now)
	if err != nil {
		return err
	}
	started := time.Now()
	termCtx, cancel := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() { // ends with termCtx; waited for below
		defer close(kept)
		if err := lease.keep(termCtx); err != nil {
			cancel(err)
		}
	}()
	defer func() {
		cancel(nil)
		<-kept
		release, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		lease.release(release)
	}()

	t, err := s.takeOver(termCtx)
	if errors.Is(err, eventlog.ErrFull) {
		s.refuseFull(termCtx)
	}
	if err != nil {
		if cause := context.Cause(termCtx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return fmt.Errorf("take over: %w", err)
	}
	defer t.close()
	t.trusted = lease.trusted
	stop, err := s.config.OnServe()
	if err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	stopOnce := sync.OnceFunc(stop)
	defer stopOnce()
	s.config.Logger.Info("serving", "epoch", t.log.Epoch(), "groups", len(t.fold.groups),
		"replayed", t.fold.replayed, "elapsed", time.Since(started))
	s.config.Metrics.Replayed.Observe(float64(t.fold.replayed))
	s.config.Metrics.Serving.Inc()
	defer s.config.Metrics.Serving.Dec()
	err = t.serve(termCtx)
	stopOnce()
	leaving := ctx.Err() != nil && err == nil || errors.Is(err, errHandover)
	if leaving {
		failpoint("handover")
		err = errors.Join(err, t.drain())
	}
	cancel(nil)
	s.leave(t, leaving, err)
	return err
}

// leave keeps what a term did not answer for the next one, or refuses it: if
// the owner leaves, or if another stands already, since then the next term
// would refuse it (see resume).
func (s *Sequencer) leave(t *term, leaving bool, cause error) {
	s.unanswered = asked(append(t.waiting, t.abandonLoads()...))
	if leaving || errors.Is(cause, eventlog.ErrFenced) || errors.Is(cause, errLeaseLost) {
		for _, b := range s.unanswered {
			b.refuse(streams.RejectRetry(streams.Unavailable, 500*time.Millisecond, "the partition is changing hands"))
		}
		s.unanswered = nil
	}
}

func (t *term) close() {
	t.wait.Wait()
	t.retention.close()
	t.regain.close()
	t.hearing.close()
	for _, part := range []*eventlog.Term{t.log, t.state} {
		if part != nil {
			part.Close()
		}
	}
}

func (t *term) now() int64 { return t.sequencer.config.Now().UnixMilli() }

// serve runs until ctx ends (nil, or the cause if it was not the process's own
// end) or the term is over.
func (t *term) serve(ctx context.Context) error {
	if err := t.resume(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	beacon := time.NewTicker(beaconEvery)
	defer beacon.Stop()
	retain := time.NewTicker(t.sequencer.config.RetainEvery)
	defer retain.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		inbox, fetched := t.sequencer.inbox, t.loads.fetched
		if t.full() {
			inbox, fetched = nil, nil
		}
		if len(t.loads.behind) >= maxBehind {
			inbox = nil
		}
		if t.retention.renew && t.log.Unsettled() == 0 {
			if err := t.renewFence(ctx); err != nil {
				return err
			}
			continue
		}
		var err error
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, errLeaseLost) {
				return cause
			}
			return nil
		case b := <-inbox:
			err = t.takeSome(ctx, b)
		case f := <-fetched:
			err = t.arrived(ctx, f)
		case reply := <-t.log.Replies():
			err = t.settleSome(reply)
		case reply := <-t.state.Replies():
			t.settleState(t.state.Settle(reply))
		case msg := <-t.retention.inbox:
			t.retention.hear(msg)
		case o := <-t.retention.purged:
			t.retained(o)
		case msg := <-t.hearing.inbox:
			t.hear(msg)
		case <-sweep.C:
			err = t.sweep(ctx)
		case <-retain.C:
			t.startRetention(ctx)
		case <-beacon.C:
			t.publishBeacon()
			t.fold.dedup.expire(t.now())
			t.dropChunks(ctx)
			t.dropGraves(ctx)
		case <-tick.C:
			if err = t.tick(ctx); err == nil && t.sequencer.config.Claims.mustGive(t.sequencer.config.Partition) {
				err = errHandover
			}
		}
		if err != nil {
			return err
		}
	}
}

// burst is how many batches or acknowledgements that wait already are taken in
// one go: choosing among all that serve waits for costs as much as each of them.
const burst = 32

func (t *term) takeSome(ctx context.Context, b *Batch) error {
	t.log.Hold()
	defer t.log.Flush() // should it fail, the next append or tick tells
	for n := 1; ; n++ {
		if err := t.take(ctx, b); err != nil || n == burst || t.full() {
			return err
		}
		select {
		case b = <-t.sequencer.inbox:
		default:
			return nil
		}
	}
}

func (t *term) settleSome(reply *nats.Msg) error {
	for n := 1; ; n++ {
		if err := t.settle(t.log.Settle(reply)); err != nil || n == burst {
			return err
		}
		select {
		case reply = <-t.log.Replies():
		default:
			return nil
		}
	}
}

// resume decides again what the former term could not answer. If another owner
// stood in between, its senders may have turned to that one and gone on: what
// is left here is refused, so that nothing is done behind what came later or
// after its sender was told that it failed.
func (t *term) resume(ctx context.Context) error {
	s := t.sequencer
	again, passed := s.unanswered, t.fold.passed
	s.unanswered, s.stood = nil, streams.Seq(t.log.Epoch())
	if passed {
		for len(s.inbox) > 0 {
			again = append(again, <-s.inbox)
		}
		for _, b := range again {
			b.refuse(streams.RejectRetry(streams.Unavailable, 100*time.Millisecond, "the partition has changed hands"))
		}
		return nil
	}
	for i, b := range again {
		if err := t.take(ctx, b); err != nil {
			t.loads.behind = append(t.loads.behind, again[i+1:]...) // after what is fetched
			return err
		}
	}
	return nil
}

// full reports whether the log must catch up before more is taken.
func (t *term) full() bool {
	return t.log.Unsettled()+headroom > eventlog.MaxInFlight || t.retention.renew
}

// tick does what time brings: appends fall overdue, snapshots due.
func (t *term) tick(ctx context.Context) error {
	if err := t.advance(ctx); err != nil {
		return err
	}
	if err := t.settle(t.log.Overdue(ackPatience)); err != nil {
		return err
	}
	t.settleState(t.state.Overdue(ackPatience))
	t.regainState(ctx)
	if now := t.sequencer.config.Now(); now.After(t.nextSnapshot) {
		if err := t.startSnapshot(); err != nil {
			return err
		}
		t.nextSnapshot = now.Add(t.sequencer.config.SnapshotEvery)
	}
	dropped := t.fold.evict(t.sequencer.config.MaxHeld, func(key entityKey) bool {
		return t.loads.pinned[key] > 0 || t.loads.pinned[entityKey{key.group, group.Entity{Member: group.AllMembers}}] > 0
	})
	t.sequencer.config.Metrics.Evicted.Add(float64(dropped))
	return t.stepSnapshot()
}

// drain answers what was accepted and writes a last snapshot, within a bounded
// time: what is not written then is folded from the log at the next start.
func (t *term) drain() error {
	deadline := time.After(drainPatience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	snapshotStarted := false
	for {
		var err error
		select {
		case b := <-t.sequencer.inbox:
			err = t.take(context.Background(), b)
		case f := <-t.loads.fetched:
			err = t.arrived(context.Background(), f)
		case reply := <-t.log.Replies():
			err = t.settle(t.log.Settle(reply))
		case reply := <-t.state.Replies():
			t.settleState(t.state.Settle(reply))
		case <-deadline:
			return nil
		case <-tick.C:
			if err = t.advance(context.Background()); err != nil {
				return err
			}
			var done bool
			if done, err = t.finish(&snapshotStarted); done {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// finish writes the last snapshot, once all is answered; done means that it is
// written. started tells whether it was begun.
func (t *term) finish(started *bool) (done bool, err error) {
	if len(t.waiting) > 0 || !t.loads.idle() {
		return false, nil
	}
	if !*started && t.snap.seq == 0 {
		*started = true
		return false, t.startSnapshot()
	}
	err = t.stepSnapshot()
	return err == nil && *started && t.snap.seq == 0, err
}
