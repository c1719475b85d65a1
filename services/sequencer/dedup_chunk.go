package sequencer

import (
	"context"
	"slices"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// chunkEntries bounds a piece of the duplicate window: some 400 KB, below the
// largest message NATS takes.
const chunkEntries = 4000

// chunk is a piece of the duplicate window that is in the snapshot.
type chunk struct {
	subject string
	newest  int64 // when its last entry was accepted, ms since 1970 UTC
}

// piece is entries as a [streampb.DedupChunk], encoded as they come.
type piece struct {
	first   streams.Seq // of its first entry; it names the piece in the snapshot
	newest  int64       // when its last entry was accepted, ms since 1970 UTC
	entries int
	data    []byte // appended to, never changed: a writer may hold what was there before
}

// addToPieces adds an entry to the last piece that takes it.
func addToPieces(pieces []piece, user streams.User, a *accepted) []piece {
	if len(pieces) == 0 || pieces[len(pieces)-1].entries >= chunkEntries {
		pieces = append(pieces, piece{first: a.outcome.seq})
	}
	p := &pieces[len(pieces)-1]
	p.data = appendChunkEntry(p.data, user, a)
	p.newest = max(p.newest, a.at)
	p.entries++
	return pieces
}

// joinPieces puts newer pieces behind older ones. The first of the newer ones
// is joined to the last of the older ones where one piece holds both.
func joinPieces(older, newer []piece) []piece {
	if len(older) == 0 || len(newer) == 0 || older[len(older)-1].entries+newer[0].entries > chunkEntries {
		return slices.Concat(older, newer)
	}
	joined := slices.Concat(older, newer[1:])
	p := &joined[len(older)-1]
	p.data = append(p.data, newer[0].data...)
	p.newest = max(p.newest, newer[0].newest)
	p.entries += newer[0].entries
	return joined
}

// takeFresh returns the records of what the duplicate window gained since the
// last call.
func (t *term) takeFresh() []eventlog.Record {
	var records []eventlog.Record
	for _, p := range t.fold.dedup.fresh {
		subject := streams.StateDedup(t.sequencer.config.Partition, p.first)
		records = append(records, eventlog.Record{Subject: subject, Data: p.data})
		t.fold.chunks = append(t.fold.chunks, chunk{subject: subject, newest: p.newest})
	}
	t.fold.dedup.fresh = nil
	return records
}

// restoreChunk puts a piece of the window back.
func (f *fold) restoreChunk(subject string, data []byte) error {
	c := chunk{subject: subject}
	err := readChunk(data, func(a *accepted) {
		f.dedup.note(a)
		c.newest = max(c.newest, a.at)
	})
	if err != nil {
		return err
	}
	f.chunks = append(f.chunks, c)
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
