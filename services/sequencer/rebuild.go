package sequencer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// Rebuild puts the state of a partition together whose log was lost: from its
// snapshot and what the projections have stored behind that. [Rebuild.Write]
// makes it the snapshot a new log goes on from.
type Rebuild struct{ term *term }

// RebuildConfig says of what. All fields but DryRun are required.
type RebuildConfig struct {
	Conn       *nats.Conn
	Partition  streams.Partition
	Deployment topology.Deployment
	Instance   string // who does it
	Logger     *slog.Logger
	// Stored visits the events of the partition the projections have behind a
	// sequence, in order of the log.
	Stored func(ctx context.Context, after streams.Seq, visit func(*streams.Event) error) error
	// DryRun only reads. Without it a fence ends the snapshots of every owner.
	DryRun bool
}

// NewRebuild reads. Nobody may serve the partition. Close it after use.
func NewRebuild(ctx context.Context, config RebuildConfig) (*Rebuild, error) {
	s := newSequencer(Config{
		Conn: config.Conn, Partition: config.Partition, Deployment: config.Deployment, Logger: config.Logger,
		Claims: &Claims{instance: config.Instance}, Now: time.Now,
	}, eventlog.OverNATS(config.Conn), nil)
	t := s.newTerm("", &retention{})
	t.fold = newFold()
	r, fence := &Rebuild{term: t}, streams.Seq(0)
	if !config.DryRun {
		state, err := s.fence(ctx, streams.StateStream(config.Partition), streams.StateFence(config.Partition))
		if err != nil {
			return nil, err
		}
		t.state, fence = state, streams.Seq(state.Epoch())
	}
	t.stored = fence
	if err := s.readSnapshot(ctx, t.fold, fence); err != nil {
		r.Close()
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if err := s.readNewest(ctx, t.fold); err != nil {
		r.Close()
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	err := config.Stored(ctx, t.fold.checkpoint, func(e *streams.Event) error {
		// It was judged when it was stored.
		t.fold.apply(e)
		t.fold.dedup.add(e, e.TS)
		return nil
	})
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("read what the projections have behind %d: %w", t.fold.checkpoint, err)
	}
	if err := t.completeCards(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// readNewest notes how far the records have come that no takeover reads.
func (s *Sequencer) readNewest(ctx context.Context, f *fold) error {
	p := s.config.Partition
	reader := eventlog.NewReaderOver(s.transport, streams.StateStream(p))
	return reader.Scan(ctx, streams.StatePattern(p), 1, 0, func(m eventlog.Message) error {
		token, ok := streams.ParseState(m.Subject)
		if !ok || token.Fence || token.Dedup {
			return nil
		}
		record := &streampb.Checkpoint{} // every record has its sequence in the same field
		if err := proto.Unmarshal(m.Data, record); err != nil {
			return fmt.Errorf("record at %d: %w", m.Seq, err)
		}
		f.reflects(record)
		return nil
	})
}

// Close lets go of the snapshots' stream.
func (r *Rebuild) Close() { r.term.close() }

// Newest is the highest sequence the state reflects.
func (r *Rebuild) Newest() streams.Seq { return r.term.fold.newest }

// Channels visits how far each channel has come.
func (r *Rebuild) Channels(visit func(streams.Group, group.Position)) {
	for g, st := range r.term.fold.groups {
		for _, position := range st.Positions() {
			visit(g, position)
		}
	}
}

// Write makes the state the snapshot, complete up to checkpoint: a log serves
// from behind it only. It may be repeated.
func (r *Rebuild) Write(ctx context.Context, checkpoint streams.Seq) error {
	t := r.term
	if t.state == nil {
		return errors.New("write the snapshot: it was only read")
	}
	records := t.takeFresh()
	for g := range t.fold.dirty {
		for _, entity := range t.fold.groups[g].TakeDirty() {
			record, err := t.record(entityKey{group: g, entity: entity})
			if err != nil {
				return err
			}
			records = append(records, record)
		}
	}
	clear(t.fold.dirty)
	for _, record := range records {
		if err := r.append(ctx, record, chunkRecords); err != nil {
			return err
		}
	}
	data, err := proto.Marshal(&streampb.Checkpoint{Seq: uint64(checkpoint), Ts: t.now(), Dedup: true})
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	if err := r.settle(ctx, 0); err != nil { // it vouches for them
		return err
	}
	return r.append(ctx, eventlog.Record{Subject: streams.StateCheckpoint(t.sequencer.config.Partition), Data: data}, 0)
}

// append hands a record in and waits until at most so many are not stored.
func (r *Rebuild) append(ctx context.Context, record eventlog.Record, unsettled int) error {
	r.term.state.Append(record)
	return r.settle(ctx, unsettled)
}

func (r *Rebuild) settle(ctx context.Context, unsettled int) error {
	state := r.term.state
	for state.Unsettled() > unsettled {
		select {
		case reply := <-state.Replies():
			state.Settle(reply)
		case <-ctx.Done():
			return fmt.Errorf("write the snapshot: %w", ctx.Err())
		}
		if err := state.Err(); err != nil {
			return fmt.Errorf("write the snapshot: %w", err)
		}
	}
	return nil
}
