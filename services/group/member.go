package group

import (
	"sort"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// maxMemberPage bounds one answer to members.
const maxMemberPage = 1000

func checkReason(reason string) error {
	if len(reason) > streams.MaxReason {
		return streams.Reject(streams.BadRequest, "reason is longer than %d bytes", streams.MaxReason)
	}
	return nil
}

// join makes the caller a member. What a back end imports from elsewhere (with
// a time) is recorded as it happened, also for who is a member already.
func (s *State) join(r Request, body *streampb.Join) (Decision, error) {
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	role := s.role(r.User)
	members := s.meta.members
	switch {
	case role == streampb.Role_ROLE_NONE:
		role = streampb.Role_ROLE_MEMBER
		members++
	case r.TS == 0:
		return answer(&streampb.Result{V: uint64(s.Place(streams.MembersChannel).V), Already: true})
	}
	if s.meta.settings.GetJoin() == "invite" && !r.Server {
		return Decision{}, streams.Reject(streams.Forbidden, "this group is joined by invitation")
	}
	return one(r, streams.MembersChannel, streams.MemberJoined{MemberJoined: &streampb.MemberJoined{
		Member: string(r.User), Role: role, Reason: body.GetReason(), Members: members,
	}})
}

func (s *State) leave(r Request, body *streampb.Leave) (Decision, error) {
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	members := s.meta.members
	switch role := s.role(r.User); {
	case role == streampb.Role_ROLE_OWNER:
		return Decision{}, streams.Reject(streams.Forbidden, "the last owner stays")
	case role != streampb.Role_ROLE_NONE:
		members--
	case r.TS == 0:
		return answer(&streampb.Result{V: uint64(s.Place(streams.MembersChannel).V), Already: true})
	}
	return one(r, streams.MembersChannel, streams.MemberLeft{MemberLeft: &streampb.MemberLeft{
		Member: string(r.User), Reason: body.GetReason(), Members: members,
	}})
}

// memberPage lists current members by name, after the given one.
func (s *State) memberPage(body *streampb.ReadMembers) *streampb.MemberPage {
	limit := int(body.GetLimit())
	if limit == 0 {
		limit = 100
	}
	limit = min(limit, maxMemberPage)
	all := s.sortedMembers()
	at := sort.Search(len(all), func(i int) bool { return string(all[i]) > body.GetAfter() })
	page := &streampb.MemberPage{Count: s.meta.members}
	for ; at < len(all); at++ {
		m := s.members[all[at]]
		if want := body.GetRole(); want != streampb.Role_ROLE_NONE && m.role != want {
			continue
		}
		if len(page.Members) == limit {
			page.After = page.Members[limit-1].User
			break
		}
		page.Members = append(page.Members, &streampb.MemberInfo{User: string(all[at]), Role: m.role, Joined: m.joined})
	}
	return page
}
