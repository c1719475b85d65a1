package hub

import (
	"context"
	"time"

	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// readPatience is how long a read waits for what was written before it.
	readPatience = 2 * time.Second
	// livePatience is how long that is expected live, before it is read from
	// the log.
	livePatience = 100 * time.Millisecond
)

// member is what a view knows of one user.
type member struct {
	known bool
	role  streampb.Role
	// seq is up to where role is current: of the newest event about the user,
	// or of the owner's answer.
	seq    streams.Seq
	asking chan struct{} // closed when the owner has answered; nil while not asked
	subs   map[*Subscription]struct{}
}

// memberIs notes an event about a user; mu is held.
func (v *View) memberIs(user streams.User, role streampb.Role, seq streams.Seq) {
	m := v.members[user]
	if m == nil || seq <= m.seq {
		return
	}
	m.known, m.role, m.seq = true, role, seq
	if role == streampb.Role_ROLE_NONE {
		for s := range m.subs {
			s.detach()
			s.finish(Left)
		}
		m.subs = nil
	}
}

// member returns a user's entry, made on first sight; mu is held.
func (v *View) member(user streams.User) *member {
	m := v.members[user]
	if m != nil {
		return m
	}
	if len(v.members)-v.following >= v.hub.config.Members {
		v.forgetMembers()
	}
	m = &member{}
	v.members[user] = m
	return m
}

// forgetMembers drops some of those who have no subscription; mu is held.
func (v *View) forgetMembers() {
	dropped := 0
	for user, m := range v.members {
		if len(m.subs) == 0 && m.asking == nil {
			delete(v.members, user)
			if dropped++; dropped >= v.hub.config.Members/4 {
				return
			}
		}
	}
}

// Reader is who reads: a user, or a back end, which may read everything.
type Reader struct {
	User   streams.User
	Server bool
}

// Admit returns nil if the reader may read the group. Errors are
// [*streams.Rejection]: not_member, unavailable.
func (v *View) Admit(ctx context.Context, r Reader) error {
	if r.Server {
		return nil
	}
	if err := v.await(ctx, streams.MembersChannel); err != nil {
		return err
	}
	for {
		v.mu.Lock()
		m := v.member(r.User)
		switch {
		case m.known && m.role == streampb.Role_ROLE_NONE:
			v.mu.Unlock()
			return streams.Reject(streams.NotMember, "not a member of this group")
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

// askAccess asks the owner for a user's role. What an event has told
// meanwhile stands unless the answer is newer.
func (v *View) askAccess(ctx context.Context, user streams.User, m *member) error {
	result, err := v.hub.config.Owner.Ask(ctx, v.partition, &streampb.Command{
		Group: string(v.group), User: string(user),
		Body: &streampb.Command_Access{Access: &streampb.ReadAccess{}},
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	close(m.asking)
	m.asking = nil
	if err != nil {
		return err
	}
	if seq := streams.Seq(result.GetSeq()); !m.known || seq >= m.seq {
		m.known, m.role, m.seq = true, result.GetAccess().GetRole(), seq
	}
	return nil
}

// await waits until the view has applied what was written to a channel
// through this process. Errors are [*streams.Rejection] with unavailable.
func (v *View) await(ctx context.Context, name streams.Channel) error {
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	live := time.NewTimer(livePatience)
	defer live.Stop()
	for {
		v.mu.Lock()
		c := v.channels[name]
		if v.closed {
			v.mu.Unlock()
			return owner.Unavailable()
		}
		if c == nil || c.log.At() >= c.written {
			v.mu.Unlock()
			return nil
		}
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved, written := c.moved, c.written
		v.mu.Unlock()
		select {
		case <-moved:
		case <-live.C:
			v.want(name, written, follow.ByWrite)
		case <-patience.C:
			return owner.Unavailable()
		case <-ctx.Done():
			return owner.Unavailable()
		}
	}
}

// find waits for what was written and returns the channel. Errors are
// [*streams.Rejection]: not_found, unavailable.
func (v *View) find(ctx context.Context, name streams.Channel) (*channel, error) {
	for _, n := range []streams.Channel{streams.GroupChannel, name} {
		if err := v.await(ctx, n); err != nil {
			return nil, err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.channels[name]; c != nil && c.known {
		return c, nil
	}
	return nil, streams.Reject(streams.NotFound, "no such channel")
}
