package session

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// pullLimit is what clients are told they can ask for at once.
const pullLimit = hub.AnswerEvents

type followKey struct {
	group   streams.Group
	channel streams.Channel
}

// follow is a session's subscription and how far it has been delivered.
type follow struct {
	// Static once installed.
	session *session
	key     followKey
	view    *hub.View
	sub     *hub.Subscription
	hint    bool // heads instead of events

	// state changes under session.mu. Whoever delivers looks at it after taking
	// what to deliver: what the hub adds after a change is not delivered then.
	state    atomic.Int32
	released atomic.Bool // given back to the hub

	// Guarded by session.mu.
	ended bool      // by the hub
	why   hub.Ended // if ended

	// Owned by the shard.
	audience *audience       // it is a member of, nil for none
	place    int             // in audience.members
	cursor   streams.Version // last delivered
	dirty    bool            // it is in session.dirty or session.hinted
}

// States of a follow.
const (
	pending   = iota // its answer is not written yet
	live             // it is delivered
	suspended        // it may be replaced: nothing is delivered meanwhile
	gone             // nothing will be delivered any more
)

// queue has a follow delivered by itself, unless it will be already. Only the
// shard calls it.
func (s *session) queue(f *follow) bool {
	if f.dirty {
		return false
	}
	f.dirty = true
	s.dirty = append(s.dirty, f)
	return true
}

// Ended is called by the hub when nothing more will come.
func (f *follow) Ended(_ *hub.Subscription, why hub.Ended) {
	s := f.session
	s.mu.Lock()
	f.ended, f.why = true, why
	f.state.Store(gone)
	installed := s.find(f.key) == f
	if installed {
		s.uninstall(f)
		switch why {
		case hub.Left:
			// Those of the group end one after the other: told once, with the last.
			if !slices.ContainsFunc(s.follows, func(other *follow) bool { return other.key.group == f.key.group }) {
				s.tellEnd(followKey{group: f.key.group})
			}
		case hub.Removed:
			s.tellEnd(f.key)
		}
	}
	s.mu.Unlock()
	switch {
	case why == hub.Lost && installed:
		s.close(websocket.CloseServiceRestart, "the group's feed was lost")
	case installed:
		s.signal()
	}
}

// tellEnd notes that the client is to be told; s.mu is held.
func (s *session) tellEnd(key followKey) {
	if s.left == nil {
		s.left = map[followKey]struct{}{}
	}
	s.left[key] = struct{}{}
}

// find returns the subscription of a channel, nil for none; s.mu is held. Most
// sessions have few: a map for each would cost more than looking through them.
func (s *session) find(key followKey) *follow {
	for _, f := range s.follows {
		if f.key == key {
			return f
		}
	}
	return nil
}

// uninstall stops delivering; s.mu is held.
func (s *session) uninstall(f *follow) {
	if i := slices.Index(s.follows, f); i >= 0 {
		if s.follows = slices.Delete(s.follows, i, i+1); len(s.follows) == 0 {
			s.follows = nil
		}
	}
	f.state.Store(gone)
	s.dropped = append(s.dropped, f)
}

// release gives subscriptions back that are no longer installed. The hub may
// keep it waiting.
func release(follows []*follow) {
	for _, f := range follows {
		if f.released.Swap(true) {
			continue
		}
		f.sub.Close()
		f.view.Release()
	}
}

// subscribe answers where a channel stands; the shard starts delivering
// behind the answer. A subscription that is there is silent meanwhile, so that
// nothing above the answer's v goes out before it.
func (s *session) subscribe(ctx context.Context, it item) {
	key := followKey{it.task.Group, it.task.Channel}
	old, err := s.suspend(key)
	var f *follow
	var answer wire.Subscribed
	if err == nil {
		f, answer, err = s.follow(ctx, it.task)
	}
	if err == nil {
		if err = s.install(f, answer.V, old); err != nil {
			release([]*follow{f})
		}
	}
	refused := err
	if err != nil {
		refused = streams.AsRejection(err)
		s.resume(old)
		s.settle(it.id, command.Answer{Err: refused}, reply{read: true})
	} else {
		if answer.Gap != nil {
			s.endpoint.config.Metrics.gaps.WithLabelValues(string(gapAnswer)).Inc()
		}
		if old != nil {
			release([]*follow{old})
		}
		s.settle(it.id, command.Answer{OK: wire.AppendSubscribed(nil, answer)}, reply{read: true, arm: f})
	}
	s.endpoint.config.Runner.Metrics().Answered(wire.Subscribe, it.task.Taken, refused)
}

// suspend stops the subscription there is, if any.
func (s *session) suspend(key followKey) (*follow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.find(key)
	if old == nil {
		if len(s.follows) >= maxFollows {
			return nil, streams.Reject(streams.BadRequest, "a connection follows at most %d channels", maxFollows)
		}
		return nil, nil
	}
	old.state.Store(suspended)
	return old, nil
}

// resume goes on with a suspended subscription, if the hub has not ended it.
func (s *session) resume(old *follow) {
	if old == nil {
		return
	}
	s.mu.Lock()
	again := old.state.CompareAndSwap(suspended, pending)
	s.mu.Unlock()
	if again {
		s.answer(reply{arm: old})
	}
}

// follow subscribes at the hub.
func (s *session) follow(ctx context.Context, t *command.Task) (*follow, wire.Subscribed, error) {
	ctx, cancel := context.WithDeadline(ctx, t.Taken.Add(2*owner.Deadline))
	defer cancel()
	view, err := s.endpoint.config.Hub.Open(ctx, t.Reader(), t.Group)
	if err != nil {
		return nil, wire.Subscribed{}, err
	}
	f := &follow{session: s, key: followKey{t.Group, t.Channel}, view: view, hint: t.Command.Read.Hint}
	interest := hub.Interest{
		Reader: t.Reader(), Channel: t.Channel, Follower: f, Crowd: s.shard,
		After: t.Command.Read.After, Tail: t.Command.Read.Tail, Log: t.Command.Read.Log,
	}
	sub, answer, err := view.Subscribe(ctx, interest)
	if isCode(err, streams.NotMember) && view.EntersBySubscribing() {
		// Who subscribes in an open room is in it.
		if err = s.endpoint.config.Runner.Enter(ctx, t.Caller, t.Group); err == nil {
			view.Entered(t.Caller.User)
			sub, answer, err = view.Subscribe(ctx, interest)
		}
	}
	if err != nil {
		view.Release()
		return nil, wire.Subscribed{}, err
	}
	f.sub = sub
	return f, answer, nil
}

func isCode(err error, code streams.Code) bool {
	return err != nil && streams.AsRejection(err).Code == code
}

// install puts f in the place of old.
func (s *session) install(f *follow, cursor streams.Version, old *follow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended {
		switch f.why {
		case hub.Left:
			return streams.Outside()
		case hub.Removed:
			return streams.NoChannel()
		}
		return owner.Unavailable()
	}
	if old != nil && s.find(f.key) == old {
		s.uninstall(old)
	}
	f.cursor = cursor
	s.follows = append(s.follows, f)
	return nil
}

// unsubscribe ends a subscription, if there is one.
func (s *session) unsubscribe(it item) {
	key := followKey{it.task.Group, it.task.Channel}
	s.mu.Lock()
	f := s.find(key)
	if f != nil {
		s.uninstall(f)
	}
	s.mu.Unlock()
	if f != nil {
		release([]*follow{f})
		s.signal() // the shard is to forget it
	}
	s.endpoint.config.Runner.Metrics().Answered(wire.Unsubscribe, it.task.Taken, nil)
	s.settle(it.id, command.Answer{OK: wire.Empty()}, reply{})
}
