package projections

import (
	"context"
	"time"

	"github.com/throng/throng/projections/history"
)

// writeWithin bounds the writing of one batch: ClickHouse may hang rather than
// fail.
const writeWithin = 60 * time.Second

// writer writes batches in two steps, each a goroutine, so that the state of
// one batch is stored while the events of the one before are. Order is kept
// where it matters: a batch's events come after its own state and after the
// events of all batches before.
type writer struct {
	sink     Sink
	progress []*progress // by partition
	metrics  *metrics
	stored   func() // called after each batch that is stored
}

// half is a batch whose state is stored and whose events are not.
type half struct {
	gathered
	begun   time.Time
	written history.Written
}

// writeState stores what batches make of the current state and passes them on,
// until ctx is done or ClickHouse fails, which it returns.
func (w *writer) writeState(ctx context.Context, batches <-chan gathered, halves chan<- half) error {
	for {
		var next half
		select {
		case next.gathered = <-batches:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := w.state(ctx, &next); err != nil {
			return err
		}
		select {
		case halves <- next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// state is the first step of one batch.
func (w *writer) state(ctx context.Context, next *half) (err error) {
	next.begun = time.Now()
	writing, cancel := withGrace(ctx, writeWithin)
	defer cancel()
	next.written, err = w.sink.WriteState(writing, next.batch)
	return err
}

// writeEvents stores the events, which is what moves the position, until ctx
// is done or ClickHouse fails, which it returns.
func (w *writer) writeEvents(ctx context.Context, halves <-chan half) error {
	for {
		var next half
		select {
		case next = <-halves:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := w.events(ctx, next); err != nil {
			return err
		}
	}
}

// events is the second step of one batch.
func (w *writer) events(ctx context.Context, next half) error {
	writing, cancel := withGrace(ctx, writeWithin)
	defer cancel()
	if err := w.sink.WriteEvents(writing, next.batch); err != nil {
		return err
	}
	for partition, seq := range next.through {
		w.progress[partition].storedSeq.Store(uint64(seq))
	}
	if next.rows() > 0 { // fences and canaries alone are no batch
		w.metrics.stored(next, time.Since(next.begun))
		w.stored()
	}
	return nil
}
