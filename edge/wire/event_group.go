package wire

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// groupEvent appends what events of @ say, and of attributes wherever they
// are; false for another.
func (w *writer) groupEvent(e *streams.Event) bool {
	switch p := e.Payload.(type) {
	case streams.GroupUpdated:
		w.text("group_kind", p.GetKind())
		w.text("name", p.GetName())
		w.key("settings")
		w.b = appendSettings(w.b, p.GetSettings())
		if p.GetDeleted() {
			w.flag("deleted", true)
		}
		w.some("reason", p.GetReason())
	case streams.ChannelCreated:
		w.text("target_channel", p.GetChannel())
		w.text("channel_kind", p.GetKind())
		w.text("name", p.GetName())
		w.parent(p.GetParent())
		w.list("members", p.GetMembers())
		w.key("settings")
		w.b = appendChannelSettings(w.b, p.GetSettings())
	case streams.ChannelUpdated:
		w.text("target_channel", p.GetChannel())
		w.text("name", p.GetName())
		w.key("settings")
		w.b = appendChannelSettings(w.b, p.GetSettings())
		w.list("added", p.GetAdded())
		w.list("removed", p.GetRemoved())
	case streams.ChannelDeleted:
		w.text("target_channel", p.GetChannel())
		w.some("reason", p.GetReason())
	case streams.AttributeSet:
		w.text("key", p.GetKey())
		w.text("value", p.GetValue())
		if p.GetAutoDelete() {
			w.flag("auto_delete", true)
		}
		if p.GetProtected() {
			w.flag("protected", true)
		}
	case streams.AttributeDeleted:
		w.text("key", p.GetKey())
		w.some("reason", p.GetReason())
	default:
		return false
	}
	return true
}

// memberEvent appends what events of @members say. Each has a member.
func (w *writer) memberEvent(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.MemberJoined:
		w.text("member", p.GetMember())
		w.text("role", streams.RoleName(p.GetRole()))
		w.some("reason", p.GetReason())
		w.some("invite", p.GetInvite())
	case streams.MemberLeft:
		w.member(p)
	case streams.MemberKicked:
		w.member(p)
	case streams.RoleChanged:
		w.text("member", p.GetMember())
		w.text("role", streams.RoleName(p.GetRole()))
		w.some("reason", p.GetReason())
		return // nobody came or went
	case streams.MemberMuted:
		w.text("member", p.GetMember())
		w.until(p.GetUntil())
		w.some("reason", p.GetReason())
	case streams.MemberBanned:
		w.text("member", p.GetMember())
		w.until(p.GetUntil())
		w.some("reason", p.GetReason())
	case streams.MemberUnmuted:
		w.member(p)
	case streams.MemberUnbanned:
		w.member(p)
	case streams.JoinRequested:
		w.member(p)
	case streams.JoinDeclined:
		w.member(p)
	case streams.UserGroupsChanged:
		w.text("member", p.GetMember())
		w.strings("user_groups", p.GetState().GetUserGroups())
	case streams.InviteCreated:
		w.text("member", string(e.User))
		w.invitation(p.InviteCreated)
	case streams.InviteRevoked:
		w.text("member", string(e.User))
		w.text("invite", p.GetInvite())
	case streams.PeerBlocked:
		w.text("member", p.GetMember())
	case streams.PeerUnblocked:
		w.text("member", p.GetMember())
	}
	if census := streams.CensusOf(e); census != nil {
		w.number("members", census.GetMembers())
	}
}

func (w *writer) member(p interface {
	GetMember() string
	GetReason() string
}) {
	w.text("member", p.GetMember())
	w.some("reason", p.GetReason())
}

// until is a time that is left out where there is no end.
func (w *writer) until(ts int64) {
	if ts > 0 {
		w.signed("until", ts)
	}
}

// invitation never says the code, nor what it is recognised by.
func (w *writer) invitation(p *streampb.InviteCreated) {
	w.text("invite", p.GetInvite())
	if p.GetExpires() != 0 {
		w.signed("expires", p.GetExpires())
	}
	if p.GetUses() != 0 {
		w.number("uses", p.GetUses())
	}
}
