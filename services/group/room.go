package group

import (
	"maps"
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// In a room with join open, presence is membership. While the room is small,
// who comes is logged as a guest: a member whose presence ends the membership,
// too. Of a large room's visitors no event tells: they stand as members for as
// long as they are there. What somebody does about a visitor, or the visitor's
// own leave, is logged behind their join, so that it holds.

// Around tells who is there, as the owner hears it from the edges. It is asked
// from within [State.Decide] and the like, and must not change meanwhile.
type Around interface {
	// Here reports whether a user is present, was a moment ago, or is about
	// to be, and has not left or been put out since.
	Here(streams.Group, streams.User) bool
	// Online reports whether a user has a connection.
	Online(streams.Group, streams.User) bool
	// Count is how many users are here, and how many have a connection.
	Count(streams.Group) (here, online int)
}

// Attend makes the state ask around who is present. Without it nobody is.
func (s *State) Attend(around Around) { s.around = around }

// Departure is the body of a request the owner makes when a user's presence
// has ended: a guest's membership and the keys tied to it go, in one decision.
// Without a user it only loads what later ones need.
type Departure struct{ User streams.User }

// Idle is the body of a request the owner makes when nobody has been in a room
// for as long as it may stand empty.
type Idle struct{}

// reasonGone is why a membership or a key tied to a presence ended.
const reasonGone = "gone"

// PresenceUser is in whose name things go with a presence.
const PresenceUser streams.User = "@server"

// maxInside is how many logged members a room knows by name; others are counted
// twice in the room's population while they are present.
const maxInside = 1000

// open reports whether presence is membership here.
func (s *State) open() bool {
	return s.meta.kind == kindRoom && !s.meta.deleted && s.meta.settings.GetJoin() == "open"
}

func (s *State) here(u streams.User) bool { return s.around != nil && s.around.Here(s.group, u) }

// visits reports whether a user whose record is m is a member by presence alone.
func (s *State) visits(u streams.User, m *member) bool {
	return s.open() && !m.banned && !m.waiting && s.here(u)
}

// joinsUnlogged reports whether a join that is allowed leads to no event: the
// room is large. What a record says that keeps a user out must be changed.
func (s *State) joinsUnlogged(r Request, m *member) bool {
	if !s.open() || r.Server || m.banned || m.waiting {
		return false
	}
	here := 0
	if s.around != nil {
		if here, _ = s.around.Count(s.group); s.here(r.User) {
			here--
		}
	}
	return max(here, int(s.meta.census.GetMembers())) >= streams.MaxRoomLogged
}

// enters is the answer to who joins without an event.
func (s *State) enters() (Decision, error) {
	d, err := s.atMembers()
	d.Enters = s.open()
	return d, err
}

// onceSeated decides about a visitor as if they had joined just before, and
// has that join logged if the decision leads to events.
func (s *State) onceSeated(u streams.User, now int64, decide func(*State) (Decision, error)) (Decision, error) {
	joined := s.joining(Request{User: u}, u, anyMember, now)
	joined.Guest = true
	there, seat := *s, &member{}
	seat.set(joined.GetState())
	there.seated = map[streams.User]*member{u: seat}
	there.meta.census = joined.GetCensus()
	d, err := decide(&there)
	if err != nil || d.Events == nil {
		return d, err
	}
	join := &streams.Event{Channel: streams.MembersChannel, User: u, Payload: streams.MemberJoined{MemberJoined: joined}}
	d.Events = append([]*streams.Event{join}, d.Events...)
	return d, nil
}

// depart ends what hangs on the presence of somebody who is not here.
func (s *State) depart(body *Departure) (Decision, error) {
	u := body.User
	if u == "" || s.here(u) {
		return answer(&streampb.Result{})
	}
	var events []*streams.Event
	if s.open() && s.meta.inside[u] {
		m := s.logged(u)
		census := s.censusAfter(m.role, everybody)
		events = append(events, &streams.Event{Channel: streams.MembersChannel, User: PresenceUser, Payload: streams.MemberLeft{
			MemberLeft: &streampb.MemberLeft{
				Member: string(u), Reason: reasonGone, Members: census.GetMembers(), Census: census, State: m.gone(),
			},
		}})
	}
	if events = append(events, s.AutoDelete(u)...); events == nil {
		return answer(&streampb.Result{})
	}
	events[0].Answer = true
	return Decision{Events: events}, nil
}

// IdleAfter is how long a room may stand empty, in ms; 0 for ever.
func (s *State) IdleAfter() int64 {
	if s.meta.kind != kindRoom || !s.Exists() {
		return 0
	}
	return s.meta.settings.GetRoomIdleMs()
}

// endIdle ends a room that nobody is in.
func (s *State) endIdle(r Request) (Decision, error) {
	if s.IdleAfter() == 0 || s.around == nil {
		return answer(&streampb.Result{})
	}
	if here, _ := s.around.Count(s.group); here > 0 {
		return answer(&streampb.Result{})
	}
	return s.deleteGroup(r, &streampb.DeleteGroup{Reason: "idle"})
}

// Bound returns whom something ends for when they go, each once, as far as
// memory knows: guests, and who has set keys tied to their presence.
// [State.MissingTied] says what memory lacks of it.
func (s *State) Bound() []streams.User {
	if !s.Exists() {
		return nil
	}
	users := map[streams.User]struct{}{}
	if s.open() {
		for u, guest := range s.meta.inside {
			if guest {
				users[u] = struct{}{}
			}
		}
	}
	for _, c := range s.tied() {
		if a := s.attrs[c]; a != nil {
			for u := range a.tied {
				users[u] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(users))
}

// Binds reports whether there may be anything that ends when somebody goes.
func (s *State) Binds() bool {
	return s.Exists() && (s.meta.kind == kindRoom && len(s.meta.inside) > 0 || len(s.tied()) > 0)
}

// Room reports whether the group is a room.
func (s *State) Room() bool { return s.meta.kind == kindRoom }

// AutoDelete is the events by which the keys tied to a user's presence go, in
// order of channels and keys; none if there are none. What
// [State.MissingTied] names must be in memory.
func (s *State) AutoDelete(u streams.User) []*streams.Event {
	var events []*streams.Event
	for _, c := range s.tied() {
		a := s.attrs[c]
		if a == nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(a.tied[u])) {
			events = append(events, &streams.Event{Channel: c, User: PresenceUser, Payload: streams.AttributeDeleted{
				AttributeDeleted: &streampb.AttributeDeleted{Key: key, Reason: reasonGone},
			}})
		}
	}
	return events
}

// MissingTied returns what AutoDelete needs that is not in memory.
func (s *State) MissingTied() []Entity {
	if !s.Exists() {
		return nil
	}
	n := &need{state: s}
	n.tied()
	return n.missing
}

func (n *need) tied() {
	for _, c := range n.state.tied() {
		n.attributes(c, n.state.channels[c])
	}
}

// tied returns the channels that can have keys tied to a presence, ascending.
func (s *State) tied() []streams.Channel {
	var names []streams.Channel
	for name, ch := range s.channels {
		if ch.tied && s.lives(ch) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// goesInside keeps who is logged as a member of a room, from an event that
// changed the census and the role a user has after it.
func (s *State) goesInside(e *streams.Event, u streams.User, role streampb.Role) {
	if s.meta.kind != kindRoom {
		return
	}
	joined, joins := e.Payload.(streams.MemberJoined)
	known, guest := false, false
	if guest, known = s.meta.inside[u]; joins {
		guest = joined.GetGuest()
	}
	switch {
	case role == everybody:
		delete(s.meta.inside, u)
	case known || guest || len(s.meta.inside) < maxInside:
		if s.meta.inside == nil {
			s.meta.inside = map[streams.User]bool{}
		}
		s.meta.inside[u] = guest && role == anyMember
	}
}

// insiders returns those logged as guests, or the others, ascending.
func (s *State) insiders(guests bool) []string {
	var names []string
	for u, guest := range s.meta.inside {
		if guest == guests {
			names = append(names, string(u))
		}
	}
	slices.Sort(names)
	return names
}

func restoreInside(r *streampb.GroupRecord) map[streams.User]bool {
	if len(r.GetGuests())+len(r.GetResidents()) == 0 {
		return nil
	}
	inside := make(map[streams.User]bool, len(r.GetGuests())+len(r.GetResidents()))
	for _, u := range r.GetGuests() {
		inside[streams.User(u)] = true
	}
	for _, u := range r.GetResidents() {
		inside[streams.User(u)] = false
	}
	return inside
}

// population is how many members there are, visitors included.
func (s *State) population() uint64 {
	members := s.meta.census.GetMembers()
	if s.around == nil || !s.open() {
		return members
	}
	here, _ := s.around.Count(s.group)
	for u := range s.meta.inside {
		if s.here(u) {
			here--
		}
	}
	return members + uint64(max(0, here))
}

// online is how many users have a connection.
func (s *State) online() uint64 {
	if s.around == nil {
		return 0
	}
	_, online := s.around.Count(s.group)
	return uint64(online)
}

func (s *State) isOnline(u streams.User) bool {
	return s.around != nil && s.around.Online(s.group, u)
}

// among tells which of some users have a connection.
func (s *State) among(users []string) []*streampb.MemberInfo {
	infos := make([]*streampb.MemberInfo, 0, min(len(users), maxMemberPage))
	for _, u := range users[:cap(infos)] {
		infos = append(infos, &streampb.MemberInfo{User: u, Online: s.isOnline(streams.User(u))})
	}
	return infos
}
