package hub

import (
	"context"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// shown is a page of history without what the reader may not see or hides. In
// the place of a hidden message comes the next one, so that a page is as full as
// without; where nothing but hidden messages is beyond it, there is no more.
func (c *channel) shown(ctx context.Context, q backfill.Query, s *sight) (messages []*wire.Message, more bool, err error) {
	if len(s.hidden) == 0 || q.Limit <= 0 {
		return c.since(ctx, q, s.floor)
	}
	c.view.mu.Lock()
	head := c.log.Messages()
	c.view.mu.Unlock()
	w := walk{hidden: s.hidden, head: head, up: q.After.Given}
	if w.up {
		w.at = streams.Number(min(q.After.Value, uint64(head))) + 1
	} else {
		w.at = streams.Number(max(min(q.Before.Or(streams.MaxInteger), uint64(head)+1), 1)) - 1
	}
	more = true
	for more && len(messages) < q.Limit && w.skip() {
		part, rest, err := c.since(ctx, w.query(q, q.Limit-len(messages)), s.floor)
		switch {
		case err != nil && len(messages) > 0:
			return messages, true, nil // the next page says what is wrong
		case err != nil:
			return nil, false, err
		case len(part) == 0:
			return messages, rest, nil
		}
		for _, m := range part {
			if len(messages) == q.Limit {
				rest = true
				break
			}
			if !s.hidden.Has(m.N) {
				messages = append(messages, m)
			}
			w.pass(m.N)
		}
		more = rest
	}
	return messages, more && w.skip(), nil
}

// walk goes over a channel's messages in the direction a page is read.
type walk struct {
	hidden hidden.Numbers
	head   streams.Number // the newest message
	up     bool
	at     streams.Number // the next one; 0 or above head at the end
}

// pass goes behind a message.
func (w *walk) pass(n streams.Number) {
	if w.up {
		w.at = n + 1
	} else {
		w.at = n - 1
	}
}

// skip goes on to a message that is not hidden; false: there is none.
func (w *walk) skip() bool {
	for w.at >= 1 && w.at <= w.head {
		if !w.hidden.Has(w.at) {
			return true
		}
		w.pass(w.at)
	}
	return false
}

// query asks for the messages in a row that hold so many that are not hidden, or
// for as many as one answer has.
func (w *walk) query(q backfill.Query, want int) backfill.Query {
	ahead := *w
	for q.Limit = 0; want > 0 && q.Limit < AnswerEvents && ahead.at >= 1 && ahead.at <= ahead.head; q.Limit++ {
		if !ahead.hidden.Has(ahead.at) {
			want--
		}
		ahead.pass(ahead.at)
	}
	if w.up {
		q.Before, q.After = wire.Option{}, wire.Option{Value: uint64(w.at) - 1, Given: true}
	} else {
		q.Before, q.After = wire.Option{Value: uint64(w.at) + 1, Given: true}, wire.Option{}
	}
	return q
}
