package sequencer

import (
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// presence is who is in which group through which edges, as the edges tell it.
// It lasts as long as a term: a new owner asks all edges.
//
// Users are kept as their hash, twice: with the edge, so that its whole list
// replaces what it said before at the cost of that list, and with the group,
// where those on several edges count once. Some 50 bytes for a user in a group
// through one edge. Who is in a community of more than countedAbove is not kept
// but counted, edge by edge, except those whose going has consequences. A group
// nobody is in is not kept.
//
// Owned by the term's serve.
type presence struct {
	groups map[streams.Group]*gathering
	edges  map[string]*teller
	// timed are the groups where time changes something.
	timed map[streams.Group]struct{}
	// doubt are the groups somebody may have gone from for good, since it was
	// last looked who.
	doubt map[streams.Group]struct{}
	// keeps tells who must be kept of a group that is only counted, and whether
	// it may be.
	keeps func(streams.Group) (users []streams.User, may bool)
}

var _ group.Around = (*presence)(nil)

const (
	// goneAfter is how long a user counts as here without any connection.
	goneAfter = 5 * time.Second
	// comesWithin is how long who joins without a subscription has to begin one.
	comesWithin = time.Minute
	// silentAfter is how long an edge may say nothing before it counts as gone.
	silentAfter = 3 * time.Second
	// maxTellers bounds the edges that are listened to.
	maxTellers = 4096
	// countedAbove is how many users of a community are kept one by one.
	countedAbove = 100_000
)

// teller is one edge.
type teller struct {
	turn   uint64
	heard  time.Time
	groups map[streams.Group]struct{} // it has told of somebody there
}

// gathering is who is in one group.
type gathering struct {
	rosters map[*teller]*roster
	users   map[uint64]uint16   // by hash: through how many edges
	waits   map[uint64]int64    // without a connection: until when they count as here, ms since 1970 UTC
	away    map[uint64]int64    // have left or been put out; until when that is remembered where no connection is
	kept    map[uint64]struct{} // if not nil, others are only counted
}

// roster is who is in a group through one edge; count is only kept where users
// are counted.
type roster struct {
	users map[uint64]struct{}
	count int
}

func newPresence(keeps func(streams.Group) ([]streams.User, bool)) *presence {
	return &presence{
		groups: map[streams.Group]*gathering{}, edges: map[string]*teller{},
		timed: map[streams.Group]struct{}{}, doubt: map[streams.Group]struct{}{}, keeps: keeps,
	}
}

func (p *presence) gathering(g streams.Group) *gathering {
	at := p.groups[g]
	if at == nil {
		at = &gathering{
			rosters: map[*teller]*roster{}, users: map[uint64]uint16{},
			waits: map[uint64]int64{}, away: map[uint64]int64{},
		}
		p.groups[g] = at
	}
	return at
}

// Here is [group.Around.Here].
func (p *presence) Here(g streams.Group, u streams.User) bool {
	at := p.groups[g]
	if at == nil {
		return false
	}
	h := streams.UserHash(u)
	if _, away := at.away[h]; away {
		return false
	}
	_, waits := at.waits[h]
	return waits || at.users[h] > 0
}

// Online is [group.Around.Online].
func (p *presence) Online(g streams.Group, u streams.User) bool {
	at := p.groups[g]
	return at != nil && at.users[streams.UserHash(u)] > 0
}

// Count is [group.Around.Count].
func (p *presence) Count(g streams.Group) (here, online int) {
	at := p.groups[g]
	if at == nil {
		return 0, 0
	}
	here, online = len(at.users)+len(at.waits), len(at.users)
	for h := range at.away {
		if at.users[h] > 0 {
			here--
		}
	}
	if at.kept != nil {
		online = at.counted()
		here = online
	}
	return here, online
}

// hear takes what an edge says and reports whether it must be asked for
// everybody: something it said before was missed.
func (p *presence) hear(m *streampb.Present, now time.Time) (ask bool) {
	e := p.edges[m.GetEdge()]
	switch {
	case e == nil && len(p.edges) >= maxTellers:
		return false
	case e == nil:
		e = &teller{groups: map[streams.Group]struct{}{}}
		p.edges[m.GetEdge()] = e
		ask = !m.GetWhole()
	default:
		ask = m.GetTurn() != e.turn+1 && !m.GetWhole()
	}
	e.turn, e.heard = m.GetTurn(), now
	if m.GetWhole() {
		named := make(map[streams.Group]struct{}, len(m.GetGroups()))
		for _, part := range m.GetGroups() {
			named[streams.Group(part.GetGroup())] = struct{}{}
		}
		for g := range e.groups {
			if _, still := named[g]; !still {
				p.drop(e, g, now)
			}
		}
	}
	for _, part := range m.GetGroups() {
		if g, err := streams.ParseGroup(part.GetGroup()); err == nil {
			ask = p.hearGroup(e, g, part, now) || ask
		}
	}
	return ask
}

func (p *presence) hearGroup(e *teller, g streams.Group, part *streampb.PresentGroup, now time.Time) (ask bool) {
	at := p.gathering(g)
	r := at.rosters[e]
	if r == nil {
		r = &roster{users: map[uint64]struct{}{}}
		at.rosters[e] = r
		e.groups[g] = struct{}{}
	}
	if part.GetWhole() {
		before := r.users
		r.users, r.count = make(map[uint64]struct{}, len(part.GetHere())), 0
		for _, u := range part.GetHere() {
			at.comes(r, streams.UserHash(streams.User(u)), before)
		}
		for h := range before {
			if _, still := r.users[h]; !still {
				at.goes(h, now)
			}
		}
	} else {
		for _, u := range part.GetHere() {
			at.comes(r, streams.UserHash(streams.User(u)), nil)
		}
	}
	for _, u := range part.GetGone() {
		h := streams.UserHash(streams.User(u))
		r.count = max(0, r.count-1)
		if _, here := r.users[h]; here {
			delete(r.users, h)
			at.goes(h, now)
		}
	}
	p.timed[g] = struct{}{}
	if len(r.users) == 0 && (at.kept == nil || r.count == 0) {
		delete(at.rosters, e)
		delete(e.groups, g)
	}
	return p.resize(g, at)
}

// resize changes between keeping and counting a community's users; who goes
// back to keeping must ask who they are.
func (p *presence) resize(g streams.Group, at *gathering) (ask bool) {
	switch {
	case at.kept == nil && len(at.users) > countedAbove:
		if users, may := p.keeps(g); may {
			at.countOnly(users)
		}
	case at.kept != nil && at.counted() < countedAbove/2:
		at.kept = nil
		return true
	}
	return false
}

// drop forgets what an edge told of a group.
func (p *presence) drop(e *teller, g streams.Group, now time.Time) {
	if at := p.groups[g]; at != nil && at.rosters[e] != nil {
		r := at.rosters[e]
		delete(at.rosters, e)
		for h := range r.users {
			at.goes(h, now)
		}
		p.timed[g] = struct{}{}
	}
	delete(e.groups, g)
}

// comes notes a user on an edge's roster; before is who was on it until now,
// where that is being replaced.
func (at *gathering) comes(r *roster, h uint64, before map[uint64]struct{}) {
	r.count++
	if at.kept != nil {
		if _, kept := at.kept[h]; !kept {
			return
		}
	}
	if _, twice := r.users[h]; twice {
		return
	}
	r.users[h] = struct{}{}
	if _, was := before[h]; !was {
		at.users[h]++
		delete(at.waits, h)
	}
}

// goes notes that a user is on one edge's roster less.
func (at *gathering) goes(h uint64, now time.Time) {
	if at.users[h] > 1 {
		at.users[h]--
		return
	}
	delete(at.users, h)
	if _, away := at.away[h]; away {
		delete(at.away, h)
		return
	}
	at.waits[h] = now.Add(goneAfter).UnixMilli()
}

// counted is how many users there are by the edges' counts; who is on two edges
// counts twice.
func (at *gathering) counted() (count int) {
	for _, r := range at.rosters {
		count += r.count
	}
	return count
}

// countOnly forgets everybody but some.
func (at *gathering) countOnly(users []streams.User) {
	at.kept = map[uint64]struct{}{}
	for _, u := range users {
		at.kept[streams.UserHash(u)] = struct{}{}
	}
	kept := map[uint64]uint16{}
	for _, r := range at.rosters {
		all := r.users
		r.users, r.count = map[uint64]struct{}{}, len(all)
		for h := range at.kept {
			if _, here := all[h]; here {
				r.users[h] = struct{}{}
				kept[h]++
			}
		}
	}
	at.users = kept
}

// expect makes a user count as here until a time even without a connection.
func (p *presence) expect(g streams.Group, u streams.User, until time.Time) {
	at, h := p.gathering(g), streams.UserHash(u)
	if at.users[h] == 0 {
		at.waits[h] = max(at.waits[h], until.UnixMilli())
		p.timed[g] = struct{}{}
	}
}

// touch is expect for who may have left: that holds.
func (p *presence) touch(g streams.Group, u streams.User, until time.Time) {
	if at := p.groups[g]; at != nil {
		if _, away := at.away[streams.UserHash(u)]; away {
			return
		}
	}
	p.expect(g, u, until)
}

// enter is expect for who joins: what they did before does not count.
func (p *presence) enter(g streams.Group, u streams.User, until time.Time) {
	delete(p.gathering(g).away, streams.UserHash(u))
	p.expect(g, u, until)
}

// leave makes a user count as not here until they enter again, or their
// connections have ended and they come anew.
func (p *presence) leave(g streams.Group, u streams.User, now time.Time) {
	at, h := p.gathering(g), streams.UserHash(u)
	delete(at.waits, h)
	at.away[h] = now.Add(goneAfter).UnixMilli()
	p.timed[g] = struct{}{}
	p.doubt[g] = struct{}{}
}

// watch keeps a user of a group that is counted, and reports whether the edges
// must be asked where they are.
func (p *presence) watch(g streams.Group, u streams.User) (ask bool) {
	at, h := p.groups[g], streams.UserHash(u)
	if at == nil || at.kept == nil {
		return false
	}
	_, known := at.kept[h]
	at.kept[h] = struct{}{}
	return !known
}
