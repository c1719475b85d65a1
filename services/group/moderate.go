package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// act is one thing a user does about another.
type act struct {
	Request
	body   *streampb.ActOnMember
	whom   streams.User
	target *member // how they stand now
	now    int64   // ms since 1970 UTC
}

// actOnMember decides what one user does about another. The records of both
// are in memory.
func (s *State) actOnMember(r Request, body *streampb.ActOnMember, now int64) (Decision, error) {
	whom, err := streams.ParseUser(body.GetUser())
	if err != nil {
		return Decision{}, err
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	if s.standing(whom).visiting {
		return s.onceSeated(whom, now, func(there *State) (Decision, error) { return there.actOnMember(r, body, now) })
	}
	a := act{Request: r, body: body, whom: whom, target: s.standing(whom), now: now}
	var decide func(act) (streams.Payload, error)
	switch body.GetAct() {
	case streampb.Act_ACT_ADD:
		decide = s.add
	case streampb.Act_ACT_DECLINE:
		decide = s.decline
	case streampb.Act_ACT_KICK:
		decide = s.kick
	case streampb.Act_ACT_BAN:
		decide = s.ban
	case streampb.Act_ACT_UNBAN:
		decide = s.unban
	case streampb.Act_ACT_MUTE:
		decide = s.mute
	case streampb.Act_ACT_UNMUTE:
		decide = s.unmute
	case streampb.Act_ACT_ROLE:
		decide = s.changeRole
	case streampb.Act_ACT_USER_GROUPS:
		decide = s.changeUserGroups
	default:
		return Decision{}, streams.Reject(streams.BadRequest, "do must be add, decline, kick, ban, unban, mute, unmute, role or user_groups")
	}
	payload, err := decide(a)
	switch {
	case err != nil:
		return Decision{}, err
	case payload == nil:
		return s.atMembers() // it is so already
	}
	return one(r, streams.MembersChannel, payload)
}

// until is when a mute or ban ends, 0 for never.
func (a act) until() (int64, error) {
	until := a.body.GetUntil()
	if until != 0 && (until <= happened(a.Request, a.now) || until > streams.MaxInteger) {
		return 0, streams.Reject(streams.BadRequest, "until must be a time to come, in ms since 1970")
	}
	return until, nil
}

// member rejects who is none.
func (a act) member() error {
	if a.target.role == everybody {
		return streams.Reject(streams.NotFound, "there is no such member")
	}
	return nil
}

// stays rejects what would leave the group without an owner.
func (s *State) stays(m *member) error {
	if m.role == owner && s.meta.census.GetOwners() <= 1 {
		return lastOwner()
	}
	return nil
}

// bannedNow reports whether a ban holds.
func (m *member) bannedNow(now int64) bool {
	return m.banned && (m.bannedUntil == 0 || m.bannedUntil > now)
}

func (s *State) add(a act) (streams.Payload, error) {
	role, err := s.givenRole(a.Request, a.body.GetRole())
	if err != nil {
		return nil, err
	}
	switch {
	case a.target.role != everybody:
		return nil, nil
	case a.target.bannedNow(happened(a.Request, a.now)):
		return nil, streams.Reject(streams.Conflict, "the user is banned: unban them first")
	}
	joined := s.joining(a.Request, a.whom, role, a.now)
	joined.Reason = a.body.GetReason()
	return streams.MemberJoined{MemberJoined: joined}, nil
}

func (s *State) decline(a act) (streams.Payload, error) {
	if err := s.may(a.Request, DeclineMember); err != nil {
		return nil, err
	}
	if !a.target.waiting {
		return nil, streams.Reject(streams.NotFound, "the user has not asked to join")
	}
	after := a.target.state()
	after.Waiting = false
	return streams.JoinDeclined{JoinDeclined: &streampb.JoinDeclined{
		Member: string(a.whom), Reason: a.body.GetReason(), State: after,
	}}, nil
}

func (s *State) kick(a act) (streams.Payload, error) {
	if err := s.mayUpon(a.Request, KickMember, a.whom); err != nil {
		return nil, err
	}
	if err := a.member(); err != nil {
		return nil, err
	}
	if err := s.stays(a.target); err != nil {
		return nil, err
	}
	return streams.MemberKicked{MemberKicked: &streampb.MemberKicked{
		Member: string(a.whom), Reason: a.body.GetReason(),
		Census: s.censusAfter(a.target.role, everybody), State: a.target.gone(),
	}}, nil
}

// ban ends a membership, if there is one, and keeps the user from joining.
func (s *State) ban(a act) (streams.Payload, error) {
	if err := s.mayUpon(a.Request, BanMember, a.whom); err != nil {
		return nil, err
	}
	until, err := a.until()
	if err != nil {
		return nil, err
	}
	if err := s.stays(a.target); err != nil {
		return nil, err
	}
	if a.target.banned && a.target.bannedUntil == until {
		return nil, nil
	}
	after := a.target.gone()
	after.Banned, after.BannedUntil = true, until
	return streams.MemberBanned{MemberBanned: &streampb.MemberBanned{
		Member: string(a.whom), Until: until, Reason: a.body.GetReason(),
		Census: s.censusAfter(a.target.role, everybody), State: after,
	}}, nil
}

// unban lets the user join again; it does not bring them back.
func (s *State) unban(a act) (streams.Payload, error) {
	if err := s.mayUpon(a.Request, UnbanMember, a.whom); err != nil {
		return nil, err
	}
	if !a.target.banned {
		return nil, nil
	}
	after := a.target.state()
	after.Banned, after.BannedUntil = false, 0
	return streams.MemberUnbanned{MemberUnbanned: &streampb.MemberUnbanned{
		Member: string(a.whom), Reason: a.body.GetReason(), State: after,
	}}, nil
}

func (s *State) mute(a act) (streams.Payload, error) {
	if err := s.mayUpon(a.Request, MuteMember, a.whom); err != nil {
		return nil, err
	}
	until, err := a.until()
	if err != nil {
		return nil, err
	}
	if err := a.member(); err != nil {
		return nil, err
	}
	if until == 0 {
		until = forGood
	}
	if a.target.mutedUntil == until {
		return nil, nil
	}
	after := a.target.state()
	after.MutedUntil = until
	return streams.MemberMuted{MemberMuted: &streampb.MemberMuted{
		Member: string(a.whom), Until: until, Reason: a.body.GetReason(), State: after,
	}}, nil
}

// unmute ends a mute, also of who has left and would bring it back.
func (s *State) unmute(a act) (streams.Payload, error) {
	if err := s.mayUpon(a.Request, UnmuteMember, a.whom); err != nil {
		return nil, err
	}
	if a.target.mutedUntil == 0 {
		return nil, a.member()
	}
	after := a.target.state()
	after.MutedUntil = 0
	return streams.MemberUnmuted{MemberUnmuted: &streampb.MemberUnmuted{
		Member: string(a.whom), Reason: a.body.GetReason(), State: after,
	}}, nil
}

// changeRole raises or lowers a member. One's own role can be lowered by
// everybody and raised by nobody.
func (s *State) changeRole(a act) (streams.Payload, error) {
	role := a.body.GetRole()
	if role < anyMember || role > owner {
		return nil, badRole()
	}
	own := a.whom == a.User && !a.Server
	switch {
	case own && s.meta.kind != kindDirect:
		if role > a.target.role {
			return nil, streams.Reject(streams.Forbidden, "nobody raises their own role")
		}
	default:
		if err := s.mayUpon(a.Request, ChangeRole, a.whom); err != nil {
			return nil, err
		}
		if err := a.member(); err != nil {
			return nil, err
		}
		if err := s.mayGive(a.Request, role); err != nil {
			return nil, err
		}
	}
	if role == a.target.role {
		return nil, nil
	}
	if err := s.stays(a.target); err != nil {
		return nil, err
	}
	after := a.target.state()
	after.Role = role
	return streams.RoleChanged{RoleChanged: &streampb.RoleChanged{
		Member: string(a.whom), Role: role, Reason: a.body.GetReason(),
		Census: s.censusAfter(a.target.role, role), State: after,
	}}, nil
}

func badRole() error {
	return streams.Reject(streams.BadRequest, "role must be member, moderator, admin or owner")
}

// changeUserGroups sets all the user groups a member is in.
func (s *State) changeUserGroups(a act) (streams.Payload, error) {
	if own := a.whom == a.User && a.target.role == owner; own {
		if err := s.may(a.Request, ChangeUserGroups); err != nil {
			return nil, err
		}
	} else if err := s.mayUpon(a.Request, ChangeUserGroups, a.whom); err != nil {
		return nil, err
	}
	if err := a.member(); err != nil {
		return nil, err
	}
	groups, err := parseUserGroups(a.body.GetUserGroups())
	if err != nil {
		return nil, err
	}
	if slices.Equal(groups, a.target.userGroups) {
		return nil, nil
	}
	after := a.target.state()
	after.UserGroups = groups
	return streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: string(a.whom), State: after}}, nil
}

// parseUserGroups returns names of user groups in order, each once.
func parseUserGroups(names []string) ([]string, error) {
	if len(names) > streams.MaxUserGroups {
		return nil, streams.Reject(streams.BadRequest, "there are at most %d user groups", streams.MaxUserGroups)
	}
	for _, name := range names {
		if _, err := streams.ParseUser(name); err != nil || name[0] == '@' {
			return nil, streams.Reject(streams.BadRequest, "a user group's name must be 1 to %d of A-Z a-z 0-9 _ -", streams.MaxName)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}
