package hub

import (
	"context"
	"math"
	"slices"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// History returns messages by number in their current state. Errors are as
// those of [View.Pull].
func (v *View) History(ctx context.Context, reader Reader, name streams.Channel, q backfill.Query) (messages []*wire.Message, more bool, err error) {
	if err := v.Admit(ctx, reader); err != nil {
		return nil, false, err
	}
	c, err := v.find(ctx, reader, name)
	if err != nil {
		return nil, false, err
	}
	q.User = reader.User
	sight, err := v.look(ctx, reader, c)
	if err != nil {
		return nil, false, err
	}
	if sight == nil || sight.all {
		return c.history(ctx, q)
	}
	return c.shown(ctx, q, sight)
}

// since is history without what was before a sequence, 0 for nothing.
func (c *channel) since(ctx context.Context, q backfill.Query, floor streams.Seq) (messages []*wire.Message, more bool, err error) {
	if floor > 0 && q.After.Given {
		first, err := c.first(ctx, floor)
		if err != nil {
			return nil, false, err
		}
		q.After.Value = max(q.After.Value, uint64(first)-1)
	}
	messages, more, err = c.history(ctx, q)
	if err != nil || floor == 0 {
		return messages, more, err
	}
	// Newest first, those before the join are the last ones.
	if i := slices.IndexFunc(messages, func(m *wire.Message) bool { return m.Seq < floor }); i >= 0 {
		messages, more = messages[:i:i], false
	}
	return messages, more, nil
}

func (c *channel) history(ctx context.Context, q backfill.Query) ([]*wire.Message, bool, error) {
	v := c.view
	v.mu.Lock()
	head := backfill.Head{V: c.log.At(), N: c.log.Messages()}
	held := c.ring.Newest(0, math.MaxInt, math.MaxInt)
	v.mu.Unlock()
	return v.hub.config.Loader.History(ctx, v.target(c.name), q, head, held)
}

// maxFirsts is how many joins a channel remembers the first message after.
const maxFirsts = 1024

// first is the number of the first message at or behind a sequence, the next
// one where there is none yet. It is looked for once per sequence.
func (c *channel) first(ctx context.Context, floor streams.Seq) (streams.Number, error) {
	c.view.mu.Lock()
	n, known := c.firsts[floor]
	hi := c.log.Messages() + 1
	c.view.mu.Unlock()
	if known {
		return n, nil
	}
	lo := streams.Number(1)
	for lo < hi { // the one looked for is in lo … hi
		middle := lo + (hi-lo)/2
		messages, _, err := c.history(ctx, backfill.Query{After: wire.Option{Value: uint64(middle) - 1, Given: true}, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(messages) == 0 || messages[0].Seq >= floor {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	if len(c.firsts) >= maxFirsts {
		clear(c.firsts)
	}
	if c.firsts == nil {
		c.firsts = map[streams.Seq]streams.Number{}
	}
	if lo <= c.log.Messages() {
		c.firsts[floor] = lo
	}
	return lo, nil
}
