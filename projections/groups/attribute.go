package groups

import (
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
)

// attribute is a row of the table attributes: one change of one key.
type attribute struct {
	event                           *streams.Event
	key, value, reason              string
	deleted, autoDelete, protecting bool
}

// attributeAfter returns the row an event makes; nil if it changes no attribute.
func attributeAfter(e *streams.Event) *attribute {
	switch p := e.Payload.(type) {
	case streams.AttributeSet:
		return &attribute{event: e, key: p.GetKey(), value: p.GetValue(), autoDelete: p.GetAutoDelete(), protecting: p.GetProtected()}
	case streams.AttributeDeleted:
		return &attribute{event: e, key: p.GetKey(), reason: p.GetReason(), deleted: true}
	}
	return nil
}

func attributeColumns(attributes []*attribute) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", attributes, func(a *attribute) string { return string(a.event.Group) }),
		clickhouse.ColumnOf("channel", attributes, func(a *attribute) string { return string(a.event.Channel) }),
		clickhouse.ColumnOf("key", attributes, func(a *attribute) string { return a.key }),
		clickhouse.ColumnOf("v", attributes, func(a *attribute) uint64 { return uint64(a.event.V) }),
		clickhouse.ColumnOf("seq", attributes, func(a *attribute) uint64 { return uint64(a.event.Seq) }),
		clickhouse.ColumnOf("ts", attributes, func(a *attribute) time.Time { return clickhouse.Time(a.event.TS) }),
		clickhouse.ColumnOf("user", attributes, func(a *attribute) string { return string(a.event.User) }),
		clickhouse.ColumnOf("value", attributes, func(a *attribute) string { return a.value }),
		clickhouse.ColumnOf("deleted", attributes, func(a *attribute) uint8 { return clickhouse.Flag(a.deleted) }),
		clickhouse.ColumnOf("auto_delete", attributes, func(a *attribute) bool { return a.autoDelete }),
		clickhouse.ColumnOf("protected", attributes, func(a *attribute) bool { return a.protecting }),
		clickhouse.ColumnOf("reason", attributes, func(a *attribute) string { return a.reason }),
	}
}
