package follow

import (
	"time"

	"github.com/throng/throng/streams"
)

// lateAfter is how long a channel may lie behind a beacon: the beacon overtakes
// nothing, but what it tells of may be on its way.
const lateAfter = 100 * time.Millisecond

// LateTick is how often to look at [Late.Due].
const LateTick = 50 * time.Millisecond

// Head is how far a channel has come, as a beacon says.
type Head struct {
	Group   streams.Group
	Channel streams.Channel
	V       streams.Version
}

// Late is what beacons of one partition told of and has not arrived.
type Late struct {
	heads []lateHead // oldest first, each channel once
	at    map[lateKey]int
}

type lateKey struct {
	group   streams.Group
	channel streams.Channel
}

type lateHead struct {
	Head
	since time.Time
}

// NewLate returns an empty one.
func NewLate() *Late { return &Late{at: map[lateKey]int{}} }

// Waiting reports whether there is anything to look at.
func (l *Late) Waiting() bool { return len(l.heads) > 0 }

// Note takes a head of a beacon that the channel is behind.
func (l *Late) Note(head Head, now time.Time) {
	key := lateKey{head.Group, head.Channel}
	if i, known := l.at[key]; known {
		l.heads[i] = lateHead{Head: head, since: now}
		return
	}
	l.at[key] = len(l.heads)
	l.heads = append(l.heads, lateHead{Head: head, since: now})
}

// Due hands want the heads that did not arrive in time and forgets them, and
// those that arrived, of which behind says so.
func (l *Late) Due(now time.Time, behind func(Head) bool, want func(Head)) {
	kept := l.heads[:0]
	clear(l.at)
	for _, head := range l.heads {
		switch {
		case !behind(head.Head):
		case now.Sub(head.since) >= lateAfter:
			want(head.Head)
		default:
			l.at[lateKey{head.Group, head.Channel}] = len(kept)
			kept = append(kept, head)
		}
	}
	clear(l.heads[len(kept):])
	l.heads = kept
}
