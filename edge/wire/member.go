package wire

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// acts are what member can do.
var acts = map[string]streampb.Act{
	"add":         streampb.Act_ACT_ADD,
	"kick":        streampb.Act_ACT_KICK,
	"ban":         streampb.Act_ACT_BAN,
	"unban":       streampb.Act_ACT_UNBAN,
	"mute":        streampb.Act_ACT_MUTE,
	"unmute":      streampb.Act_ACT_UNMUTE,
	"role":        streampb.Act_ACT_ROLE,
	"decline":     streampb.Act_ACT_DECLINE,
	"user_groups": streampb.Act_ACT_USER_GROUPS,
}

func parseMember(f *fields, c *Command) {
	c.Group = f.group()
	do, _ := f.text("do")
	act := &streampb.ActOnMember{Act: acts[do], Reason: f.reason(), Until: int64(f.number("until").Value)}
	role, roleGiven := f.role("role")
	groups := f.names("user_groups", streams.MaxUserGroups)
	if f.raw("users") != nil {
		parseAddMembers(f, c, act, role)
		return
	}
	s, _ := f.text("user")
	user, err := streams.ParseUser(s)
	f.refuse(err)
	act.User = string(user)
	switch act.GetAct() {
	case streampb.Act_ACT_NONE:
		f.bad("do must be add, kick, ban, unban, mute, unmute, role, decline or user_groups")
	case streampb.Act_ACT_ADD:
		act.Role = role
	case streampb.Act_ACT_ROLE:
		if act.Role = role; !roleGiven {
			f.bad("role is missing")
		}
	case streampb.Act_ACT_USER_GROUPS:
		if act.UserGroups = groups; f.raw("user_groups") == nil {
			f.bad("user_groups is missing")
		}
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Member{Member: act}}
}

// parseAddMembers reads an add of many.
func parseAddMembers(f *fields, c *Command, act *streampb.ActOnMember, role streampb.Role) {
	users := f.users("users", streams.MaxAdded)
	if act.GetAct() != streampb.Act_ACT_ADD || f.raw("user") != nil || len(users) == 0 {
		f.bad("users is 1 to %d users to add, in the place of user", streams.MaxAdded)
	}
	c.Write = &streampb.Command{Body: &streampb.Command_AddMembers{AddMembers: &streampb.AddMembers{
		Users: users, Role: role, Reason: act.GetReason(),
	}}}
}

// MinCode and MaxCode bound what invitations are known by.
const (
	MinCode = 8   // bytes
	MaxCode = 128 // bytes
)

func (f *fields) code() string {
	s, given := f.text("code")
	if given && (len(s) < MinCode || len(s) > MaxCode) {
		f.bad("code must have %d to %d bytes", MinCode, MaxCode)
	}
	return s
}

func parseJoin(f *fields, c *Command) {
	c.Group = f.group()
	join := &streampb.Join{Reason: f.reason()}
	// A code no invitation can have is like any other that is wrong.
	if s, given := f.text("code"); given {
		join.CodeHash = HashCode(s)
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Join{Join: join}}
}

func parseLeave(f *fields, c *Command) {
	c.Group = f.group()
	c.Write = &streampb.Command{Body: &streampb.Command_Leave{Leave: &streampb.Leave{Reason: f.reason()}}}
}

// parseInvite reads a new invitation. Its id is made up by the edge, and its
// code as well where none is given.
func parseInvite(f *fields, c *Command) {
	c.Group = f.group()
	c.Code, c.Lasts = f.code(), f.number("expires_in_ms")
	if c.Lasts.Given && c.Lasts.Value == 0 {
		f.bad("expires_in_ms must be above 0")
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Invite{Invite: &streampb.Invite{Uses: f.number("uses").Value}}}
}

func parseInviteRevoke(f *fields, c *Command) {
	c.Group = f.group()
	s, _ := f.text("invite")
	if _, err := streams.ParseGroup(s); err != nil {
		f.bad("invite must be the id of an invitation")
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Invite{Invite: &streampb.Invite{Invite: s}}}
}
