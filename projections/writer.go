package projections

import (
	"context"
	"time"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
)

// writeWithin bounds one batch, three inserts and a read: ClickHouse may hang
// rather than fail.
const writeWithin = 60 * time.Second

// writer gathers the readers' chunks and writes them. It is owned by its
// goroutine; a new one is made after every failure, and what the old one held
// is read again.
type writer struct {
	sink     *history.Sink
	progress []*progress // by partition
	metrics  *metrics
	done     func() // called after each batch that is stored

	maxRows, maxBytes int
	linger            time.Duration

	batch   history.Batch
	bytes   int
	through map[streams.Partition]streams.Seq
}

// run writes until ctx is done or a write fails, which it returns.
func (w *writer) run(ctx context.Context, chunks <-chan chunk) error {
	linger := time.NewTimer(w.linger)
	linger.Stop()
	defer linger.Stop()
	w.reset()
	for {
		select {
		case c := <-chunks:
			if w.rows() == 0 {
				linger.Reset(w.linger)
			}
			w.add(c)
			switch {
			case w.rows() == 0: // fences and canaries alone need no insert
				linger.Stop()
				w.advance()
				continue
			case w.rows() < w.maxRows && w.bytes < w.maxBytes:
				continue
			}
		case <-linger.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		linger.Stop()
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
}

func (w *writer) rows() int { return len(w.batch.Records) + len(w.batch.Refusals) }

func (w *writer) add(c chunk) {
	w.batch.Records = append(w.batch.Records, c.records...)
	w.batch.Refusals = append(w.batch.Refusals, c.refusals...)
	w.bytes += c.bytes
	w.through[c.partition] = c.through
}

func (w *writer) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	start := time.Now()
	written, err := w.sink.Write(ctx, w.batch)
	if err != nil {
		return err
	}
	w.metrics.seconds.Observe(time.Since(start).Seconds())
	w.metrics.batches.Inc()
	w.metrics.rows.WithLabelValues("events").Add(float64(written.Events))
	w.metrics.rows.WithLabelValues("messages").Add(float64(written.Messages))
	w.metrics.rows.WithLabelValues("events_refused").Add(float64(written.Refusals))
	w.metrics.orphans.Add(float64(written.Orphans))
	w.advance()
	w.done()
	return nil
}

func (w *writer) advance() {
	for partition, seq := range w.through {
		w.progress[partition].storedSeq.Store(uint64(seq))
	}
	w.reset()
}

func (w *writer) reset() {
	w.batch, w.bytes, w.through = history.Batch{}, 0, map[streams.Partition]streams.Seq{}
}
