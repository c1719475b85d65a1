package group

import (
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Action is something a user may or may not do in a group. Every command is
// one or more actions; nothing outside this file compares roles.
type Action int

const (
	ReadGroup Action = iota
	UpdateGroup
	DeleteGroup
	JoinGroup
	LeaveGroup

	AddMember
	DeclineMember
	KickMember
	BanMember
	UnbanMember
	MuteMember
	UnmuteMember
	ChangeRole
	ChangeUserGroups
	CreateInvite
	RevokeInvite
	BlockPeer

	CreateChannel
	CreateThread
	UpdateChannel
	DeleteChannel

	SendMessage
	SendRestricted
	SendWhileAllMuted
	SendWithoutSlowMode
	MentionAll
	EditMessage
	RecallMessage
	RecallOthers
	React
	PinMessage
	SendSignal

	SetAttribute
	OverrideProtected

	actions // how many there are
)

// rule is one row of the table of permissions.
type rule struct {
	name string // of the row, for docs/permissions.md
	what string // for the refusal: "<what> needs the role …"
	// least is the role it takes; ROLE_NONE is everybody, members or not.
	least streampb.Role
	// setting names another least role the group can set; least is its default.
	setting    string
	bySetting  func(*streampb.Settings) streampb.Role
	above      bool   // only upon who has a lower role
	direct     bool   // in direct groups, too
	mutable    bool   // refused to who is muted, and under mute_all to who may not SendWhileAllMuted
	conditions string // what else must hold, for docs/permissions.md
}

const (
	everybody = streampb.Role_ROLE_NONE
	anyMember = streampb.Role_ROLE_MEMBER
	moderator = streampb.Role_ROLE_MODERATOR
	admin     = streampb.Role_ROLE_ADMIN
	owner     = streampb.Role_ROLE_OWNER
)

var rules = [actions]rule{
	ReadGroup:   {name: "read: `group`, `members`, `attrs`, `history`, `pull`, `search`, `subscribe`", what: "reading", least: anyMember, direct: true, conditions: "private channels: who is in them"},
	UpdateGroup: {name: "`update_group`", what: "changing a group", least: admin},
	DeleteGroup: {name: "`delete_group`", what: "deleting a group", least: owner},
	JoinGroup:   {name: "`join`", what: "joining", least: everybody, conditions: "as `settings.join` says; who is banned: `banned`"},
	LeaveGroup:  {name: "`leave`", what: "leaving", least: anyMember, conditions: "the last owner stays"},

	AddMember:        {name: "`member do:add`", what: "adding members", least: admin, conditions: "a role below one's own, any for owners; who is banned is unbanned first"},
	DeclineMember:    {name: "`member do:decline`", what: "declining who asked to join", least: admin},
	KickMember:       {name: "`member do:kick`", what: "kicking members", least: moderator, above: true},
	BanMember:        {name: "`member do:ban`, `rollback`", what: "banning users", least: moderator, above: true, conditions: "also of who is no member; `rollback`: of all its users, with `ban:false`, too, and then in all channels"},
	UnbanMember:      {name: "`member do:unban`", what: "unbanning users", least: moderator, conditions: "does not rejoin"},
	MuteMember:       {name: "`member do:mute`", what: "muting members", least: moderator, above: true},
	UnmuteMember:     {name: "`member do:unmute`", what: "unmuting members", least: moderator, above: true},
	ChangeRole:       {name: "`member do:role`", what: "changing roles", least: admin, above: true, conditions: "to a role below one's own, to any for owners; everybody may lower their own; there is always an owner"},
	ChangeUserGroups: {name: "`member do:user_groups`", what: "changing user groups", least: admin, above: true, conditions: "owners also their own"},
	CreateInvite:     {name: "`invite`", what: "making invitations", least: admin},
	RevokeInvite:     {name: "`invite_revoke`", what: "revoking invitations", least: admin},
	BlockPeer:        {name: "`block`, `unblock`", what: "blocking", least: anyMember, direct: true, conditions: "direct groups only"},

	CreateChannel: {name: "`create_channel`", what: "making a channel", least: admin, conditions: "public and private"},
	CreateThread:  {name: "`create_channel kind:thread`", what: "opening a thread", least: anyMember, setting: "threads", bySetting: threadsRole, mutable: true, conditions: "who may read the parent"},
	UpdateChannel: {name: "`update_channel`", what: "changing a channel", least: admin, conditions: "private: who is in it, and its creator whatever their role; threads: also who opened them; everybody takes themselves out of a private one"},
	DeleteChannel: {name: "`delete_channel`", what: "deleting a channel", least: admin, conditions: "private: who is in it, and its creator whatever their role; threads: also who opened them"},

	SendMessage:         {name: "`send`", what: "writing", least: anyMember, direct: true, mutable: true, conditions: "private channels: who is in them; direct: not to who has blocked one"},
	SendRestricted:      {name: "`send` where a channel's `write` asks for a role", what: "writing in this channel", least: anyMember, setting: "the channel's `write`", direct: true, mutable: true, conditions: "or one of the channel's `write_groups`"},
	SendWhileAllMuted:   {name: "write while `mute_all` is set", what: "writing while everybody is muted", least: moderator, direct: true},
	SendWithoutSlowMode: {name: "write without waiting for slow mode", what: "writing without waiting", least: moderator, direct: true},
	MentionAll:          {name: "`send mention_all:true`", what: "mentioning all", least: moderator, setting: "mention_all", bySetting: (*streampb.Settings).GetMentionAll, direct: true},
	EditMessage:         {name: "`edit`", what: "editing", least: anyMember, direct: true, mutable: true, conditions: "one's own, within `edit_window_ms`"},
	RecallMessage:       {name: "`recall` of one's own", what: "recalling", least: anyMember, direct: true},
	RecallOthers:        {name: "`recall` of another's", what: "recalling another's message", least: moderator, above: true, direct: true},
	React:               {name: "`react`, `unreact`", what: "reacting", least: anyMember, direct: true, mutable: true, conditions: "who may read the channel; who is muted takes back"},
	PinMessage:          {name: "`pin`, `unpin`", what: "pinning", least: moderator, direct: true},
	SendSignal:          {name: "`signal`", what: "signalling", least: anyMember, direct: true, mutable: true},

	SetAttribute:      {name: "`attr_set`", what: "setting attributes", least: moderator, setting: "attrs", bySetting: (*streampb.Settings).GetAttrs, direct: true, mutable: true, conditions: "rooms: `member` by default"},
	OverrideProtected: {name: "`attr_set` of another's protected key", what: "changing a protected attribute", least: moderator, direct: true},
}

func threadsRole(s *streampb.Settings) streampb.Role { return max(s.GetThreads(), anyMember) }

// leastOf is the role an action takes in this group.
func (s *State) leastOf(a Action) streampb.Role {
	if by := rules[a].bySetting; by != nil {
		return by(s.meta.settings)
	}
	return rules[a].least
}

// may rejects who may not do an action: not_member, or forbidden. Back ends
// have every role, but no group is what it is not.
func (s *State) may(r Request, a Action) error { return s.mayAs(r, a, s.leastOf(a)) }

// mayAs is may with a least role that an object of the group sets.
func (s *State) mayAs(r Request, a Action, least streampb.Role) error {
	if !r.Server && least > everybody && s.role(r.User) == everybody {
		return notMember()
	}
	switch {
	case s.meta.kind == kindDirect && !rules[a].direct:
		return notInDirect()
	case r.Server || s.role(r.User) >= least:
		return nil
	}
	return streams.Reject(streams.Forbidden, "%s needs the role %s", rules[a].what, streams.RoleName(least))
}

// mayUpon is may for an action upon another user, or upon what another user
// made. Their record must be in memory.
func (s *State) mayUpon(r Request, a Action, u streams.User) error {
	if err := s.may(r, a); err != nil {
		return err
	}
	if rules[a].above && !r.Server && s.role(u) >= s.role(r.User) {
		return streams.Reject(streams.Forbidden, "nobody acts on an equal or higher role")
	}
	return nil
}

// mayGive rejects who may not give somebody a role: one gives roles below
// one's own, an owner gives any.
func (s *State) mayGive(r Request, role streampb.Role) error {
	if mine := s.role(r.User); r.Server || mine == owner || role < mine {
		return nil
	}
	return streams.Reject(streams.Forbidden, "nobody gives a role equal to their own or higher")
}

// has reports whether the action would be allowed, where that is no refusal
// but an exception.
func (s *State) has(r Request, a Action) bool { return s.may(r, a) == nil }

func notMember() error {
	return streams.Outside()
}

// speaks rejects who is muted now (ms since 1970 UTC), by themselves or with
// everybody: muted, with the time until it ends, if it ends.
func (s *State) speaks(r Request, now int64) error {
	if r.Server {
		return nil
	}
	switch until := s.mutedUntil(r.User); {
	case until == forGood:
		return streams.IsMuted(0)
	case until > now:
		return streams.IsMuted(time.Duration(until-now) * time.Millisecond)
	}
	if s.meta.settings.GetMuteAll() && !s.has(r, SendWhileAllMuted) {
		return streams.AllMuted()
	}
	return nil
}
