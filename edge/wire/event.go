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
//	group_kind name settings                                group_update, on @
//	target_channel channel_kind name                        channel_create, on @
//	member role reason?                                     join, on @members
//	member reason?                                          leave, on @members
//
// A recalled message, and an edit of one, is told by [AppendRecalled].
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
	case streams.GroupUpdated:
		w.text("group_kind", p.GetKind())
		w.text("name", p.GetName())
		w.key("settings")
		w.b = appendSettings(w.b, p.GetSettings())
	case streams.ChannelCreated:
		w.text("target_channel", p.GetChannel())
		w.text("channel_kind", p.GetKind())
		w.text("name", p.GetName())
	case streams.MemberJoined:
		w.text("member", p.GetMember())
		w.text("role", streams.RoleName(p.GetRole()))
		w.some("reason", p.GetReason())
	case streams.MemberLeft:
		w.text("member", p.GetMember())
		w.some("reason", p.GetReason())
	}
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

// Message is a message as it reads now.
type Message struct {
	N        streams.Number
	V        streams.Version
	Seq      streams.Seq
	TS       int64
	User     streams.User
	ClientID streams.ClientID
	Posted   *streampb.MessagePosted // with the current body
	EditedTS int64                   // ms since 1970 UTC, 0: never edited
	Recalled bool                    // then only N says anything
}

// AppendMessage appends a message of a history page. A recalled one is its
// number and that it was recalled.
func AppendMessage(b []byte, m *Message) []byte {
	w := object(b)
	w.number("n", uint64(m.N))
	if m.Recalled {
		w.flag("recalled", true)
		return w.end()
	}
	w.number("v", uint64(m.V))
	w.number("seq", uint64(m.Seq))
	w.signed("ts", m.TS)
	w.text("user", string(m.User))
	w.clientID(m.ClientID)
	w.message(m.Posted)
	if m.EditedTS != 0 {
		w.signed("edited_ts", m.EditedTS)
	}
	return w.end()
}
