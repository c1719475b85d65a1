package hub

import (
	"slices"

	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// maxHeard is how many events about a user are kept while the owner is asked
// about them. When it is full the answer is thrown away and asked for again.
const maxHeard = 64

// member is what a view knows of one user, all of it guarded by view.mu. The
// owner is asked once; then the events of @members and @ keep it current.
type member struct {
	known      bool // the owner has answered
	role       streampb.Role
	joined     streams.Seq // of the latest join
	mutedUntil int64       // ms since 1970 UTC, 0: not muted, -1: for good
	blocked    bool        // direct: the other takes nothing they say
	userGroups []string
	named      map[streams.Channel]struct{} // private channels that name the user; nil for none

	// seq is up to where the standing is current: of the newest event about it,
	// or of the owner's answer. asked is up to where named and blocked were in that
	// answer.
	seq, asked streams.Seq

	asking chan struct{}    // closed when the owner has answered; nil while not asked
	heard  []*streams.Event // about the user while asking, at most maxHeard
	missed bool             // there were more

	subs []*Subscription // nil for none: most have few

	// hidden are the messages the user hides, by channel; nil for none. Whoever is
	// known has them loaded.
	hidden       map[streams.Channel]hidden.Numbers
	hiddenLoaded bool
}

// admitted reports whether the user is known to be in the group.
func (m *member) admitted() bool { return m != nil && m.known && m.role != streampb.Role_ROLE_NONE }

func (m *member) inOneOf(groups []string) bool {
	for _, g := range groups {
		if slices.Contains(m.userGroups, g) {
			return true
		}
	}
	return false
}

// answered takes what the owner said.
func (m *member) answered(seq streams.Seq, a *streampb.Access) {
	m.known, m.role, m.seq, m.asked = true, a.GetRole(), seq, seq
	m.joined, m.mutedUntil, m.userGroups = streams.Seq(a.GetJoinedSeq()), a.GetMutedUntil(), a.GetUserGroups()
	m.blocked, m.named = a.GetBlocked(), nil
	for _, name := range a.GetChannels() {
		m.name(streams.Channel(name))
	}
}

// name adds a private channel that names the user.
func (m *member) name(c streams.Channel) {
	if m.named == nil {
		m.named = map[streams.Channel]struct{}{}
	}
	m.named[c] = struct{}{}
}

// apply takes an event about the user, as far as it is news.
func (m *member) apply(user streams.User, e *streams.Event) {
	if blocker, blocks := blocking(e); blocker != "" && blocker != user {
		if e.Seq > m.asked {
			m.blocked = blocks
		}
		return
	}
	switch p := e.Payload.(type) {
	case streams.ChannelCreated:
		if e.Seq > m.asked && slices.Contains(p.GetMembers(), string(user)) {
			m.name(streams.Channel(p.GetChannel()))
		}
	case streams.ChannelUpdated:
		if e.Seq <= m.asked {
			return
		}
		if slices.Contains(p.GetAdded(), string(user)) {
			m.name(streams.Channel(p.GetChannel()))
		}
		if slices.Contains(p.GetRemoved(), string(user)) {
			delete(m.named, streams.Channel(p.GetChannel()))
		}
	default:
		_, state := streams.MemberOf(e)
		if e.Seq <= m.seq {
			return
		}
		if m.role == streampb.Role_ROLE_NONE && state.GetRole() != streampb.Role_ROLE_NONE {
			m.known = false // what they are named for may have changed with it: ask
			return
		}
		m.seq, m.role, m.mutedUntil, m.userGroups = e.Seq, state.GetRole(), state.GetMutedUntil(), state.GetUserGroups()
		if m.joined = streams.Seq(state.GetJoinedSeq()); m.joined == 0 {
			m.joined = e.Seq // the join itself
		}
	}
}

// memberIs takes an event about a user; mu is held.
func (v *View) memberIs(user streams.User, state *streampb.MemberState, e *streams.Event) {
	if state == nil { // written before it was carried
		v.forgetStanding(user, e.Seq)
		return
	}
	v.about(user, e)
}

// blocking returns who blocks the other of a direct group by an event, or does so
// no more; "" for other events.
func blocking(e *streams.Event) (blocker streams.User, blocks bool) {
	switch p := e.Payload.(type) {
	case streams.PeerBlocked:
		return streams.User(p.GetMember()), true
	case streams.PeerUnblocked:
		return streams.User(p.GetMember()), false
	}
	return "", false
}

// named takes an event that names users for a private channel, or no more; mu
// is held.
func (v *View) named(e *streams.Event, added, removed []string) {
	for _, list := range [][]string{added, removed} {
		for _, user := range list {
			v.about(streams.User(user), e)
		}
	}
}

// about hands an event to the member it is about; mu is held.
func (v *View) about(user streams.User, e *streams.Event) {
	m := v.members[user]
	switch {
	case m == nil:
	case m.asking != nil:
		if len(m.heard) == maxHeard {
			m.heard, m.missed = nil, true
		}
		m.heard = append(m.heard, e)
	case m.known:
		m.apply(user, e)
		v.review(m)
	}
}

// forgetStanding makes the view ask about a user again: an event was about
// them that does not say how they stand after it. Who joins by it is not
// admitted before, who leaves is not from here on; mu is held.
func (v *View) forgetStanding(user streams.User, seq streams.Seq) {
	m := v.members[user]
	switch {
	case m == nil:
	case m.asking != nil:
		m.heard, m.missed = nil, true
	case m.known && seq > m.seq:
		m.known = false
		v.review(m)
	}
}

// review ends the subscriptions of what a member sees no more and tells the
// others what they may show; mu is held.
func (v *View) review(m *member) {
	for i := len(m.subs) - 1; i >= 0; i-- { // from behind: detach takes it out
		s := m.subs[i]
		switch {
		case !m.admitted():
			s.detach()
			s.finish(Left)
		case !v.sees(m, s.channel):
			s.detach()
			s.finish(Removed)
		default:
			s.sight.Store(v.sight(s.reader, m, s.channel))
		}
	}
}

// reviewAll is review for everybody, after a change that concerns them all;
// mu is held.
func (v *View) reviewAll() {
	for _, m := range v.members {
		v.review(m)
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
