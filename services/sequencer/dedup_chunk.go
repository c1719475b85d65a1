package sequencer

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// chunkEntries bounds a piece of the duplicate window: some 400 KB, below the
// largest message NATS takes.
const chunkEntries = 4000

// chunk is a piece of the duplicate window that is in the snapshot.
type chunk struct {
	subject string
	newest  int64 // when its last entry was accepted, ms since 1970 UTC
}

// takeFresh returns the records of what the duplicate window gained since the
// last call.
func (t *term) takeFresh() ([]eventlog.Record, error) {
	var records []eventlog.Record
	for fresh := t.fold.dedup.fresh; len(fresh) > 0; {
		count := min(chunkEntries, len(fresh))
		piece := &streampb.DedupChunk{Entries: fresh[:count]}
		data, err := proto.Marshal(piece)
		if err != nil {
			return nil, fmt.Errorf("encode duplicate window: %w", err)
		}
		subject := streams.StateDedup(t.sequencer.config.Partition, streams.Seq(fresh[0].GetSeq()))
		records = append(records, eventlog.Record{Subject: subject, Data: data})
		t.fold.chunks = append(t.fold.chunks, chunkOf(subject, piece))
		fresh = fresh[count:]
	}
	t.fold.dedup.fresh = nil
	return records, nil
}

func chunkOf(subject string, piece *streampb.DedupChunk) chunk {
	c := chunk{subject: subject}
	for _, e := range piece.GetEntries() {
		c.newest = max(c.newest, e.GetAccepted())
	}
	return c
}

// restoreChunk puts a piece of the window back.
func (f *fold) restoreChunk(subject string, data []byte) error {
	piece := &streampb.DedupChunk{}
	if err := proto.Unmarshal(data, piece); err != nil {
		return err
	}
	for _, e := range piece.GetEntries() {
		if err := f.dedup.restore(e); err != nil {
			return err
		}
	}
	f.chunks = append(f.chunks, chunkOf(subject, piece))
	return nil
}

// dropWithin bounds one clean-up of old pieces, maxDrop its number.
const (
	dropWithin = 10 * time.Second
	maxDrop    = 64
)

// dropChunks removes pieces that are too old to matter, in the background.
// What is not removed now is found again by the next owner.
func (t *term) dropChunks(ctx context.Context) {
	now := t.now()
	old := 0
	for old < len(t.fold.chunks) && old < maxDrop && t.fold.chunks[old].newest+dedupKeep.Milliseconds() < now {
		old++
	}
	if old == 0 {
		return
	}
	drop := t.fold.chunks[:old]
	t.fold.chunks = t.fold.chunks[old:]
	t.wait.Add(1)
	t.sequencer.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		ctx, cancel := context.WithTimeout(ctx, dropWithin)
		defer cancel()
		if err := t.sequencer.purgeSubjects(ctx, drop); err != nil {
			t.sequencer.config.Logger.Warn("drop old pieces of the duplicate window", "err", err)
		}
	})
}

func (s *Sequencer) purgeSubjects(ctx context.Context, chunks []chunk) error {
	stream := eventlog.NewStream(s.transport, streams.StateStream(s.config.Partition))
	for _, c := range chunks {
		if err := stream.PurgeSubject(ctx, c.subject, 0); err != nil {
			return err
		}
	}
	return nil
}
