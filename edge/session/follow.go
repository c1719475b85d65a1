package session

import (
	"context"
	"slices"

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

	// Guarded by session.mu.
	cursor streams.Version // last delivered
	armed  bool            // its answer is written
	dirty  bool            // it is in session.dirty
	ended  bool            // by the hub
	why    hub.Ended       // if ended
}

// Wake is called by the hub when the channel moved.
func (f *follow) Wake(*hub.Subscription) {
	s := f.session
	s.mu.Lock()
	queued := f.armed && s.queue(f)
	s.mu.Unlock()
	if queued {
		s.signal()
	}
}

// queue makes f dirty unless it is; s.mu is held.
func (s *session) queue(f *follow) bool {
	if f.dirty || f.ended {
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
	installed := s.follows[f.key] == f
	if installed {
		s.uninstall(f)
		s.over = append(s.over, f)
		switch why {
		case hub.Left:
			s.left[followKey{group: f.key.group}] = struct{}{}
		case hub.Removed:
			s.left[f.key] = struct{}{}
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

// uninstall stops delivering; s.mu is held.
func (s *session) uninstall(f *follow) {
	delete(s.follows, f.key)
	f.armed = false
	s.unqueue(f)
}

// unqueue makes f clean; s.mu is held.
func (s *session) unqueue(f *follow) {
	if !f.dirty {
		return
	}
	f.dirty = false
	same := func(other *follow) bool { return other == f }
	s.dirty, s.hinted = slices.DeleteFunc(s.dirty, same), slices.DeleteFunc(s.hinted, same)
}

// release ends subscriptions that are no longer installed.
func release(follows []*follow) {
	for _, f := range follows {
		f.sub.Close()
		f.view.Release()
	}
}

// subscribe answers where a channel stands; the writer starts delivering
// behind the answer. A subscription that is there is silent meanwhile, so that
// nothing above the answer's v goes out before it.
func (s *session) subscribe(it item) {
	key := followKey{it.task.Group, it.task.Channel}
	old, err := s.suspend(key)
	var f *follow
	var answer wire.Subscribed
	if err == nil {
		f, answer, err = s.follow(it.task)
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
	old := s.follows[key]
	if old == nil {
		if len(s.follows) >= maxFollows {
			return nil, streams.Reject(streams.BadRequest, "a connection follows at most %d channels", maxFollows)
		}
		return nil, nil
	}
	old.armed = false
	s.unqueue(old)
	return old, nil
}

// resume goes on with a suspended subscription, if the hub has not ended it.
func (s *session) resume(old *follow) {
	if old == nil {
		return
	}
	s.mu.Lock()
	if !old.ended {
		old.armed = true
		s.queue(old)
	}
	s.mu.Unlock()
	s.signal()
}

// follow subscribes at the hub.
func (s *session) follow(t *command.Task) (*follow, wire.Subscribed, error) {
	ctx, cancel := context.WithDeadline(s.ctx, t.Taken.Add(2*owner.Deadline))
	defer cancel()
	view, err := s.endpoint.config.Hub.Open(ctx, t.Reader(), t.Group)
	if err != nil {
		return nil, wire.Subscribed{}, err
	}
	f := &follow{session: s, key: followKey{t.Group, t.Channel}, view: view, hint: t.Command.Read.Hint}
	interest := hub.Interest{
		Reader: t.Reader(), Channel: t.Channel, Follower: f,
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
	if old != nil && s.follows[f.key] == old {
		s.uninstall(old)
	}
	f.cursor = cursor
	s.follows[f.key] = f
	return nil
}

// unsubscribe ends a subscription, if there is one.
func (s *session) unsubscribe(it item) {
	key := followKey{it.task.Group, it.task.Channel}
	s.mu.Lock()
	f := s.follows[key]
	if f != nil {
		s.uninstall(f)
	}
	s.mu.Unlock()
	if f != nil {
		release([]*follow{f})
	}
	s.endpoint.config.Runner.Metrics().Answered(wire.Unsubscribe, it.task.Taken, nil)
	s.settle(it.id, command.Answer{OK: wire.Empty()}, reply{})
}
