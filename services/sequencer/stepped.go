package sequencer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// Stepped is a sequencer whose terms the caller moves, one thing at a time and
// in any order, instead of a goroutine that waits for whatever comes first. The
// caller also says who owns the partition: there is no lease. It is what a
// deterministic simulation runs. It has one owner; what a term does beside its
// deciding goes through spawn.
type Stepped struct {
	seq     *Sequencer
	term    *term // nil: none
	trusted func() bool
	broken  Breakage

	lastSnapshot bool // draining: the last snapshot was begun
}

// Breakage breaks one thing, to show that the checkers notice. Only tests set it.
type Breakage struct {
	EarlySnapshot   bool // records are written before the events they reflect are stored
	EarlyAnswer     bool // commands are answered before their events are stored
	StaleLoads      bool // records are loaded from replicas of any age
	IgnoreProjected bool // the log is purged whatever the projections have stored
	PurgeFence      bool // the log is purged beyond the fence, which is never renewed
}

// NewStepped returns a sequencer without a term. Of config, Conn and JS are not
// used. trusted stands for the lease: false if another may have taken over.
func NewStepped(config Config, transport eventlog.Transport, spawn func(func()), trusted func() bool, b Breakage) *Stepped {
	return &Stepped{seq: newSequencer(config, transport, spawn), trusted: trusted, broken: b}
}

// Submit is [Sequencer.Submit].
func (s *Stepped) Submit(b *Batch) error { return s.seq.Submit(b) }

// TakeOver starts a term, whose snapshots take chunk records a tick. Where it
// fails there is none.
func (s *Stepped) TakeOver(ctx context.Context, chunk int) error {
	retention, err := s.seq.newRetention()
	if err != nil {
		return err
	}
	t := s.seq.newTerm("simulated", retention)
	t.chunk = chunk
	if err := t.begin(ctx); err != nil {
		t.close()
		return err
	}
	t.trusted = s.trusted
	s.term, s.lastSnapshot = t, false
	return nil
}

// Resume decides again what the former term could not answer. It is the first
// thing a term does. An error ends the term.
func (s *Stepped) Resume(ctx context.Context) error { return s.term.resume(ctx) }

// Serving reports whether there is a term.
func (s *Stepped) Serving() bool { return s.term != nil }

// Epoch is the term's newest fence.
func (s *Stepped) Epoch() streams.Epoch { return s.term.log.Epoch() }

// Things is how many things [Stepped.Do] can do.
const Things = 9

// MustRenew reports whether the next thing to do is to renew the fence, which
// waits for NATS as nothing else of a term does.
func (s *Stepped) MustRenew() bool { return s.term.retention.renew && s.term.log.Unsettled() == 0 }

// Renew does that. An error ends the term.
func (s *Stepped) Renew(ctx context.Context) error { return s.term.renewFence(ctx) }

// Do does the thing of that number, if it is due, as serve does. An error ends
// the term.
func (s *Stepped) Do(ctx context.Context, thing int) (did bool, err error) {
	t := s.term
	if s.broken.StaleLoads {
		t.stored = 0
	}
	switch thing {
	case 0:
		if len(s.seq.inbox) > 0 && !t.full() && len(t.loads.behind) < maxBehind {
			err := t.take(ctx, <-s.seq.inbox)
			s.answerEarly()
			return true, err
		}
	case 1:
		if len(t.loads.fetched) > 0 && !t.full() {
			return true, t.arrived(ctx, <-t.loads.fetched)
		}
	case 2:
		if len(t.log.Replies()) > 0 {
			return true, t.settle(t.log.Settle(<-t.log.Replies()))
		}
	case 3:
		if len(t.state.Replies()) > 0 {
			t.settleState(t.state.Settle(<-t.state.Replies()))
			return true, nil
		}
	case 4:
		if len(t.retention.inbox) > 0 {
			t.retention.hear(<-t.retention.inbox)
			return true, nil
		}
	case 5:
		if len(t.retention.purged) > 0 {
			t.retained(<-t.retention.purged)
			t.retention.renew = t.retention.renew && !s.broken.PurgeFence
			return true, nil
		}
	case 6:
		s.retain(ctx)
		return true, nil
	case 7:
		t.publishBeacon()
		t.fold.dedup.expire(t.now())
		t.dropChunks(ctx)
		t.dropGraves(ctx)
		return true, nil
	case 8:
		return true, s.tick(ctx)
	}
	return false, nil
}

func (s *Stepped) retain(ctx context.Context) {
	t := s.term
	switch {
	case t.retention.running:
	case s.broken.PurgeFence:
		t.retain(ctx, min(t.retention.projected, t.fold.checkpoint), math.MaxUint64)
	case s.broken.IgnoreProjected:
		t.retain(ctx, t.fold.checkpoint, streams.Seq(t.log.Epoch()))
	default:
		t.startRetention(ctx)
	}
}

// tick is the term's, but for the order of a snapshot's records, which follows
// from maps.
func (s *Stepped) tick(ctx context.Context) error {
	t := s.term
	if s.seq.config.Now().After(t.nextSnapshot) {
		if t.snap.seq == 0 {
			if err := t.startSnapshot(); err != nil {
				return err
			}
			s.sortSnapshot()
		}
	}
	if s.broken.EarlySnapshot {
		defer func(committed streams.Seq) { t.committed = committed }(t.committed)
		t.committed = t.log.Next() - 1
	}
	return t.tick(ctx)
}

func (s *Stepped) sortSnapshot() {
	slices.SortFunc(s.term.snap.queue, func(a, b entityKey) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.entity.Channel, b.entity.Channel), cmp.Compare(a.entity.Member, b.entity.Member),
			cmp.Compare(a.entity.Attribute, b.entity.Attribute), cmp.Compare(a.entity.Card, b.entity.Card))
	})
}

func (s *Stepped) answerEarly() {
	if s.broken.EarlyAnswer {
		for _, b := range s.term.waiting {
			b.wait = 0
		}
		s.term.answer()
	}
}

// Drain does the next thing of a clean end; done means that there is nothing
// left to do. Nothing is taken in any more. An error ends the term.
func (s *Stepped) Drain(ctx context.Context) (done bool, err error) {
	for thing := range 4 {
		if did, err := s.Do(ctx, thing); did {
			return false, err
		}
	}
	begun := s.term.snap.seq
	done, err = s.term.finish(&s.lastSnapshot)
	if begun == 0 {
		s.sortSnapshot()
	}
	return done, err
}

// End ends the term. What it spawned has ended. What is not answered goes to
// the next term, or is refused where that would refuse it: the owner leaves, or
// cause says that another stands already.
func (s *Stepped) End(leaving bool, cause error) {
	s.seq.leave(s.term, leaving, cause)
	s.term.close()
	s.term = nil
}

// ErrLeaseLost is why a term ends whose owner lost the lease.
var ErrLeaseLost = errLeaseLost

// Left is how many batches were submitted and not taken.
func (s *Stepped) Left() int { return len(s.seq.inbox) }

// Busy says what the term has yet to do, empty if nothing.
func (s *Stepped) Busy() string {
	t := s.term
	switch {
	case len(s.seq.inbox)+len(t.waiting) > 0 || !t.loads.idle():
		return fmt.Sprintf("%d batches in the inbox, %d fetch, %d behind, %d waiting", len(s.seq.inbox), len(t.loads.places), len(t.loads.behind), len(t.waiting))
	case t.log.Unsettled()+t.state.Unsettled() > 0:
		return "appends in flight"
	case t.retention.running || t.retention.renew:
		return "retention is running"
	}
	return ""
}

// Memory is the state of a partition as a term has it.
type Memory struct{ fold *fold }

// Memory is the term's.
func (s *Stepped) Memory() Memory { return Memory{s.term.fold} }

// Groups are all groups.
func (m Memory) Groups() map[streams.Group]*group.State { return m.fold.groups }

// Checkpoint is up to where the snapshot is complete.
func (m Memory) Checkpoint() streams.Seq { return m.fold.checkpoint }

// Replayed is how many messages of the log were read at the takeover.
func (m Memory) Replayed() int { return m.fold.replayed }

// Answered returns what the duplicate window knows of a command.
func (m Memory) Answered(u streams.User, id streams.ClientID) (*streampb.Result, bool) {
	o, known := m.fold.dedup.find(u, id)
	return &streampb.Result{V: uint64(o.v), N: uint64(o.n), Seq: uint64(o.seq), Ts: o.ts}, known
}
