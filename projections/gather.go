package projections

import (
	"context"
	"time"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
)

// gathered is what is written together.
type gathered struct {
	batch   history.Batch
	bytes   int
	through map[streams.Partition]streams.Seq // per partition, everything up to here is in it or written
}

func (g *gathered) rows() int { return len(g.batch.Records) + len(g.batch.Refusals) }

func (g *gathered) add(c chunk) {
	if g.through == nil {
		g.through = map[streams.Partition]streams.Seq{}
	}
	g.batch.Records = append(g.batch.Records, c.records...)
	g.batch.Refusals = append(g.batch.Refusals, c.refusals...)
	g.bytes += c.bytes
	g.through[c.partition] = c.through
}

// gatherer makes batches of the readers' chunks: one is given away when it has
// waited for linger and the writer is free, and takes no more once it is full.
// So batches are small while there is little to do and grow with the load.
type gatherer struct {
	maxRows, maxBytes int
	linger            time.Duration
}

// full reports whether a batch takes no more.
func (g *gatherer) full(batch *gathered) bool {
	return batch.rows() >= g.maxRows || batch.bytes >= g.maxBytes
}

// run gathers until ctx is done.
func (g *gatherer) run(ctx context.Context, chunks <-chan chunk, batches chan<- gathered) error {
	linger := time.NewTimer(g.linger)
	linger.Stop()
	defer linger.Stop()
	var next gathered
	ripe := false
	for {
		in, out := chunks, batches
		if g.full(&next) {
			in, ripe = nil, true
		}
		if !ripe {
			out = nil
		}
		select {
		case c := <-in:
			if next.through == nil {
				linger.Reset(g.linger)
			}
			next.add(c)
		case <-linger.C:
			ripe = true
		case out <- next:
			linger.Stop()
			next, ripe = gathered{}, false
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
