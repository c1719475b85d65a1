package hub

import (
	"context"
	"time"

	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// sight is what one reader may know of one channel's events. It is immutable,
// so that what is delivered needs no lock of the view. nil hides what is
// private and nothing else: whoever was forgotten sees too little, not too
// much.
type sight struct {
	all bool // a back end
	// floor hides events before it: those before the reader's join, where the
	// group shows its history since then only. 0 hides none.
	floor streams.Seq
	// seen are the private channels whose events on @ are told in full.
	seen map[streams.Channel]struct{}
	// hidden are the messages the reader hides, nil for none.
	hidden hidden.Numbers
}

// hides reports whether the reader may know only that there is an event.
func (s *sight) hides(e *ring.Entry) bool {
	if s == nil {
		return e.Veil != ""
	}
	if s.all {
		return false
	}
	if e.Veil != "" {
		if _, seen := s.seen[e.Veil]; !seen {
			return true
		}
	}
	return e.Event.Seq < s.floor || len(s.hidden) > 0 && s.hidden.Has(said(e.Event))
}

// said is the message whose words an event has, 0 for none.
func said(e *streams.Event) streams.Number {
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		return e.N
	case streams.MessageEdited:
		return streams.Number(p.GetTarget())
	}
	return 0
}

// expires is when an event's words are gone, ms since 1970 UTC; 0 for never. An
// edit's are gone with the message.
func expires(e *streams.Event) int64 {
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		return p.GetExpires()
	case streams.MessageEdited:
		return p.GetExpires()
	}
	return 0
}

// present gives entries the form the reader may have, in place.
func (s *sight) present(entries []ring.Entry) {
	for i := range entries {
		e := &entries[i]
		switch {
		case s.hides(e) && e.Hidden != nil:
			e.JSON = e.Hidden
		case s.hides(e):
			e.JSON = wire.AppendHidden(nil, e.Event)
		case past(e.Expires):
			e.JSON = wire.AppendExpired(nil, e.Event)
		}
	}
}

// changes reports whether present would change any of them.
func (s *sight) changes(entries []ring.Entry) bool {
	for i := range entries {
		if s.hides(&entries[i]) || past(entries[i].Expires) {
			return true
		}
	}
	return false
}

// shares reports whether the form for readers of whom nothing is known is that
// of this one as well, for all of them.
func (s *sight) shares(entries []ring.Entry) bool {
	if s == nil {
		return true
	}
	for i := range entries {
		if e := &entries[i]; s.hides(e) != (*sight)(nil).hides(e) {
			return false
		}
	}
	return true
}

// past reports whether a time that is set lies in the past.
func past(expires int64) bool { return expires != 0 && expires <= time.Now().UnixMilli() }

// Expired reports whether a message's time has passed.
func Expired(m *streampb.MessagePosted) bool { return past(m.GetExpires()) }

// sight returns what a reader may know of a channel; mu is held.
func (v *View) sight(r Reader, m *member, c *channel) *sight {
	if r.Server {
		return &sight{all: true}
	}
	s := sight{floor: v.floor(m), hidden: m.hidden[c.name]}
	if c.name == streams.GroupChannel {
		s.seen = map[streams.Channel]struct{}{}
		for name := range m.named {
			s.seen[name] = struct{}{}
		}
		if len(m.userGroups) > 0 {
			for name, other := range v.channels {
				if other.kind == private && m.inOneOf(other.readGroups) {
					s.seen[name] = struct{}{}
				}
			}
		}
	}
	if s.floor == 0 && s.seen == nil && len(s.hidden) == 0 {
		return nil // ordinary: nothing to compare
	}
	return &s
}

// floor is where the history begins for a member; mu is held.
func (v *View) floor(m *member) streams.Seq {
	if v.settings.GetHistory() == "since_join" {
		return m.joined
	}
	return 0
}

// look is what a reader may know of a channel, for one read of it. A reader
// that was forgotten since they were admitted is admitted again. Errors are those
// of [View.Admit].
func (v *View) look(ctx context.Context, r Reader, c *channel) (*sight, error) {
	for {
		v.mu.Lock()
		if m := v.members[r.User]; r.Server || m.admitted() {
			defer v.mu.Unlock()
			return v.sight(r, m, c), nil
		}
		v.mu.Unlock()
		if err := v.Admit(ctx, r); err != nil {
			return nil, err
		}
	}
}
