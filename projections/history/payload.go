package history

import (
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/groups"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// seldomRows are the columns of the table events that most batches have
// nothing for: one is inserted only where some row has a value, and has its
// default elsewhere.
type seldomRows struct {
	emoji, key, value, settings, invite []string
	count                               []uint64
	until                               []int64
	deleted                             []bool
}

func (r *seldomRows) columns() []clickhouse.Column {
	columns := make([]clickhouse.Column, 0, 40) // room for the rest of the row
	columns = appendUsed(columns, "emoji", r.emoji)
	columns = appendUsed(columns, "count", r.count)
	columns = appendUsed(columns, "key", r.key)
	columns = appendUsed(columns, "value", r.value)
	columns = appendUsed(columns, "until", r.until)
	columns = appendUsed(columns, "settings", r.settings)
	columns = appendUsed(columns, "invite", r.invite)
	return appendUsed(columns, "deleted", r.deleted)
}

func appendUsed[V any](columns []clickhouse.Column, name string, values []V) []clickhouse.Column {
	if values == nil {
		return columns
	}
	return append(columns, clickhouse.Column{Name: name, Values: values})
}

// put sets row i of a column of that many rows, which it makes if need be.
func put[V comparable](column *[]V, rows, i int, value V) {
	var none V
	if value == none {
		return
	}
	if *column == nil {
		*column = make([]V, rows)
	}
	(*column)[i] = value
}

// setPayload fills in what row i holds of what happened.
func (r *eventRows) setPayload(i int, payload streams.Payload) {
	rows := len(r.typ)
	switch p := payload.(type) {
	case streams.MessagePosted:
		r.typ[i], r.body[i], r.bodyJSON[i] = p.GetType(), p.GetBody(), p.GetBodyJson()
		r.mentions[i], r.mentionAll[i], r.mentionRoles[i] = p.GetMentions(), p.GetMentionAll(), p.GetMentionRoles()
		r.replyTo[i], r.priority[i], r.expires[i] = p.GetReplyTo(), priorityName(p.GetPriority()), p.GetExpires()
		return
	case streams.MessageEdited:
		r.body[i], r.bodyJSON[i], r.expires[i] = p.GetBody(), p.GetBodyJson(), p.GetExpires()
	case streams.GroupUpdated:
		r.typ[i], r.name[i] = p.GetKind(), p.GetName()
		put(&r.seldom.settings, rows, i, groups.SettingsJSON(p.GetSettings()))
		put(&r.seldom.deleted, rows, i, p.GetDeleted())
	case streams.ChannelCreated:
		r.typ[i], r.about[i], r.name[i] = p.GetKind(), p.GetChannel(), p.GetName()
		put(&r.seldom.settings, rows, i, groups.SettingsJSON(p.GetSettings()))
	case streams.ChannelUpdated:
		r.about[i], r.name[i] = p.GetChannel(), p.GetName()
		put(&r.seldom.settings, rows, i, groups.SettingsJSON(p.GetSettings()))
	case streams.ChannelDeleted:
		r.about[i] = p.GetChannel()
	case streams.InviteCreated:
		put(&r.seldom.until, rows, i, p.GetExpires())
	}
	// What many kinds have under one name.
	if p, ok := payload.(interface{ GetTarget() uint64 }); ok {
		r.target[i] = p.GetTarget()
	}
	if p, ok := payload.(interface{ GetMember() string }); ok {
		r.member[i] = p.GetMember()
	}
	if p, ok := payload.(interface{ GetRole() streampb.Role }); ok {
		r.role[i] = streams.RoleName(p.GetRole())
	}
	if p, ok := payload.(interface{ GetReason() string }); ok {
		r.reason[i] = p.GetReason()
	}
	if p, ok := payload.(interface{ GetEmoji() string }); ok {
		put(&r.seldom.emoji, rows, i, p.GetEmoji())
	}
	if p, ok := payload.(interface{ GetCount() uint64 }); ok {
		put(&r.seldom.count, rows, i, p.GetCount())
	}
	if p, ok := payload.(interface{ GetKey() string }); ok {
		put(&r.seldom.key, rows, i, p.GetKey())
	}
	if p, ok := payload.(interface{ GetValue() string }); ok {
		put(&r.seldom.value, rows, i, p.GetValue())
	}
	if p, ok := payload.(interface{ GetUntil() int64 }); ok {
		put(&r.seldom.until, rows, i, p.GetUntil())
	}
	if p, ok := payload.(interface{ GetInvite() string }); ok {
		put(&r.seldom.invite, rows, i, p.GetInvite())
	}
}
