package hub

import (
	"context"
	"time"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Signal passes a hint on to who follows the channel, on all edges. It travels
// at most once, as the frame that clients get. Errors are [*streams.Rejection]:
// not_member, not_found, forbidden, muted, unavailable.
func (v *View) Signal(ctx context.Context, r Reader, name streams.Channel, h *wire.Hint) error {
	if err := v.Admit(ctx, r); err != nil {
		return err
	}
	if _, err := v.find(ctx, r, name); err != nil {
		return err
	}
	if err := v.mayTalk(r); err != nil {
		return err
	}
	frame := wire.AppendSignal(nil, v.group, name, r.User, h)
	// Without a connection it is dropped, as it may be.
	if v.hub.config.Conn.Publish(streams.SignalSubject(v.partition, v.group, name), frame) == nil {
		v.hub.config.Metrics.signals.WithLabelValues(string(signalSent)).Inc()
	}
	return nil
}

// mayTalk refuses who is muted, and in a direct group who was blocked.
func (v *View) mayTalk(r Reader) error {
	if r.Server {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m, now := v.members[r.User], time.Now().UnixMilli()
	switch {
	case !m.admitted():
		return streams.Outside()
	case m.blocked:
		return streams.Reject(streams.Forbidden, "this user does not take messages from you")
	case m.mutedUntil < 0:
		return streams.IsMuted(0)
	case m.mutedUntil > now:
		return streams.IsMuted(time.Duration(m.mutedUntil-now) * time.Millisecond)
	case v.settings.GetMuteAll() && m.role < streampb.Role_ROLE_MODERATOR:
		return streams.AllMuted()
	}
	return nil
}

// DropSignal counts a signal that was dropped for a session.
func (h *Hub) DropSignal() { h.config.Metrics.signals.WithLabelValues(string(signalDropped)).Inc() }

// signal hands a signal to who follows the channel here. When events wait it
// is the first to be dropped.
func (f *feed) signal(g streams.Group, name streams.Channel, frame []byte) {
	v := f.hub.view(g)
	if v == nil {
		return
	}
	if len(f.inbox) > inboxSize/4 {
		f.hub.DropSignal()
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.channels[name]
	if c == nil || v.closed {
		return
	}
	for _, s := range c.subs {
		s.follower.Signal(s, frame)
	}
	f.hub.config.Metrics.signals.WithLabelValues(string(signalDelivered)).Add(float64(len(c.subs)))
}
