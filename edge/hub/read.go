package hub

import (
	"context"
	"slices"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
)

// Pull returns the events after < v <= upto, oldest first, at most limit and
// but for the first [AnswerBytes] of JSON, and whether there are more in that
// range. Errors: a [*streams.Rejection] (not_member, not_found, unavailable,
// history_unavailable), or what NATS says.
func (v *View) Pull(ctx context.Context, reader Reader, name streams.Channel, after, upto streams.Version, limit int) (events []ring.Entry, more bool, err error) {
	if err := v.Admit(ctx, reader); err != nil {
		return nil, false, err
	}
	c, err := v.find(ctx, reader, name)
	if err != nil {
		return nil, false, err
	}
	v.mu.Lock()
	head, seq := c.log.At(), c.log.Seq()
	v.mu.Unlock()
	if upto = min(upto, head); after >= upto {
		return nil, false, nil
	}
	r := backfill.Range{After: after, Upto: upto, Limit: limit, Bytes: AnswerBytes, Hi: seq}
	first, ok := c.ring.First()
	if ok {
		r.Upto, r.Hi = min(upto, first.Event.V-1), first.Event.Prev
	}
	if after < r.Upto {
		if events, err = v.hub.config.Loader.Events(ctx, v.target(name), r); err != nil {
			return nil, false, err
		}
	}
	// A read that ended early says so; the rest is for the next pull.
	if through := after + streams.Version(len(events)); through >= r.Upto && through < upto && len(events) < limit {
		// Clipped, because others may have been given the same slice.
		events = c.ring.After(slices.Clip(events), through, limit-len(events), AnswerBytes-jsonBytes(events))
	}
	events = c.dressed(contiguous(events, after, upto))
	sight, err := v.look(ctx, reader, c)
	if err != nil {
		return nil, false, err
	}
	if sight.changes(events) {
		events = slices.Clone(events) // others may have been given the same
		sight.present(events)
	}
	return events, after+streams.Version(len(events)) < upto, nil
}

func jsonBytes(entries []ring.Entry) (bytes int) {
	for _, e := range entries {
		bytes += len(e.JSON)
	}
	return bytes
}

// contiguous cuts entries off where they leave the range or jump: the ring may
// have lost its oldest while it was read.
func contiguous(entries []ring.Entry, after, upto streams.Version) []ring.Entry {
	for i, e := range entries {
		if e.Event.V != after+streams.Version(i)+1 || e.Event.V > upto {
			return entries[:i]
		}
	}
	return entries
}
