package groups

import (
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// forGood is an act's until where it never ends. Mutes say it so themselves;
// bans and invitations say 0.
const forGood = -1

// act is a row of the table moderation: what one user did about another.
type act struct {
	event                        *streams.Event
	name, member, invite, reason string
	channel                      string
	n                            uint64
	until                        int64 // ms since 1970 UTC, forGood, or 0
	role                         streampb.Role
	userGroups                   []string
}

// actOf returns the row an event makes; nil if it is no act of moderation: what
// users do about themselves is none.
func actOf(e *streams.Event) *act {
	switch p := e.Payload.(type) {
	case streams.MemberJoined:
		if p.GetMember() != string(e.User) {
			return &act{event: e, name: "add", member: p.GetMember(), role: p.GetRole(), invite: p.GetInvite(), reason: p.GetReason()}
		}
	case streams.MemberKicked:
		return &act{event: e, name: "kick", member: p.GetMember(), reason: p.GetReason()}
	case streams.MemberBanned:
		return &act{event: e, name: "ban", member: p.GetMember(), until: endless(p.GetUntil()), reason: p.GetReason()}
	case streams.MemberUnbanned:
		return &act{event: e, name: "unban", member: p.GetMember(), reason: p.GetReason()}
	case streams.MemberMuted:
		return &act{event: e, name: "mute", member: p.GetMember(), until: endless(p.GetUntil()), reason: p.GetReason()}
	case streams.MemberUnmuted:
		return &act{event: e, name: "unmute", member: p.GetMember(), reason: p.GetReason()}
	case streams.RoleChanged:
		return &act{event: e, name: "role", member: p.GetMember(), role: p.GetRole(), reason: p.GetReason()}
	case streams.JoinDeclined:
		return &act{event: e, name: "decline", member: p.GetMember(), reason: p.GetReason()}
	case streams.UserGroupsChanged:
		return &act{event: e, name: "user_groups", member: p.GetMember(), userGroups: p.GetState().GetUserGroups()}
	case streams.InviteCreated:
		return &act{event: e, name: "invite", invite: p.GetInvite(), until: endless(p.GetExpires())}
	case streams.InviteRevoked:
		return &act{event: e, name: "invite_revoke", invite: p.GetInvite()}
	}
	return nil
}

// actOfRecall is the same of a recall; taking back one's own is none.
func actOfRecall(r Recall) *act {
	p, ok := r.Event.Payload.(streams.MessageRecalled)
	if !ok || r.Author == string(r.Event.User) {
		return nil
	}
	return &act{event: r.Event, name: "recall", member: r.Author, channel: string(r.Event.Channel), n: p.GetTarget()}
}

func endless(until int64) int64 {
	if until == 0 {
		return forGood
	}
	return until
}

func actColumns(acts []*act) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", acts, func(a *act) string { return string(a.event.Group) }),
		clickhouse.ColumnOf("seq", acts, func(a *act) uint64 { return uint64(a.event.Seq) }),
		clickhouse.ColumnOf("v", acts, func(a *act) uint64 { return uint64(a.event.V) }),
		clickhouse.ColumnOf("ts", acts, func(a *act) time.Time { return clickhouse.Time(a.event.TS) }),
		clickhouse.ColumnOf("actor", acts, func(a *act) string { return string(a.event.User) }),
		clickhouse.ColumnOf("act", acts, func(a *act) string { return a.name }),
		clickhouse.ColumnOf("member", acts, func(a *act) string { return a.member }),
		clickhouse.ColumnOf("channel", acts, func(a *act) string { return a.channel }),
		clickhouse.ColumnOf("n", acts, func(a *act) uint64 { return a.n }),
		clickhouse.ColumnOf("until", acts, func(a *act) int64 { return a.until }),
		clickhouse.ColumnOf("role", acts, func(a *act) string { return streams.RoleName(a.role) }),
		clickhouse.ColumnOf("user_groups", acts, func(a *act) []string { return a.userGroups }),
		clickhouse.ColumnOf("invite", acts, func(a *act) string { return a.invite }),
		clickhouse.ColumnOf("reason", acts, func(a *act) string { return a.reason }),
	}
}
