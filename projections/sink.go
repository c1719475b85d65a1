package projections

import (
	"context"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
)

// Sink is where history is written, and what knows how far it is.
// [history.Sink] is the real one; a simulation puts its own in its place. After
// an error of a writing method all of it, some or nothing may be stored.
type Sink interface {
	Heads(ctx context.Context) (map[streams.Partition]history.Head, error)
	Places(ctx context.Context, channels []history.Place) (map[history.Place]streams.Place, error)
	Refused(ctx context.Context, p streams.Partition, seq streams.Seq) (bool, error)
	WriteState(ctx context.Context, batch history.Batch) (history.Written, error)
	WriteEvents(ctx context.Context, batch history.Batch) error
}
