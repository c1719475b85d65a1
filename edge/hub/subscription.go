package hub

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	// AnswerEvents and AnswerBytes bound what one answer carries.
	AnswerEvents = 1000
	AnswerBytes  = 1 << 20 // bytes of JSON
	// warmEvents is how many events a subscribe reads from the log where the
	// ring holds fewer.
	warmEvents = 500
)

// Ended is why the hub ended a subscription.
type Ended int

const (
	Left    Ended = iota // the user is no member any more, or the group was deleted
	Lost                 // the group is no longer followed
	Removed              // the channel is not there for the user any more
)

// Follower is who is told about a subscription. Its methods are called under
// the view's lock: they must not wait and not call back.
type Follower interface {
	// Ended tells that nothing will come any more.
	Ended(*Subscription, Ended)
	// Signal hands over a frame that may be dropped.
	Signal(*Subscription, []byte)
}

// Subscription is one reader's interest in one channel. How far the reader has
// come is the reader's own affair.
type Subscription struct {
	// Static after View.Subscribe.
	view     *View
	channel  *channel
	reader   Reader
	follower Follower
	crowd    Crowd

	sight atomic.Pointer[sight] // what the reader may know; nil where nothing is private

	detached bool // guarded by view.mu
}

// Group is the subscription's group.
func (s *Subscription) Group() streams.Group { return s.view.group }

// Channel is the subscription's channel.
func (s *Subscription) Channel() streams.Channel { return s.channel.name }

// Source is the subscription's channel as it is taken from.
func (s *Subscription) Source() *Source { return &s.channel.source }

func (s *Subscription) finish(why Ended) { s.follower.Ended(s, why) }

// Head is how far the channel has come; what is up to there can be taken.
func (s *Subscription) Head() streams.Version { return streams.Version(s.channel.head.Load()) }

// Position is how far the channel has come, and how many messages that are.
// Followers may ask under their own locks.
func (s *Subscription) Position() (streams.Version, streams.Number) { return s.channel.where.get() }

// Take appends to out what comes after cursor, at most count events and, but
// for the first, bytes of JSON. With gap set, the events between are no longer
// at hand, and those in out come behind it.
func (s *Subscription) Take(out []ring.Entry, cursor streams.Version, count, bytes int) (entries []ring.Entry, gap *wire.Missing) {
	return s.channel.source.take(s.sight.Load(), out, cursor, count, bytes)
}

// Shares reports whether the reader is to get these entries of the channel in
// the form that [Source.Take] gives everybody, as of what is known after they
// were taken.
func (s *Subscription) Shares(entries []ring.Entry) bool {
	return s.sight.Load().shares(entries)
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	s.detach()
}

// detach takes the subscription out of its channel; view.mu is held.
func (s *Subscription) detach() {
	if s.detached {
		return
	}
	s.detached = true
	s.view.hub.config.Metrics.subscriptions.Dec()
	if i := slices.Index(s.channel.subs, s); i >= 0 {
		s.channel.subs = slices.Delete(s.channel.subs, i, i+1)
	}
	s.channel.source.leave(s.crowd)
	if m := s.view.members[s.reader.User]; m != nil && slices.Contains(m.subs, s) {
		if m.subs = slices.DeleteFunc(m.subs, func(other *Subscription) bool { return other == s }); len(m.subs) == 0 {
			m.subs = nil
			s.view.following--
			s.view.moved(s.reader.User, false)
			if s.view.kind == room {
				m.known = false // may be out by it, without an event of their own
			}
		}
	}
}

// Interest is what a subscribe asks for.
type Interest struct {
	Reader   Reader
	Channel  streams.Channel
	After    wire.Option // a v
	Tail     wire.Option // events
	Log      string      // the history After belongs to, empty if not given
	Follower Follower
	Crowd    Crowd // who takes the events for the follower
}

// Subscribe answers with where the channel stands and what the reader has
// missed, and wakes the crowd for every event after the answer's v. The
// view must stay open as long as the subscription. Errors are
// [*streams.Rejection]: not_member, not_found, unavailable.
func (v *View) Subscribe(ctx context.Context, i Interest) (*Subscription, wire.Subscribed, error) {
	for {
		s, answer, err := v.subscribe(ctx, i)
		if errors.Is(err, errForgotten) && ctx.Err() == nil {
			continue // many came at once: ask again
		}
		return s, answer, err
	}
}

// errForgotten: what the owner said about the reader was dropped for others.
var errForgotten = errors.New("forgotten since it was asked")

func (v *View) subscribe(ctx context.Context, i Interest) (*Subscription, wire.Subscribed, error) {
	if err := v.Admit(ctx, i.Reader); err != nil {
		return nil, wire.Subscribed{}, err
	}
	c, err := v.find(ctx, i.Reader, i.Channel)
	if err != nil {
		return nil, wire.Subscribed{}, err
	}
	if i.Log != "" && i.Log != v.log {
		i.After = wire.Option{}
	}
	if i.Channel == streams.GroupChannel {
		if err := c.loadAttributes(ctx); err != nil {
			return nil, wire.Subscribed{}, err
		}
	}
	c.warm(ctx, i)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, wire.Subscribed{}, owner.Unavailable()
	}
	s := &Subscription{view: v, channel: c, reader: i.Reader, follower: i.Follower, crowd: i.Crowd}
	m := v.members[i.Reader.User]
	switch {
	case i.Channel == streams.GroupChannel && !c.attrs.current(c):
		return nil, wire.Subscribed{}, errForgotten
	case i.Reader.Server:
		if !v.exists(c) {
			return nil, wire.Subscribed{}, streams.NoChannel()
		}
	case m == nil || !m.known:
		return nil, wire.Subscribed{}, errForgotten
	case !m.admitted():
		return nil, wire.Subscribed{}, streams.Outside()
	case !v.sees(m, c):
		return nil, wire.Subscribed{}, streams.NoChannel()
	default:
		if len(m.subs) == 0 {
			v.following++
			v.moved(i.Reader.User, true)
		}
		m.subs = append(m.subs, s)
	}
	s.sight.Store(v.sight(i.Reader, m, c))
	c.subs = append(c.subs, s)
	c.source.join(s.crowd)
	v.hub.config.Metrics.subscriptions.Inc()
	return s, c.answer(i, s.sight.Load()), nil
}

// missed is the version after which the reader wants events, and how many of
// the newest.
func (i Interest) missed(head streams.Version) (after streams.Version, count int) {
	if !i.After.Given && !i.Tail.Given {
		return head, 0
	}
	after = min(streams.Version(i.After.Value), head)
	return after, int(min(i.Tail.Or(AnswerEvents), AnswerEvents))
}

// answer says where the channel stands; view.mu is held.
func (c *channel) answer(i Interest, sight *sight) wire.Subscribed {
	answer := wire.Subscribed{V: c.log.At(), N: c.log.Messages(), Log: c.view.log}
	if c.name == streams.GroupChannel {
		answer.Attrs = c.attrs.encode()
	}
	after, count := i.missed(c.log.At())
	entries := c.ring.Newest(after, count, AnswerBytes)
	sight.present(entries)
	for _, e := range entries {
		answer.Events = append(answer.Events, e.JSON)
	}
	from := c.log.At() + 1
	if len(entries) > 0 {
		from = entries[0].Event.V
	}
	if i.After.Given && from > after+1 {
		answer.Gap = &wire.Missing{After: after, Upto: from - 1}
	}
	return answer
}

// warm reads from the log what the reader wants and the ring does not hold. If
// that fails, the answer just says what it leaves out.
func (c *channel) warm(ctx context.Context, i Interest) {
	c.view.mu.Lock()
	head, seq := c.log.At(), c.log.Seq()
	c.view.mu.Unlock()
	after, count := i.missed(head)
	if !i.Tail.Given {
		count = min(count, warmEvents)
	}
	after = max(after, head-min(head, streams.Version(count)))
	r := backfill.Range{After: after, Upto: head, Limit: AnswerEvents, Bytes: fillBytes, Hi: seq, LogOnly: true}
	if first, ok := c.ring.First(); ok {
		r.Upto, r.Hi = min(head, first.Event.V-1), first.Event.Prev
	}
	if r.After >= r.Upto {
		return
	}
	entries, err := c.view.hub.config.Loader.Events(ctx, c.view.target(c.name), r)
	if err != nil {
		c.view.hub.config.Logger.Debug("warm a ring", "group", c.view.group, "channel", c.name, "err", err)
		return
	}
	entries = c.dressed(entries)
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	c.ring.Prepend(entries, c.log.At())
	c.ring.Replace(c.redact) // what was recalled in between
}
