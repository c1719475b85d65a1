package history

import (
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// channelKey names a channel of a group.
type channelKey struct {
	group   streams.Group
	channel streams.Channel
}

// messageKey names a message.
type messageKey struct {
	channelKey
	n uint64
}

// message is a row of the table messages.
type message struct {
	key          messageKey
	v, seq       uint64
	ts           int64 // ms since 1970 UTC
	user         string
	clientID     clickhouse.UUID
	kind         string // the column type
	body         []byte
	bodyJSON     bool
	mentions     []string
	mentionAll   bool
	mentionRoles []string
	replyTo      uint64
	priority     string
	expires      int64 // ms since 1970 UTC, 0 for never
	editedTS     int64 // ms since 1970 UTC, 0 for never
	recalled     bool
	// stateV is the version of the newest event folded in.
	// Invariant: the row is a function of the log up to stateV.
	stateV uint64
}

func posted(e *streams.Event, p streams.MessagePosted) *message {
	return &message{
		key: messageKey{channelKey{e.Group, e.Channel}, uint64(e.N)},
		v:   uint64(e.V), seq: uint64(e.Seq), ts: e.TS,
		user: string(e.User), clientID: clickhouse.UUID(e.ClientID),
		kind: p.GetType(), body: p.GetBody(), bodyJSON: p.GetBodyJson(),
		mentions: p.GetMentions(), mentionAll: p.GetMentionAll(), mentionRoles: p.GetMentionRoles(),
		replyTo: p.GetReplyTo(), priority: priorityName(p.GetPriority()), expires: p.GetExpires(),
		stateV: uint64(e.V),
	}
}

// apply folds an edit or a recall in and reports whether the row changed.
func (m *message) apply(e *streams.Event) bool {
	if uint64(e.V) <= m.stateV {
		return false
	}
	return m.applyUnguarded(e)
}

func (m *message) applyUnguarded(e *streams.Event) bool {
	if m.recalled {
		return false // nothing brings a recalled message back
	}
	switch p := e.Payload.(type) {
	case streams.MessageEdited:
		m.body, m.bodyJSON, m.editedTS = p.GetBody(), p.GetBodyJson(), e.TS
	case streams.MessageRecalled:
		m.body, m.bodyJSON = nil, false
		m.mentions, m.mentionAll, m.mentionRoles = nil, false, nil
		m.recalled = true
	default:
		return false
	}
	m.stateV = max(m.stateV, uint64(e.V))
	return true
}

// target returns the message an edit or a recall is about.
func target(e *streams.Event) (messageKey, bool) {
	key := messageKey{channelKey: channelKey{e.Group, e.Channel}}
	switch p := e.Payload.(type) {
	case streams.MessageEdited:
		key.n = p.GetTarget()
	case streams.MessageRecalled:
		key.n = p.GetTarget()
	default:
		return key, false
	}
	return key, true
}

// state is the row as a query answers it.
func (m *message) state() *streampb.MessageState {
	s := &streampb.MessageState{
		V: m.v, N: m.key.n, Seq: m.seq, Ts: m.ts, User: m.user, ClientId: streams.ClientID(m.clientID).Bytes(),
		EditedTs: m.editedTS, Recalled: m.recalled, Message: &streampb.MessagePosted{},
	}
	if !m.recalled {
		s.Message = &streampb.MessagePosted{
			Type: m.kind, Body: m.body, BodyJson: m.bodyJSON,
			Mentions: m.mentions, MentionAll: m.mentionAll, MentionRoles: m.mentionRoles,
			ReplyTo: m.replyTo, Priority: priorityValue(m.priority), Expires: m.expires,
		}
	}
	return s
}

func priorityName(p streampb.Priority) string {
	switch p {
	case streampb.Priority_PRIORITY_HIGH:
		return "high"
	case streampb.Priority_PRIORITY_LOW:
		return "low"
	}
	return "normal"
}

func priorityValue(name string) streampb.Priority {
	switch name {
	case "high":
		return streampb.Priority_PRIORITY_HIGH
	case "low":
		return streampb.Priority_PRIORITY_LOW
	}
	return streampb.Priority_PRIORITY_NORMAL
}
