package sim

import (
	"context"
	"fmt"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
)

// reader is one client of an edge that follows every channel. It takes from the
// rings what comes behind its cursor, now and then; of what is gone there it is
// told, and pulls it. A slow one takes seldom.
type reader struct {
	edge  *edge
	name  string
	slow  bool
	feeds map[channelKey]*feed
	order []*feed // as they came up
}

type channelKey struct {
	group   streams.Group
	channel streams.Channel
}

// feed is one channel as the reader has seen it.
type feed struct {
	key     channelKey
	start   streams.Version // it was told that the channel stood here
	cursor  streams.Version // newest delivered, or told to be lost
	events  []*streams.Event
	pulled  map[streams.Version]*streams.Event
	gaps    []backfill.Range // to be pulled
	pulling bool
}

func newReader(e *edge, number int) *reader {
	return &reader{edge: e, name: fmt.Sprintf("%s/r%d", e.name, number), slow: number == 1, feeds: map[channelKey]*feed{}}
}

// interrupted is what it notices of its edge's end: it goes on with its cursors.
func (r *reader) interrupted() {
	for _, f := range r.order {
		f.pulling = false
	}
}

func (r *reader) step() {
	w := r.edge.world
	if r.edge.offline && w.below(2) == 0 || r.slow && w.severity > 0 && w.below(12) > 0 {
		return
	}
	for _, v := range r.edge.views {
		if !v.opened {
			continue
		}
		for _, name := range v.order {
			r.take(v.channels[name])
		}
	}
}

func (r *reader) take(c *channel) {
	w := r.edge.world
	key := channelKey{c.view.group, c.name}
	f := r.feeds[key]
	if f == nil {
		f = &feed{key: key, start: c.head, cursor: c.head, pulled: map[streams.Version]*streams.Event{}}
		r.feeds[key] = f
		r.order = append(r.order, f)
	}
	if c.head < f.cursor {
		return // an edge that has just begun and was told by a former owner
	}
	var entries []ring.Entry
	entries, lost := c.ring.Take(entries, f.cursor, c.head, 10, 1<<20)
	if lost > f.cursor {
		w.trace("%s: a gap in %s/%s after %d up to %d", r.name, key.group, key.channel, f.cursor, lost)
		w.gaps++
		if !w.sabotage.ignoresGaps {
			f.gaps = append(f.gaps, backfill.Range{After: f.cursor, Upto: lost})
		}
		f.cursor = lost
	}
	for _, entry := range entries {
		f.events = append(f.events, entry.Event)
		f.cursor = entry.Event.V
	}
	r.pull(f)
}

// pull reads the oldest gap.
func (r *reader) pull(f *feed) {
	if f.pulling || len(f.gaps) == 0 {
		return
	}
	f.pulling = true
	w, conn := r.edge.world, r.edge.conn
	loader := newLoader(conn) // one's own: a second load of the same would wait for the first
	w.start(conn, func() {
		gap := f.gaps[0]
		gap.Limit, gap.Bytes = 1+w.below(20), 1<<20
		entries, _ := loader.Events(context.Background(), backfill.Target{Group: f.key.group, Channel: f.key.channel}, gap)
		if conn.dead {
			return
		}
		f.pulling = false
		for _, entry := range entries {
			f.pulled[entry.Event.V] = entry.Event
			f.gaps[0].After = entry.Event.V
		}
		if f.gaps[0].After >= f.gaps[0].Upto {
			f.gaps = f.gaps[1:]
		}
	})
}

// behind reports whether there is something to take or to pull.
func (r *reader) behind() bool {
	for _, v := range r.edge.views {
		for _, name := range v.order {
			if f := r.feeds[channelKey{v.group, name}]; f == nil || f.cursor < v.channels[name].head {
				return true
			}
		}
	}
	for _, f := range r.order {
		if len(f.gaps) > 0 {
			return true
		}
	}
	return false
}
