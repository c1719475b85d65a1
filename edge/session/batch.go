package session

import (
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/transport"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	// batchEvents and batchBytes bound what one write brings of one channel. What
	// is beyond comes in the next pass.
	batchEvents = 20 * wire.BlockEvents
	batchBytes  = messageBytes
	// maxBatches is at how many places of a channel the members of an audience
	// may stand to be served together.
	maxBatches = 8
)

// batch is what comes behind one place of a channel, in finished frames, for
// all who stand there.
type batch struct {
	from, to streams.Version
	frames   []byte
	marks    []mark
	entries  []ring.Entry
}

// mark is where a frame of a batch ends, and up to which event it brings a
// reader.
type mark struct {
	end  int
	upto streams.Version
}

// batches are those of one pass. Owned by the shard's run.
type batches struct {
	all    []*batch // made, to be used again
	used   int
	last   *batch
	cut    bool // a batch does not reach up to the channel's head
	events [][]byte
}

// clear forgets what was joined and keeps the buffers.
func (bs *batches) clear() {
	for _, b := range bs.all[:bs.used] {
		clear(b.entries)
		if cap(b.frames) > 4*batchBytes {
			b.frames = nil // one that was larger than usual
		}
	}
	bs.used, bs.last, bs.cut = 0, nil, false
}

// at returns the batch behind a place, nil where events are missing there or
// too many places were asked for. At the channel's head it is empty.
func (bs *batches) at(source *hub.Source, from streams.Version) *batch {
	if bs.last != nil && bs.last.from == from {
		return bs.last
	}
	for _, b := range bs.all[:bs.used] {
		if b.from == from {
			bs.last = b
			return b
		}
	}
	if bs.used == maxBatches {
		return nil
	}
	if bs.used == len(bs.all) {
		bs.all = append(bs.all, &batch{})
	}
	b := bs.all[bs.used]
	if !bs.fill(b, source, from) {
		return nil
	}
	bs.used++
	bs.last = b
	return b
}

// fill joins what comes behind a place; false: some of it is not at hand.
func (bs *batches) fill(b *batch, source *hub.Source, from streams.Version) bool {
	entries, gap := source.Take(b.entries[:0], from, batchEvents, batchBytes)
	b.entries, b.frames, b.marks = entries, b.frames[:0], b.marks[:0]
	b.from, b.to = from, from
	if gap != nil {
		clear(entries)
		return false
	}
	for len(entries) > 0 {
		n := min(len(entries), wire.BlockEvents)
		bs.events = bs.events[:0]
		for _, e := range entries[:n] {
			bs.events = append(bs.events, e.JSON)
		}
		begin := len(b.frames)
		b.frames = wire.AppendBlock(transport.BeginFrame(b.frames), source.Group(), source.Channel(), bs.events)
		b.frames = transport.EndFrame(b.frames, begin, transport.Text)
		b.to = entries[n-1].Event.V
		b.marks = append(b.marks, mark{end: len(b.frames), upto: b.to})
		entries = entries[n:]
	}
	clear(bs.events)
	bs.cut = bs.cut || b.to < source.Head()
	return true
}
