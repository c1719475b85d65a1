package group

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// addMembers adds many users, as a back end does that brings its community
// along. Who is a member already is passed over, so that it can be repeated.
// The records of all are in memory.
func (s *State) addMembers(r Request, body *streampb.AddMembers, now int64) (Decision, error) {
	if !r.Server { // it counts once against the rates of what users write
		return Decision{}, streams.Reject(streams.Forbidden, "adding many at once takes a server token")
	}
	if count := len(body.GetUsers()); count == 0 || count > streams.MaxAdded {
		return Decision{}, streams.Reject(streams.BadRequest, "users must name 1 to %d users", streams.MaxAdded)
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	role, err := s.givenRole(r, body.GetRole())
	if err != nil {
		return Decision{}, err
	}
	census := s.meta.census
	events := make([]*streams.Event, 0, len(body.GetUsers()))
	named := make(map[streams.User]struct{}, len(body.GetUsers()))
	for _, name := range body.GetUsers() {
		u, err := streams.ParseUser(name)
		if err != nil {
			return Decision{}, err
		}
		m := s.logged(u)
		if _, twice := named[u]; twice || m.role != everybody {
			continue
		}
		named[u] = struct{}{}
		if m.bannedNow(happened(r, now)) {
			return Decision{}, streams.Reject(streams.Conflict, "%s is banned: unban them first, or leave them out", u)
		}
		joined := m.joining(r, u, role, census, now)
		joined.Reason, census = body.GetReason(), joined.GetCensus()
		events = append(events, event(r, streams.MembersChannel, streams.MemberJoined{MemberJoined: joined}))
	}
	if len(events) == 0 {
		return s.atMembers()
	}
	events[len(events)-1].Answer = true
	return Decision{Events: events, Apart: true}, nil
}

// givenRole is the role in which somebody may be added by whoever asks.
func (s *State) givenRole(r Request, role streampb.Role) (streampb.Role, error) {
	if err := s.may(r, AddMember); err != nil {
		return everybody, err
	}
	if role == everybody {
		role = anyMember
	}
	if role < anyMember || role > owner {
		return everybody, badRole()
	}
	return role, s.mayGive(r, role)
}
