package sequencer

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// takeOver starts a term.
func (s *Sequencer) takeOver(ctx context.Context) (*term, error) {
	logName, err := topology.LogName(ctx, s.config.JS, s.config.Partition)
	if err != nil {
		return nil, err
	}
	retention, err := s.newRetention()
	if err != nil {
		return nil, err
	}
	t := s.newTerm(logName, retention)
	if err := t.begin(ctx); err != nil {
		t.close()
		return nil, err
	}
	if err := t.attend(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (s *Sequencer) newTerm(logName string, retention *retention) *term {
	t := &term{
		sequencer: s, logName: logName, authors: newAuthors(), retention: retention,
		loads: newLoads(), burying: make(chan struct{}, 1),
		regain:  regain{outcome: make(chan regainOutcome, 1)},
		trusted: func() bool { return true },
		chunk:   chunkRecords, nextSnapshot: s.config.Now().Add(s.config.SnapshotEvery),
	}
	t.presence = newPresence(t.keeps)
	return t
}

// begin puts up the fences and folds the log up to them.
func (t *term) begin(ctx context.Context) (err error) {
	s, p := t.sequencer, t.sequencer.config.Partition
	if t.log, err = s.fence(ctx, streams.LogStream(p), streams.FenceSubject(p)); err != nil {
		return err
	}
	if t.state, err = s.fence(ctx, streams.StateStream(p), streams.StateFence(p)); err != nil {
		return err
	}
	t.committed, t.stored = streams.Seq(t.log.Epoch()), streams.Seq(t.state.Epoch())
	failpoint("after-fence")
	if t.fold, err = s.recoverFold(ctx, t.committed, t.stored); err != nil {
		return err
	}
	t.fold.attend(t.presence)
	return t.completeCards(ctx)
}

// fence starts a term of appends on one stream.
func (s *Sequencer) fence(ctx context.Context, stream, subject string) (*eventlog.Term, error) {
	body, err := proto.Marshal(&streampb.Fence{Instance: s.config.Claims.instance, Ts: s.config.Now().UnixMilli()})
	if err != nil {
		return nil, fmt.Errorf("encode fence: %w", err)
	}
	d := s.config.Deployment
	writer := eventlog.NewWriter(eventlog.WriterConfig{
		Transport: s.transport, Now: s.config.Now, Stream: stream, Fence: subject,
		Batches:      eventlog.UseBatches(d.Replicas, d.SyncAlways),
		WithoutFence: s.config.WithoutFence,
	})
	return writer.Fence(ctx, body)
}
