package groups

import (
	"context"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
)

// Table is rows to be inserted into one table.
type Table struct {
	Name    string
	Rows    int
	Columns []clickhouse.Column
}

// Recall is a recall and whose message it took back.
type Recall struct {
	Event  *streams.Event
	Author string
}

// Tables returns the rows events of one or several logs make, each log's in its
// order, and counts changes of channels that are not stored: their creation was
// refused, or purged before it was read. recalls are those among the events whose
// message is known. It reads channels to change from db, and fails only there.
func Tables(ctx context.Context, db *clickhouse.DB, events []*streams.Event, recalls []Recall) (tables []Table, orphans int, err error) {
	channels, orphans, err := (&channelFold{db: db}).fold(ctx, events)
	if err != nil {
		return nil, 0, err
	}
	var members []*member
	var attributes []*attribute
	var acts []*act
	for _, e := range events {
		if m := memberAfter(e); m != nil {
			members = append(members, m)
		}
		if a := attributeAfter(e); a != nil {
			attributes = append(attributes, a)
		}
		if a := actOf(e); a != nil {
			acts = append(acts, a)
		}
	}
	for _, r := range recalls {
		if a := actOfRecall(r); a != nil {
			acts = append(acts, a)
		}
	}
	members = clickhouse.LastOf(members, func(m *member) memberKey { return m.key })
	return nonEmpty(
		Table{"members", len(members), memberColumns(members)},
		Table{"attributes", len(attributes), attributeColumns(attributes)},
		Table{"moderation", len(acts), actColumns(acts)},
		Table{"channels", len(channels), channelColumns(channels)},
	), orphans, nil
}

func nonEmpty(all ...Table) (some []Table) {
	for _, t := range all {
		if t.Rows > 0 {
			some = append(some, t)
		}
	}
	return some
}
