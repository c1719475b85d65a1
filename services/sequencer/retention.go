package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// retention purges the log from its head, up to what all three allow: it is
// stored by the projections, the snapshot reflects it, and it is older than the
// hot window. So nothing leaves JetStream that ClickHouse does not have,
// however long ClickHouse was away.
//
// The fence must not be purged: appends name it, and a subject without a
// message has no last sequence to name. A fence that grows old is renewed.
type retention struct {
	// Static.
	stop   func()            // ends the subscription to positions
	inbox  chan *nats.Msg    // holds positionsSize; a lost one is said again. Never closed.
	purged chan purgeOutcome // holds one, as many as run. Never closed.

	// Owned by serve.
	projected streams.Seq // 0 until the projections have been heard
	running   bool
	renew     bool // the fence is old; see term.renewFence
}

type purgeOutcome struct {
	upto     streams.Seq // purged up to here
	fenceOld bool
	err      error
}

const (
	positionsSize = 16
	retainEvery   = 10 * time.Second
	retainWithin  = 30 * time.Second
)

func (s *Sequencer) newRetention() (*retention, error) {
	r := &retention{inbox: make(chan *nats.Msg, positionsSize), purged: make(chan purgeOutcome, 1)}
	var err error
	if r.stop, err = s.transport.Subscribe(streams.PositionSubject(s.config.Partition), r.inbox); err != nil {
		return nil, fmt.Errorf("listen for positions: %w", err)
	}
	return r, nil
}

func (r *retention) close() {
	if r.stop != nil { // else it never listened, as where a snapshot is only rebuilt
		r.stop()
	}
}

// hear notes how far the projections have come.
func (r *retention) hear(msg *nats.Msg) {
	position := &streampb.Position{}
	if err := proto.Unmarshal(msg.Data, position); err == nil {
		r.projected = max(r.projected, streams.Seq(position.GetSeq()))
	}
}

// startRetention begins a run in the background, unless one is running.
func (t *term) startRetention(ctx context.Context) {
	r := t.retention
	if r.running {
		return
	}
	t.retain(ctx, min(r.projected, t.fold.checkpoint), streams.Seq(t.log.Epoch()))
}

// retain runs [Sequencer.retain] in the background.
func (t *term) retain(ctx context.Context, limit, fence streams.Seq) {
	r := t.retention
	r.running = true
	t.wait.Add(1)
	t.sequencer.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		ctx, cancel := context.WithTimeout(ctx, retainWithin)
		defer cancel()
		r.purged <- t.sequencer.retain(ctx, limit, fence)
	})
}

// retain tells how large the log is, purges what may go, and looks whether the
// fence is in the way.
func (s *Sequencer) retain(ctx context.Context, limit, fence streams.Seq) purgeOutcome {
	p, window := s.config.Partition, s.config.Deployment.HotWindow
	stream := eventlog.NewStream(s.transport, streams.LogStream(p))
	state, err := stream.State(ctx)
	if err != nil {
		return purgeOutcome{err: err}
	}
	s.config.Metrics.LogBytes.WithLabelValues(p.String()).Set(float64(state.Bytes))
	if window == 0 || limit == 0 {
		return purgeOutcome{}
	}
	young := s.config.Now().Add(-window)
	reader := eventlog.NewReaderOver(s.transport, streams.LogStream(p))
	hot, err := reader.Since(ctx, streams.LogFilter(p), young)
	if err != nil && !errors.Is(err, eventlog.ErrNoMessage) {
		return purgeOutcome{err: fmt.Errorf("find the hot window: %w", err)}
	}
	if errors.Is(err, eventlog.ErrNoMessage) {
		hot = limit + 1 // nothing is so young
	}
	upto := min(limit, hot-1)
	old := upto >= fence
	if upto = min(upto, fence-1); state.First > upto {
		return purgeOutcome{fenceOld: old}
	}
	// A replica that lags may not have what is young: see how old the newest is
	// that would go.
	switch m, err := reader.At(ctx, upto); {
	case err != nil:
		return purgeOutcome{err: fmt.Errorf("look at the age of %d: %w", upto, err)}
	case m.Time.After(young):
		return purgeOutcome{}
	}
	if err := stream.PurgeBefore(ctx, upto+1); err != nil {
		return purgeOutcome{err: fmt.Errorf("purge the log up to %d: %w", upto, err)}
	}
	return purgeOutcome{upto: upto, fenceOld: old}
}

// retained takes the outcome of a run.
func (t *term) retained(o purgeOutcome) {
	t.retention.running = false
	t.retention.renew = t.retention.renew || o.fenceOld
	switch {
	case o.err != nil:
		t.sequencer.config.Logger.Warn("retention", "err", o.err)
	case o.upto != 0:
		t.sequencer.config.Logger.Info("purged", "seq", o.upto)
	}
}

// renewFence puts up a new fence within the term, once everything handed in is
// stored. Had anybody written in between, the fence would not come to stand
// right behind our last record: then the term is over.
func (t *term) renewFence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	want := t.log.Next()
	renewed, err := t.sequencer.fence(ctx, streams.LogStream(t.sequencer.config.Partition), streams.FenceSubject(t.sequencer.config.Partition))
	if err != nil {
		return fmt.Errorf("renew the fence: %w", err)
	}
	t.log.Close()
	t.log = renewed
	t.retention.renew = false
	t.sequencer.stood = streams.Seq(renewed.Epoch())
	if got := streams.Seq(renewed.Epoch()); got != want {
		return fmt.Errorf("renew the fence: %w: it stands at %d instead of %d", eventlog.ErrFenced, got, want)
	}
	t.committed = want
	return nil
}

// refuseFull stands in for a term while the log is full: it tells senders so at
// once, and purges what may go, since without room for a fence no term can.
func (s *Sequencer) refuseFull(ctx context.Context) {
	const standIn = 3 * time.Second // the projections tell where they are once a second
	stop, err := s.config.OnServe()
	if err != nil {
		return
	}
	defer stop()
	r, err := s.newRetention()
	if err != nil {
		return
	}
	defer r.close()
	over := time.NewTimer(standIn)
	defer over.Stop()
	full := streams.RejectRetry(streams.Unavailable, 5*time.Second, "the log is full")
	for _, b := range s.unanswered {
		b.refuse(full)
	}
	s.unanswered = nil
	for {
		select {
		case b := <-s.inbox:
			b.refuse(full)
		case msg := <-r.inbox:
			if r.hear(msg); s.purgeFull(ctx, r.projected) {
				return
			}
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// purgeFull does what a term's retention does, with what the streams say
// instead of a term's memory. It reports whether something went.
func (s *Sequencer) purgeFull(ctx context.Context, projected streams.Seq) bool {
	p := s.config.Partition
	if s.config.Deployment.HotWindow == 0 || projected == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, retainWithin)
	defer cancel()
	fence, err := eventlog.NewReaderOver(s.transport, streams.LogStream(p)).Last(ctx, streams.FenceSubject(p))
	if err != nil {
		return false
	}
	record, err := eventlog.NewReaderOver(s.transport, streams.StateStream(p)).Last(ctx, streams.StateCheckpoint(p))
	if err != nil {
		return false
	}
	checkpoint := &streampb.Checkpoint{}
	if err := proto.Unmarshal(record.Data, checkpoint); err != nil {
		return false
	}
	o := s.retain(ctx, min(projected, streams.Seq(checkpoint.GetSeq())), fence.Seq)
	if o.err != nil {
		s.config.Logger.Warn("retention", "err", o.err)
	}
	return o.upto != 0
}
