package wire

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// AppendEvent appends an event in its flat form:
//
//	group channel v n seq kind ts user client_id?           all kinds
//	type body mentions? mention_all? mention_roles?
//	  reply_to? priority? expires?                          message
//	target body                                             edit
//	target                                                  recall
//	target emoji count                                      react, unreact; how many have it after
//	target                                                  pin, unpin
//	group_kind name settings deleted? reason?               group_update, on @
//	target_channel channel_kind name parent? members?
//	  settings                                              channel_create, on @
//	target_channel name settings added? removed?            channel_update, on @
//	target_channel reason?                                  channel_delete, on @
//	key value auto_delete? protected?                       attr_set, on @ or the channel it is of
//	key reason?                                             attr_del, likewise
//	member role reason? invite? members?                    join, on @members
//	member reason? members?                                 leave, kick, on @members
//	member role reason?                                     role, on @members
//	member until? reason?                                   mute, on @members; without until: for good
//	member until? reason? members?                          ban, likewise
//	member reason?                                          unmute, unban, join_request, join_decline
//	member user_groups                                      user_groups, on @members
//	member invite expires? uses?                            invite, on @members; member made it
//	member invite                                           invite_revoke, on @members
//	member                                                  block, unblock: member takes nothing of the other
//
// What a reader may not know, or hides, is told by [AppendHidden], what it said no more
// by [AppendRecalled] and [AppendExpired].
func AppendEvent(b []byte, e *streams.Event) []byte {
	w := object(b)
	w.envelope(e)
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		w.message(p.MessagePosted)
	case streams.MessageEdited:
		w.number("target", p.GetTarget())
		w.body(p.GetBody(), p.GetBodyJson())
	case streams.MessageRecalled:
		w.number("target", p.GetTarget())
	case streams.Reacted:
		w.reaction(p.GetTarget(), p.GetEmoji(), p.GetCount())
	case streams.Unreacted:
		w.reaction(p.GetTarget(), p.GetEmoji(), p.GetCount())
	case streams.Pinned:
		w.number("target", p.GetTarget())
	case streams.Unpinned:
		w.number("target", p.GetTarget())
	default:
		if !w.groupEvent(e) {
			w.memberEvent(e)
		}
	}
	return w.end()
}

func (w *writer) reaction(target uint64, emoji string, count uint64) {
	w.number("target", target)
	w.text("emoji", emoji)
	w.number("count", count)
}

// AppendHidden appends an event a reader may not know: where it stands, so
// that versions have no hole, and nothing else.
//
//	group channel v n seq kind:"hidden" ts
func AppendHidden(b []byte, e *streams.Event) []byte {
	w := object(b)
	w.text("group", string(e.Group))
	w.text("channel", string(e.Channel))
	w.number("v", uint64(e.V))
	w.number("n", uint64(e.N))
	w.number("seq", uint64(e.Seq))
	w.text("kind", "hidden")
	w.signed("ts", e.TS)
	return w.end()
}

// AppendExpired appends a message whose time has passed, or an edit of one: its
// place in the log without what it said.
//
//	type body:"" expires expired:true     message
//	target body:"" expires expired:true   edit
func AppendExpired(b []byte, e *streams.Event) []byte {
	w := object(b)
	w.envelope(e)
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		w.text("type", p.GetType())
		w.text("body", "")
		w.signed("expires", p.GetExpires())
	case streams.MessageEdited:
		w.number("target", p.GetTarget())
		w.text("body", "")
		w.signed("expires", p.GetExpires())
	}
	w.flag("expired", true)
	return w.end()
}

// AppendRecalled appends a message that was recalled since, or an edit of one:
// its place in the log without what it said.
//
//	type body:"" recalled:true            message
//	target body:"" recalled:true          edit
func AppendRecalled(b []byte, e *streams.Event) []byte {
	w := object(b)
	w.envelope(e)
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
		w.text("type", p.GetType())
	case streams.MessageEdited:
		w.number("target", p.GetTarget())
	}
	w.text("body", "")
	w.flag("recalled", true)
	return w.end()
}

func (w *writer) envelope(e *streams.Event) {
	w.text("group", string(e.Group))
	w.text("channel", string(e.Channel))
	w.number("v", uint64(e.V))
	w.number("n", uint64(e.N))
	w.number("seq", uint64(e.Seq))
	w.text("kind", string(e.Kind()))
	w.signed("ts", e.TS)
	w.text("user", string(e.User))
	w.clientID(e.ClientID)
}

func (w *writer) clientID(id streams.ClientID) {
	if id.IsZero() {
		return
	}
	w.key("client_id")
	w.b = append(w.b, '"')
	w.b = id.Append(w.b)
	w.b = append(w.b, '"')
}

func (w *writer) message(m *streampb.MessagePosted) {
	w.text("type", m.GetType())
	w.body(m.GetBody(), m.GetBodyJson())
	w.list("mentions", m.GetMentions())
	if m.GetMentionAll() {
		w.flag("mention_all", true)
	}
	w.list("mention_roles", m.GetMentionRoles())
	if n := m.GetReplyTo(); n != 0 {
		w.number("reply_to", n)
	}
	switch m.GetPriority() {
	case streampb.Priority_PRIORITY_HIGH:
		w.text("priority", "high")
	case streampb.Priority_PRIORITY_LOW:
		w.text("priority", "low")
	}
	if ts := m.GetExpires(); ts != 0 {
		w.signed("expires", ts)
	}
}
