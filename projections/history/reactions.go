package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// reaction is a row of the table reactions, and what it says of the emoji's
// count is one of reaction_counts. Both are functions of one event.
type reaction struct {
	key     reactionKey
	ts      int64 // ms since 1970 UTC
	removed bool
	count   uint64 // of the emoji at the message, after the event
	stateV  uint64
}

type reactionKey struct {
	emojiKey
	user streams.User
}

type emojiKey struct {
	messageKey
	emoji string
}

// reactionAfter returns the row an event makes; nil if it is no reaction.
func reactionAfter(e *streams.Event) *reaction {
	r := &reaction{ts: e.TS, stateV: uint64(e.V)}
	r.key.channelKey, r.key.user = channelKey{e.Group, e.Channel}, e.User
	switch p := e.Payload.(type) {
	case streams.Reacted:
		r.key.n, r.key.emoji, r.count = p.GetTarget(), p.GetEmoji(), p.GetCount()
	case streams.Unreacted:
		r.key.n, r.key.emoji, r.count, r.removed = p.GetTarget(), p.GetEmoji(), p.GetCount(), true
	default:
		return nil
	}
	return r
}

// reactionsOf returns the rows of reactions and of reaction_counts.
func reactionsOf(records []Record) (reactions, counts []*reaction) {
	for _, record := range records {
		if r := reactionAfter(record.Event); r != nil {
			reactions = append(reactions, r)
		}
	}
	counts = clickhouse.LastOf(reactions, func(r *reaction) emojiKey { return r.key.emojiKey })
	return clickhouse.LastOf(reactions, func(r *reaction) reactionKey { return r.key }), counts
}

func reactionColumns(reactions []*reaction) []clickhouse.Column {
	return append(emojiColumns(reactions),
		clickhouse.ColumnOf("user", reactions, func(r *reaction) string { return string(r.key.user) }),
		clickhouse.ColumnOf("ts", reactions, func(r *reaction) time.Time { return clickhouse.Time(r.ts) }),
		clickhouse.ColumnOf("removed", reactions, func(r *reaction) uint8 { return clickhouse.Flag(r.removed) }),
	)
}

func countColumns(counts []*reaction) []clickhouse.Column {
	return append(emojiColumns(counts), clickhouse.ColumnOf("count", counts, func(r *reaction) uint64 { return r.count }))
}

func emojiColumns(reactions []*reaction) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", reactions, func(r *reaction) string { return string(r.key.group) }),
		clickhouse.ColumnOf("channel", reactions, func(r *reaction) string { return string(r.key.channel) }),
		clickhouse.ColumnOf("n", reactions, func(r *reaction) uint64 { return r.key.n }),
		clickhouse.ColumnOf("emoji", reactions, func(r *reaction) string { return r.key.emoji }),
		clickhouse.ColumnOf("state_v", reactions, func(r *reaction) uint64 { return r.stateV }),
	}
}

// react adds their reactions to a page of messages, by emoji, marks the user's own, and
// cuts the page where it no longer fits into room bytes.
func (s *Service) react(ctx context.Context, key channelKey, user string, page *streampb.HistoryPage, room int) error {
	numbers := make([]uint64, 0, len(page.Messages))
	at := make(map[uint64]*streampb.MessageState, len(page.Messages))
	for _, m := range page.Messages {
		if !m.GetRecalled() {
			numbers = append(numbers, m.GetN())
			at[m.GetN()] = m
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	const (
		counts = "SELECT n, emoji, count, false FROM reaction_counts FINAL" + ofChannel +
			" AND n IN {numbers:Array(UInt64)} AND count > 0"
		mine = " UNION ALL SELECT n, emoji, 0, true FROM reactions FINAL" + ofChannel +
			" AND n IN {numbers:Array(UInt64)} AND user = {user:String} AND removed = 0"
	)
	params := key.params()
	params["numbers"] = numbers
	text := counts
	if user != "" {
		text, params["user"] = counts+mine, user
	}
	type placed struct {
		n     uint64
		emoji string
	}
	own := map[placed]bool{}
	err := s.db.Query(ctx, text+onOneThread, params, func(scan func(...any) error) error {
		var n uint64
		r := &streampb.Reaction{}
		if err := scan(&n, &r.Emoji, &r.Count, &r.Mine); err != nil {
			return err
		}
		if r.Mine {
			own[placed{n, r.Emoji}] = true
		} else {
			at[n].Reactions = append(at[n].Reactions, r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read reactions: %w", err)
	}
	for n, m := range at {
		slices.SortFunc(m.Reactions, func(a, b *streampb.Reaction) int { return strings.Compare(a.Emoji, b.Emoji) })
		for _, r := range m.Reactions {
			r.Mine = own[placed{n, r.Emoji}]
		}
	}
	for i, m := range page.Messages {
		if room -= proto.Size(m) + 8; room < 0 && i > 0 {
			page.Messages = page.Messages[:i]
			break
		}
	}
	return nil
}
