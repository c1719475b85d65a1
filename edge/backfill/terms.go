package backfill

import (
	"context"
	"errors"
	"sync"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// terms knows at which sequence each term of a partition's sequencers ended:
// at the next fence. What a term wrote behind that is stale.
type terms struct {
	reader *eventlog.Reader
	fence  string

	mu    sync.Mutex
	ended map[streams.Epoch]streams.Seq // guarded by mu; an end, once known, stays
}

// end returns where the term ended; ok is false while it goes on.
func (t *terms) end(ctx context.Context, epoch streams.Epoch) (end streams.Seq, ok bool, err error) {
	t.mu.Lock()
	end, ok = t.ended[epoch]
	t.mu.Unlock()
	if ok {
		return end, true, nil
	}
	m, err := t.reader.Next(ctx, t.fence, streams.Seq(epoch)+1)
	if errors.Is(err, eventlog.ErrNoMessage) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ended) > 4096 { // terms; enough for any range that is read often
		clear(t.ended)
	}
	t.ended[epoch] = m.Seq
	return m.Seq, true, nil
}

// judge is one pass over events in the order of the log.
type judge struct {
	terms *terms
	place streams.Place

	epoch streams.Epoch // the term last looked up
	end   streams.Seq   // where it ended, 0 while it goes on
}

// take decides about the next event and moves the place where it belongs.
func (j *judge) take(ctx context.Context, e *streams.Event) (streams.Verdict, error) {
	if e.Epoch != j.epoch {
		end, _, err := j.terms.end(ctx, e.Epoch)
		if err != nil {
			return 0, err
		}
		j.epoch, j.end = e.Epoch, end
	}
	if j.end != 0 && e.Seq > j.end {
		return streams.Stale, nil
	}
	verdict := streams.Judge(j.place, e)
	if verdict == streams.Belongs {
		j.place = j.place.After(e)
	}
	return verdict, nil
}
