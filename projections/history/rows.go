package history

import (
	"time"

	"github.com/throng/throng/projections/clickhouse"
)

// eventRows are rows of the table events, by column, in the order of the
// slice [eventRows.columns] returns.
type eventRows struct {
	partition                   []uint32
	seq, v, n, epoch, prev      []uint64
	group, channel, kind, user  []string
	ts                          []time.Time
	clientID                    []clickhouse.UUID
	typ                         []string
	body                        [][]byte
	bodyJSON, mentionAll        []bool
	mentions, mentionRoles      [][]string
	replyTo, target             []uint64
	priority                    []string
	expires                     []int64
	member, role, reason, about []string
	name                        []string
	payload                     [][]byte
	seldom                      seldomRows
}

func newEventRows(n int) *eventRows {
	return &eventRows{
		partition: make([]uint32, 0, n),
		seq:       make([]uint64, 0, n), v: make([]uint64, 0, n), n: make([]uint64, 0, n),
		epoch: make([]uint64, 0, n), prev: make([]uint64, 0, n),
		group: make([]string, 0, n), channel: make([]string, 0, n), kind: make([]string, 0, n), user: make([]string, 0, n),
		ts: make([]time.Time, 0, n), clientID: make([]clickhouse.UUID, 0, n),
		typ: make([]string, n), body: make([][]byte, n), bodyJSON: make([]bool, n), mentionAll: make([]bool, n),
		mentions: make([][]string, n), mentionRoles: make([][]string, n),
		replyTo: make([]uint64, n), target: make([]uint64, n), priority: make([]string, n), expires: make([]int64, n),
		member: make([]string, n), role: make([]string, n), reason: make([]string, n), about: make([]string, n),
		name: make([]string, n), payload: make([][]byte, 0, n),
	}
}

// add appends an event; newEventRows was told of it.
func (r *eventRows) add(record Record) {
	e := record.Event
	i := len(r.seq)
	r.partition = append(r.partition, uint32(record.Partition))
	r.seq = append(r.seq, uint64(e.Seq))
	r.v = append(r.v, uint64(e.V))
	r.n = append(r.n, uint64(e.N))
	r.epoch = append(r.epoch, uint64(e.Epoch))
	r.prev = append(r.prev, uint64(e.Prev))
	r.group = append(r.group, string(e.Group))
	r.channel = append(r.channel, string(e.Channel))
	r.kind = append(r.kind, string(e.Kind()))
	r.user = append(r.user, string(e.User))
	r.ts = append(r.ts, clickhouse.Time(e.TS))
	r.clientID = append(r.clientID, clickhouse.UUID(e.ClientID))
	r.payload = append(r.payload, record.Data)
	r.setPayload(i, e.Payload)
}

func (r *eventRows) columns() []clickhouse.Column {
	return append(r.seldom.columns(), []clickhouse.Column{
		{Name: "partition", Values: r.partition}, {Name: "seq", Values: r.seq},
		{Name: "group", Values: r.group}, {Name: "channel", Values: r.channel},
		{Name: "v", Values: r.v}, {Name: "n", Values: r.n}, {Name: "epoch", Values: r.epoch}, {Name: "prev", Values: r.prev},
		{Name: "ts", Values: r.ts}, {Name: "kind", Values: r.kind}, {Name: "user", Values: r.user},
		{Name: "client_id", Values: r.clientID}, {Name: "type", Values: r.typ},
		{Name: "body", Values: r.body}, {Name: "body_json", Values: r.bodyJSON},
		{Name: "mentions", Values: r.mentions}, {Name: "mention_all", Values: r.mentionAll},
		{Name: "mention_roles", Values: r.mentionRoles}, {Name: "reply_to", Values: r.replyTo},
		{Name: "priority", Values: r.priority}, {Name: "expires", Values: r.expires}, {Name: "target", Values: r.target},
		{Name: "member", Values: r.member}, {Name: "role", Values: r.role}, {Name: "reason", Values: r.reason},
		{Name: "about", Values: r.about}, {Name: "name", Values: r.name}, {Name: "payload", Values: r.payload},
	}...)
}

// messageColumns are rows of the table messages, by column.
func messageColumns(messages []*message) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", messages, func(m *message) string { return string(m.key.group) }),
		clickhouse.ColumnOf("channel", messages, func(m *message) string { return string(m.key.channel) }),
		clickhouse.ColumnOf("n", messages, func(m *message) uint64 { return m.key.n }),
		clickhouse.ColumnOf("v", messages, func(m *message) uint64 { return m.v }),
		clickhouse.ColumnOf("seq", messages, func(m *message) uint64 { return m.seq }),
		clickhouse.ColumnOf("ts", messages, func(m *message) time.Time { return clickhouse.Time(m.ts) }),
		clickhouse.ColumnOf("user", messages, func(m *message) string { return m.user }),
		clickhouse.ColumnOf("client_id", messages, func(m *message) clickhouse.UUID { return m.clientID }),
		clickhouse.ColumnOf("type", messages, func(m *message) string { return m.kind }),
		clickhouse.ColumnOf("body", messages, func(m *message) []byte { return m.body }),
		clickhouse.ColumnOf("body_json", messages, func(m *message) bool { return m.bodyJSON }),
		clickhouse.ColumnOf("mentions", messages, func(m *message) []string { return m.mentions }),
		clickhouse.ColumnOf("mention_all", messages, func(m *message) bool { return m.mentionAll }),
		clickhouse.ColumnOf("mention_roles", messages, func(m *message) []string { return m.mentionRoles }),
		clickhouse.ColumnOf("reply_to", messages, func(m *message) uint64 { return m.replyTo }),
		clickhouse.ColumnOf("priority", messages, func(m *message) string { return m.priority }),
		clickhouse.ColumnOf("expires", messages, func(m *message) int64 { return m.expires }),
		clickhouse.ColumnOf("edited_ts", messages, func(m *message) time.Time { return clickhouse.Time(m.editedTS) }),
		clickhouse.ColumnOf("recalled", messages, func(m *message) uint8 { return clickhouse.Flag(m.recalled) }),
		clickhouse.ColumnOf("state_v", messages, func(m *message) uint64 { return m.stateV }),
	}
}

func refusalColumns(refusals []Refusal) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("partition", refusals, func(r Refusal) uint32 { return uint32(r.Partition) }),
		clickhouse.ColumnOf("seq", refusals, func(r Refusal) uint64 { return uint64(r.Seq) }),
		clickhouse.ColumnOf("subject", refusals, func(r Refusal) string { return r.Subject }),
		clickhouse.ColumnOf("reason", refusals, func(r Refusal) string { return r.Reason }),
		clickhouse.ColumnOf("data", refusals, func(r Refusal) []byte { return r.Data }),
	}
}
