package sequencer

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// snapshot writes changed records in the background of a term, some at each
// tick, and a checkpoint when all that had changed by some sequence are
// written. Records are taken from state that may not be stored yet, so each
// chunk is held back until the log has what it reflects. A record may be newer
// than the checkpoint: recovery lets each entity skip what it has.
type snapshot struct {
	seq    streams.Seq // the checkpoint this run will write; 0: no run
	queue  []entityKey // to be taken
	held   []heldChunk // taken, waiting for the log
	closed bool        // the checkpoint is handed in

	// What the run took and has to be taken again if it breaks.
	groups []streams.Group
	window []piece
	chunks []string // subjects
}

type entityKey struct {
	group  streams.Group
	entity group.Entity
}

// heldChunk is records that may be written once the log is at need.
type heldChunk struct {
	need    streams.Seq
	records []eventlog.Record
}

// chunkRecords bounds what one tick encodes, and so how long it keeps the
// sequencer from deciding: about 2 ms.
const chunkRecords = 1000

// startSnapshot begins a run if something changed.
func (t *term) startSnapshot() error {
	if t.state == nil || t.snap.seq != 0 || len(t.fold.dirty) == 0 {
		return nil
	}
	t.snap = snapshot{seq: t.log.Next() - 1, window: t.fold.dedup.fresh}
	window := t.takeFresh()
	t.snap.held = append(t.snap.held, heldChunk{need: t.snap.seq, records: window})
	for _, record := range window {
		t.snap.chunks = append(t.snap.chunks, record.Subject)
	}
	for g := range t.fold.dirty {
		t.snap.groups = append(t.snap.groups, g)
		for _, entity := range t.fold.groups[g].TakeDirty() {
			t.snap.queue = append(t.snap.queue, entityKey{group: g, entity: entity})
		}
	}
	clear(t.fold.dirty)
	return nil
}

// undoSnapshot gives up a run: what it took has to be taken again, whether
// records of it were stored or not.
func (t *term) undoSnapshot() {
	run := t.snap
	t.snap = snapshot{}
	for _, g := range run.groups {
		t.fold.groups[g].Unsaved()
		t.fold.dirty[g] = struct{}{}
	}
	// The next run's pieces begin with the same entries, so they have the same
	// subjects and replace what was stored of these.
	t.fold.dedup.fresh = joinPieces(run.window, t.fold.dedup.fresh)
	t.fold.chunks = slices.DeleteFunc(t.fold.chunks, func(c chunk) bool { return slices.Contains(run.chunks, c.subject) })
}

// stepSnapshot advances the run by one chunk.
func (t *term) stepSnapshot() error {
	if t.snap.seq == 0 {
		return nil
	}
	if len(t.snap.queue) > 0 {
		chunk := heldChunk{need: t.log.Next() - 1}
		count := min(t.chunk, len(t.snap.queue))
		for _, key := range t.snap.queue[:count] {
			record, err := t.record(key)
			if err != nil {
				return err
			}
			chunk.records = append(chunk.records, record)
		}
		t.snap.queue = t.snap.queue[count:]
		t.snap.held = append(t.snap.held, chunk)
	}
	for len(t.snap.held) > 0 && t.snap.held[0].need <= t.committed &&
		t.state.Unsettled()+t.chunk <= eventlog.MaxInFlight {
		for _, record := range t.snap.held[0].records {
			t.state.Append(record)
		}
		t.snap.held = t.snap.held[1:]
	}
	if len(t.snap.queue) > 0 || len(t.snap.held) > 0 || t.state.Unsettled() > 0 {
		return nil
	}
	if t.snap.closed {
		t.fold.checkpoint = t.snap.seq
		for _, g := range t.snap.groups {
			t.fold.groups[g].Saved()
		}
		t.snap = snapshot{}
		t.sequencer.config.Metrics.Snapshots.Inc()
		return nil
	}
	failpoint("snapshot")
	data, err := proto.Marshal(&streampb.Checkpoint{Seq: uint64(t.snap.seq), Ts: t.now(), Dedup: true})
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	t.state.Append(eventlog.Record{Subject: streams.StateCheckpoint(t.sequencer.config.Partition), Data: data})
	t.snap.closed = true
	return nil
}

func (t *term) record(key entityKey) (eventlog.Record, error) {
	subject := entitySubject(t.sequencer.config.Partition, key)
	message := t.fold.groups[key.group].Record(key.entity)
	data, err := proto.Marshal(message)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("encode record %s: %w", subject, err)
	}
	return eventlog.Record{Subject: subject, Data: data}, nil
}
