package projections

import (
	"context"
	"log/slog"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// Stepped is the loop of one partition without its goroutines: the caller moves
// each stage, in any order, as [Projector] lets them run. Each holds as much as
// it does there. It is what a deterministic simulation runs. One caller moves
// one stage at a time, while others may wait for log or sink.
type Stepped struct {
	partition streams.Partition
	sink      Sink
	reader    *reader
	gatherer  *gatherer
	writer    *writer

	taken    *chunk    // read, not gathered
	batch    gathered  // gathered, not given to the writer
	given    *gathered // given to the writer, its state not written
	half     *half     // its state written, its events not begun
	finished *half     // its events being written
}

// NewStepped returns the loop of a partition. It has to be opened before
// anything else. A batch takes maxRows events at most, give or take a page.
func NewStepped(p streams.Partition, log *eventlog.Reader, sink Sink, maxRows int) *Stepped {
	progresses := make([]*progress, p+1)
	progresses[p] = &progress{}
	m := newMetrics()
	return &Stepped{
		partition: p, sink: sink,
		reader: &reader{
			partition: p, log: log, sink: sink, progress: progresses[p], metrics: m, logger: slog.New(slog.DiscardHandler),
		},
		gatherer: &gatherer{maxRows: maxRows, maxBytes: 16 << 20},
		writer:   &writer{sink: sink, progress: progresses, metrics: m, stored: func() {}},
	}
}

// Open drops what is on its way and asks the sink where to go on. It follows
// every error, once nothing waits for log or sink any more.
func (s *Stepped) Open(ctx context.Context) error {
	s.taken, s.batch, s.given, s.half, s.finished = nil, gathered{}, nil, nil, nil
	heads, err := s.sink.Heads(ctx)
	if err != nil {
		return err
	}
	s.reader.progress.storedSeq.Store(uint64(heads[s.partition].Seq))
	s.reader.begin(heads[s.partition])
	return nil
}

// Read reads a page, if the one before is gathered. Nothing happens where NATS
// fails: it is asked again.
func (s *Stepped) Read(ctx context.Context) error {
	if s.taken != nil {
		return nil
	}
	page, _, err := s.reader.page(ctx)
	if err != nil || len(page) == 0 {
		return nil
	}
	taken, err := s.reader.take(ctx, page)
	if err == nil {
		s.taken = &taken
	}
	return err
}

// Gather adds what was read to the batch, if that takes more.
func (s *Stepped) Gather() {
	if s.taken != nil && !s.gatherer.full(&s.batch) {
		s.batch.add(*s.taken)
		s.taken = nil
	}
}

// WriteState gives the batch to the writer, if its first step is free, and does
// that step. What it wrote before must have been handed to the second.
func (s *Stepped) WriteState(ctx context.Context) error {
	if s.half != nil || s.given != nil || s.batch.through == nil {
		return nil
	}
	batch := s.batch
	s.given, s.batch = &batch, gathered{}
	next := half{gathered: batch}
	if err := s.writer.state(ctx, &next); err != nil {
		return err
	}
	s.given, s.half = nil, &next
	return nil
}

// WriteEvents does the second step of a batch whose first is done.
func (s *Stepped) WriteEvents(ctx context.Context) error {
	if s.half == nil || s.finished != nil {
		return nil
	}
	s.finished, s.half = s.half, nil
	if err := s.writer.events(ctx, *s.finished); err != nil {
		return err
	}
	s.finished = nil
	return nil
}

// Look takes where the log begins and ends, as [Projector] sees once a second.
func (s *Stepped) Look(first, last streams.Seq) {
	s.reader.progress.firstSeq.Store(uint64(first))
	s.reader.progress.lastSeq.Store(uint64(last))
}

// Stored is how far the log is stored or left out: what is told to its owner.
func (s *Stepped) Stored() streams.Seq { return s.reader.progress.stored() }

// Skip forgets what failed and goes on behind it, as no projector may. Only
// tests call it, to show that their checkers notice.
func (s *Stepped) Skip() { s.given, s.half, s.finished = nil, nil, nil }
