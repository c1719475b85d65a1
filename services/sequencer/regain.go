package sequencer

import (
	"context"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// regain gets the snapshots' stream back within a term. Snapshots only shorten
// the next takeover, so a term whose log is fine goes on without them while
// their stream takes nothing: each NATS node that dies would otherwise stop
// twice as many partitions.
//
//	written ── not stored, or unknown ──▶ none ── fence stored ──▶ proving ── canary stored in the log ──▶ written
//
// What the broken run had taken is dirty again ([term.undoSnapshot]), so the
// first run after it writes all that changed meanwhile.
//
// The fence alone would not do. An owner that was replaced and does not know
// could put one up behind its successor's and write older records over newer
// ones. So it must find, after that fence, that its own fence still stands in
// the log: a successor then comes later, and its fences do too.
type regain struct {
	outcome chan regainOutcome // of an attempt; holds one. Never closed.
	running bool
	next    time.Time      // no attempt before
	state   *eventlog.Term // its fence is up; proving
	proof   streams.Seq    // of the canary
}

type regainOutcome struct {
	state *eventlog.Term
	err   error
}

// regainEvery is the pause between two attempts.
const regainEvery = 2 * time.Second

// loseState goes on without snapshots for now.
func (t *term) loseState(err error) {
	t.sequencer.config.Logger.Warn("no snapshots for now", "err", err)
	t.state.Close()
	t.state = nil
	t.undoSnapshot()
	t.regain.next = t.sequencer.config.Now().Add(regainEvery)
}

// settleState takes what became of records.
func (t *term) settleState(acks []eventlog.Ack) {
	for _, ack := range acks {
		switch {
		case ack.Err == nil:
			t.stored = ack.First + streams.Seq(ack.Count) - 1
		case t.state != nil:
			t.loseState(ack.Err)
		}
	}
}

// regainState takes the next step back to snapshots, if they are lost.
func (t *term) regainState(ctx context.Context) {
	r := &t.regain
	select {
	case o := <-r.outcome:
		r.running, r.next = false, t.sequencer.config.Now().Add(regainEvery)
		if r.state = o.state; o.err == nil {
			r.proof = t.prove()
		}
	default:
	}
	switch {
	case t.state != nil || r.running:
	case r.state == nil:
		if !t.sequencer.config.Now().Before(r.next) {
			t.tryState(ctx)
		}
	case r.proof <= t.committed:
		t.state, r.state = r.state, nil
		t.stored = streams.Seq(t.state.Epoch())
		t.sequencer.config.Logger.Info("snapshots are written again")
	}
}

// tryState puts up a fence on the snapshots' stream in the background.
func (t *term) tryState(ctx context.Context) {
	s, p := t.sequencer, t.sequencer.config.Partition
	t.regain.running = true
	t.wait.Add(1)
	s.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		state, err := s.fence(ctx, streams.StateStream(p), streams.StateFence(p))
		t.regain.outcome <- regainOutcome{state: state, err: err} // holds one, as many as may run
	})
}

// close lets go of what an attempt has brought and nobody took.
func (r *regain) close() {
	if len(r.outcome) > 0 {
		r.state = (<-r.outcome).state
	}
	if r.state != nil {
		r.state.Close()
	}
}

// prove appends what means nothing. Once it is stored, at the sequence that is
// returned, no other owner stood before it.
func (t *term) prove() streams.Seq {
	return t.log.Append(eventlog.Record{
		Subject: streams.CanarySubject(t.sequencer.config.Partition), Data: []byte("canary"),
	})
}
