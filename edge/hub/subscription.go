package hub

import (
	"context"
	"errors"
	"slices"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
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
	Left Ended = iota // the user is no member any more
	Lost              // the group is no longer followed
)

// Follower is who is told about a subscription. Its methods are called under
// the view's lock: they must not wait and not call back.
type Follower interface {
	// Wake tells that there may be something to take.
	Wake(*Subscription)
	// Ended tells that nothing will come any more.
	Ended(*Subscription, Ended)
}

// Subscription is one reader's interest in one channel. How far the reader has
// come is the reader's own affair.
type Subscription struct {
	// Static after View.Subscribe.
	view     *View
	channel  *channel
	reader   Reader
	follower Follower

	detached bool // guarded by view.mu
}

// Group is the subscription's group.
func (s *Subscription) Group() streams.Group { return s.view.group }

// Channel is the subscription's channel.
func (s *Subscription) Channel() streams.Channel { return s.channel.name }

func (s *Subscription) wake()            { s.follower.Wake(s) }
func (s *Subscription) finish(why Ended) { s.follower.Ended(s, why) }

// Head is how far the channel has come; what is up to there can be taken.
func (s *Subscription) Head() streams.Version { return streams.Version(s.channel.head.Load()) }

// Take appends to out what comes after cursor, at most count events and, but
// for the first, bytes of JSON. With gap set, the events between are no longer
// at hand, and those in out come behind it.
func (s *Subscription) Take(out []ring.Entry, cursor streams.Version, count, bytes int) (entries []ring.Entry, gap *wire.Missing) {
	head := s.Head() // first: what is up to here has been in the ring
	out, lost := s.channel.ring.Take(out, cursor, head, count, bytes)
	if lost > cursor {
		gap = &wire.Missing{After: cursor, Upto: lost}
	}
	if s.view.hub.config.WithoutContiguity {
		gap = nil
	}
	return out, gap
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
	if m := s.view.members[s.reader.User]; m != nil && len(m.subs) > 0 {
		if delete(m.subs, s); len(m.subs) == 0 {
			s.view.following--
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
}

// Subscribe answers with where the channel stands and what the reader has
// missed, and wakes the follower for every event after the answer's v. The
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
	c, err := v.find(ctx, i.Channel)
	if err != nil {
		return nil, wire.Subscribed{}, err
	}
	if i.Log != "" && i.Log != v.log {
		i.After = wire.Option{}
	}
	c.warm(ctx, i)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, wire.Subscribed{}, owner.Unavailable()
	}
	s := &Subscription{view: v, channel: c, reader: i.Reader, follower: i.Follower}
	if !i.Reader.Server {
		m := v.member(i.Reader.User)
		switch {
		case !m.known:
			return nil, wire.Subscribed{}, errForgotten
		case m.role == streampb.Role_ROLE_NONE:
			return nil, wire.Subscribed{}, streams.Reject(streams.NotMember, "not a member of this group")
		}
		if len(m.subs) == 0 {
			m.subs = map[*Subscription]struct{}{}
			v.following++
		}
		m.subs[s] = struct{}{}
	}
	c.subs = append(c.subs, s)
	v.hub.config.Metrics.subscriptions.Inc()
	return s, c.answer(i), nil
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
func (c *channel) answer(i Interest) wire.Subscribed {
	answer := wire.Subscribed{V: c.log.At(), N: c.log.Messages(), Log: c.view.log, Attrs: c.name == streams.GroupChannel}
	after, count := i.missed(c.log.At())
	entries := c.ring.Newest(after, count, AnswerBytes)
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
	entries = c.withoutRecalled(entries)
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	c.ring.Prepend(entries, c.log.At())
	c.ring.Replace(c.redact) // what was recalled in between
}
