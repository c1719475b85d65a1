package group

import (
	"sort"
	"time"

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

// missingMembers asks for the member records a command needs.
func (s *State) missingMembers(r Request, n *need) {
	if s.meta.kind == kindDirect {
		n.everyMember() // two
		return
	}
	switch body := r.Body.(type) {
	case *streampb.ReadSnapshot, *Idle:
		return
	case *Departure:
		n.member(body.User)
		return
	case *streampb.ReadMembers:
		if s.listed() && len(body.GetAmong()) == 0 {
			n.everyMember()
		}
	case *streampb.Replay:
		s.missingReplayed(body, n)
	case *streampb.ActOnMember:
		n.memberNamed(body.GetUser())
	case *streampb.AddMembers:
		for _, user := range body.GetUsers() {
			n.memberNamed(user)
		}
	case *streampb.Recall:
		if r.Target != nil {
			n.member(r.Target.Author)
		}
	case *streampb.Join, *streampb.Leave, *streampb.ReadAccess, *streampb.ReadGroup:
		n.member(r.User)
	}
	if !r.Server {
		n.member(r.User)
	}
}

// happened is when what a command does counts as done, ms since 1970 UTC.
func happened(r Request, now int64) int64 {
	if r.TS != 0 {
		return r.TS
	}
	return now
}

// atMembers is the answer to what changes nothing.
func (s *State) atMembers() (Decision, error) {
	return answer(&streampb.Result{V: uint64(s.Place(streams.MembersChannel).V), Already: true})
}

// joining is the event by which somebody becomes a member with a role. Of what
// they were before, only a mute outlasts it.
func (s *State) joining(r Request, u streams.User, role streampb.Role, now int64) *streampb.MemberJoined {
	return s.logged(u).joining(r, u, role, s.meta.census, now)
}

// joining is the event by which the member, who is u, joins a group that has
// been counted.
func (m *member) joining(r Request, u streams.User, role streampb.Role, before *streampb.Census, now int64) *streampb.MemberJoined {
	after := m.state()
	if m.role == everybody {
		after.Joined, after.JoinedSeq = happened(r, now), 0
		after.UserGroups = nil
	}
	after.Role, after.Waiting, after.Banned, after.BannedUntil = role, false, false, 0
	census := counted(before, m.role, role)
	return &streampb.MemberJoined{Member: string(u), Role: role, Census: census, Members: census.GetMembers(), State: after}
}

// join makes the caller a member, or one who waits to be let in. What a back
// end imports from elsewhere (with a time) is recorded as it happened, also for
// who is a member already.
func (s *State) join(r Request, body *streampb.Join, now int64) (Decision, error) {
	if err := s.may(r, JoinGroup); err != nil {
		return Decision{}, err
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	m, role, imported := s.standing(r.User), anyMember, r.TS != 0
	switch {
	case m.role != everybody && !imported:
		return s.enters()
	case m.role != everybody:
		role = m.role
	case m.bannedNow(now) && !imported:
		return Decision{}, m.keptOut(now)
	}
	invite := s.invitation(body.GetCodeHash(), now)
	if invite == nil && !r.Server {
		switch s.meta.settings.GetJoin() {
		case "invite":
			return Decision{}, streams.Reject(streams.Forbidden, "this group is joined by invitation")
		case "approval":
			return s.ask(r, body)
		}
	}
	if s.joinsUnlogged(r, m) {
		return s.enters()
	}
	joined := s.joining(r, r.User, role, now)
	joined.Guest = s.open() && !r.Server && role == anyMember
	joined.Reason, joined.Invite = body.GetReason(), invite.GetInvite()
	return one(r, streams.MembersChannel, streams.MemberJoined{MemberJoined: joined})
}

// keptOut is the refusal of who is banned.
func (m *member) keptOut(now int64) error {
	if m.bannedUntil == 0 {
		return streams.Reject(streams.Banned, "you are banned from this group")
	}
	return streams.RejectRetry(streams.Banned, time.Duration(m.bannedUntil-now)*time.Millisecond, "you are banned from this group")
}

// ask notes that the caller wants to join.
func (s *State) ask(r Request, body *streampb.Join) (Decision, error) {
	m := s.standing(r.User)
	if m.waiting {
		d, err := s.atMembers()
		d.Answer.Waiting = true
		return d, err
	}
	after := m.state()
	after.Waiting, after.Banned, after.BannedUntil = true, false, 0 // of a ban, at most an expired one was left
	return one(r, streams.MembersChannel, streams.JoinRequested{JoinRequested: &streampb.JoinRequested{
		Member: string(r.User), Reason: body.GetReason(), State: after,
	}})
}

// Waits reports whether a user has asked to join and is not answered, as far as
// memory knows.
func (s *State) Waits(u streams.User) bool { return s.standing(u).waiting }

func (s *State) leave(r Request, body *streampb.Leave, now int64) (Decision, error) {
	if err := s.may(r, LeaveGroup); err != nil {
		return Decision{}, err
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	if s.standing(r.User).visiting {
		return s.onceSeated(r.User, now, func(there *State) (Decision, error) { return there.leave(r, body, now) })
	}
	role := s.role(r.User)
	if err := s.stays(s.standing(r.User)); err != nil {
		return Decision{}, err
	}
	if role == everybody && r.TS == 0 {
		return s.atMembers()
	}
	census := s.censusAfter(role, everybody)
	return one(r, streams.MembersChannel, streams.MemberLeft{MemberLeft: &streampb.MemberLeft{
		Member: string(r.User), Reason: body.GetReason(), Members: census.GetMembers(), Census: census,
		State: s.standing(r.User).gone(),
	}})
}

func lastOwner() error {
	return streams.Reject(streams.Forbidden, "the last owner stays")
}

// gone is the state of who is a member no more. A mute outlasts it: who leaves
// and comes back is still muted.
func (m *member) gone() *streampb.MemberState {
	after := m.state()
	after.Role, after.UserGroups, after.Waiting = everybody, nil, false
	return after
}

// listed reports whether the owner lists the members, and not the projections.
func (s *State) listed() bool {
	return !s.elsewhere && s.meta.census.GetMembers() <= MaxListed
}

// memberPage lists current members by name, after the given one.
func (s *State) memberPage(body *streampb.ReadMembers) *streampb.MemberPage {
	page := &streampb.MemberPage{Count: s.population(), Census: s.meta.census}
	if len(body.GetAmong()) > 0 {
		page.Members = s.among(body.GetAmong())
		return page
	}
	if !s.listed() || !s.whole {
		page.Elsewhere = true
		return page
	}
	limit := int(body.GetLimit())
	if limit == 0 {
		limit = 100
	}
	limit = min(limit, maxMemberPage)
	all := s.sortedMembers()
	at := sort.Search(len(all), func(i int) bool { return string(all[i]) > body.GetAfter() })
	for ; at < len(all); at++ {
		m := s.members[all[at]]
		if want := body.GetRole(); want != everybody && m.role != want {
			continue
		}
		online := s.isOnline(all[at])
		if body.GetOnline() && !online {
			continue
		}
		if len(page.Members) == limit {
			page.After = page.Members[limit-1].User
			break
		}
		page.Members = append(page.Members, &streampb.MemberInfo{
			User: string(all[at]), Role: m.role, Joined: m.joined, MutedUntil: m.mutedUntil, UserGroups: m.userGroups,
			Online: online,
		})
	}
	return page
}
