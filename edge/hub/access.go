package hub

import (
	"context"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Reader is who reads: a user, or a back end, which may read everything.
type Reader struct {
	User   streams.User
	Server bool
}

// noGroup is what a reader is told whose group can't be opened. Whether a direct
// group exists is told to nobody but its two: its name is known to who knows
// them.
func noGroup(r Reader, g streams.Group, err error) error {
	refused := streams.AsRejection(err)
	if refused.Code == streams.NotFound && g.Direct() && !r.Server {
		return streams.Outside()
	}
	return refused
}

// Admit returns nil if the reader may read the group. Errors are
// [*streams.Rejection]: not_member, not_found, unavailable.
func (v *View) Admit(ctx context.Context, r Reader) error {
	for _, name := range []streams.Channel{streams.MembersChannel, streams.GroupChannel} {
		if err := v.await(ctx, name); err != nil {
			return err
		}
	}
	for {
		v.mu.Lock()
		if v.gone {
			v.mu.Unlock()
			return streams.NoGroup()
		}
		if r.Server {
			v.mu.Unlock()
			return nil
		}
		m := v.member(r.User)
		switch {
		case m.known && m.role == streampb.Role_ROLE_NONE:
			v.mu.Unlock()
			return streams.Outside()
		case m.known:
			v.mu.Unlock()
			return nil
		case m.asking != nil:
			asking := m.asking
			v.mu.Unlock()
			select {
			case <-asking:
				continue
			case <-ctx.Done():
				return owner.Unavailable()
			}
		}
		m.asking = make(chan struct{})
		v.mu.Unlock()
		if err := v.askAccess(ctx, r.User, m); err != nil {
			return err
		}
	}
}

// askAccess asks the owner what a user may read, and reads what they hide. What events have told
// meanwhile is applied to the answer as far as it is newer.
func (v *View) askAccess(ctx context.Context, user streams.User, m *member) error {
	result, err := v.hub.config.Owner.Together(ctx, v.partition, &streampb.Command{
		Group: string(v.group), User: string(user),
		Body: &streampb.Command_Access{Access: &streampb.ReadAccess{}},
	})
	if err == nil {
		err = v.loadHidden(ctx, user, m)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	close(m.asking)
	m.asking = nil
	heard, missed := m.heard, m.missed
	m.heard, m.missed = nil, false
	if err != nil || missed {
		return err // who missed something asks again
	}
	m.answered(streams.Seq(result.GetSeq()), result.GetAccess())
	for _, e := range heard {
		m.apply(user, e)
	}
	return nil
}

// find waits for what was written and returns the channel. One the reader does
// not see is not there. Errors are [*streams.Rejection]: not_found,
// unavailable.
func (v *View) find(ctx context.Context, r Reader, name streams.Channel) (*channel, error) {
	for _, n := range []streams.Channel{streams.GroupChannel, name} {
		if err := v.await(ctx, n); err != nil {
			return nil, err
		}
	}
	for {
		v.mu.Lock()
		c, m := v.channels[name], v.members[r.User]
		forgotten := !r.Server && (m == nil || !m.known)
		seen := c != nil && c.known && v.visible(r, c)
		v.mu.Unlock()
		switch {
		case forgotten: // for others, since the reader was admitted
			if err := v.Admit(ctx, r); err != nil {
				return nil, err
			}
		case !seen:
			return nil, streams.NoChannel()
		default:
			return c, nil
		}
	}
}

// visible reports whether a reader sees a channel; mu is held.
func (v *View) visible(r Reader, c *channel) bool {
	if r.Server {
		return v.exists(c)
	}
	m := v.members[r.User]
	return m.admitted() && v.sees(m, c)
}
