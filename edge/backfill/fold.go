package backfill

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// window is the numbers of a history page, lo <= n <= hi; empty if lo > hi.
type window struct {
	lo, hi streams.Number
	newest bool // newest first
	more   bool // there are messages beyond it, in the direction it is read
}

// Query is what a history page is asked for. Neither Before nor After: the
// newest.
type Query struct {
	Before, After wire.Option // numbers, exclusive
	Limit         int
	User          streams.User // whose own reactions are marked
}

// in places the query among the messages 1 … n of a channel.
func (q Query) in(n streams.Number) window {
	limit := streams.Number(max(q.Limit, 0))
	if q.After.Given {
		after := min(streams.Number(q.After.Value), n)
		hi := min(after+limit, n)
		return window{lo: after + 1, hi: hi, more: hi < n}
	}
	hi := n
	if q.Before.Given {
		hi = min(n, streams.Number(max(q.Before.Value, 1)-1))
	}
	lo := streams.Number(1)
	if hi > limit {
		lo = hi - limit + 1
	}
	return window{lo: lo, hi: hi, newest: true, more: lo > 1}
}

// fold is the messages of a window in the state the events seen so far leave
// them in.
type fold struct {
	window
	reader   streams.User
	messages map[streams.Number]*wire.Message
}

func newFold(w window, reader streams.User) *fold {
	return &fold{window: w, reader: reader, messages: map[streams.Number]*wire.Message{}}
}

// again is the same fold with nothing in it.
func (f *fold) again() *fold { return newFold(f.window, f.reader) }

func (f *fold) apply(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		if e.N >= f.lo && e.N <= f.hi && f.messages[e.N] == nil {
			f.messages[e.N] = &wire.Message{
				N: e.N, V: e.V, Seq: e.Seq, TS: e.TS, User: e.User, ClientID: e.ClientID, Posted: p.MessagePosted,
			}
		}
	case streams.MessageEdited:
		m := f.messages[streams.Number(p.GetTarget())]
		if m == nil || m.Recalled {
			return
		}
		// The event's payload belongs to the ring: change a copy.
		posted := proto.Clone(m.Posted).(*streampb.MessagePosted)
		posted.Body, posted.BodyJson = p.GetBody(), p.GetBodyJson()
		m.Posted, m.EditedTS = posted, e.TS
	case streams.MessageRecalled:
		if m := f.messages[streams.Number(p.GetTarget())]; m != nil {
			*m = wire.Message{N: m.N, Seq: m.Seq, Recalled: true}
		}
	case streams.Reacted:
		f.react(e.User, p.GetTarget(), p.GetEmoji(), p.GetCount(), true)
	case streams.Unreacted:
		f.react(e.User, p.GetTarget(), p.GetEmoji(), p.GetCount(), false)
	}
}

// react takes the count of an emoji after a user reacted with it, or took that
// back.
func (f *fold) react(user streams.User, target uint64, emoji string, count uint64, on bool) {
	m := f.messages[streams.Number(target)]
	if m == nil || m.Recalled {
		return
	}
	i, found := slices.BinarySearchFunc(m.Reactions, emoji, func(r wire.Reaction, emoji string) int { return strings.Compare(r.Emoji, emoji) })
	switch {
	case count == 0 && found:
		m.Reactions = slices.Delete(m.Reactions, i, i+1)
		return
	case count == 0:
		return
	case !found:
		m.Reactions = slices.Insert(m.Reactions, i, wire.Reaction{Emoji: emoji})
	}
	m.Reactions[i].Count = count
	if user == f.reader {
		m.Reactions[i].Mine = on
	}
}

// page is the answer: messages in the order asked for.
type page struct {
	messages []*wire.Message
	more     bool
	reader   streams.User // who it was made for
}

// personal reports whether another reader's page may differ: reactions say
// which are the reader's own.
func (p page) personal() bool {
	return slices.ContainsFunc(p.messages, func(m *wire.Message) bool { return len(m.Reactions) > 0 })
}

// page returns the messages without a hole from the side the window is read;
// complete is false where some are missing.
func (f *fold) page() (p page, complete bool) {
	p.more, p.reader = f.more, f.reader
	for i := f.lo; i <= f.hi; i++ {
		n := i
		if f.newest {
			n = f.hi - (i - f.lo)
		}
		m := f.messages[n]
		if m == nil {
			p.more = true
			return p, false
		}
		p.messages = append(p.messages, m)
	}
	return p, true
}
