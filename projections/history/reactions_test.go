package history

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// reacted is a channel of 6 messages with reactions to some, message 4 recalled
// after it had one.
func reacted() *logtest.Log {
	log := logtest.New(0, 1, 0)
	seq := streams.Seq(0)
	next := func() streams.Seq { seq++; return seq }
	for i := range 6 {
		log.Message(next(), "g", "c", fmt.Appendf(nil, "message %d", i+1))
	}
	log.Message(next(), "g", "other", []byte("x"))
	for _, user := range []string{"alice", "bob", "carol"} {
		log.React(next(), "g", "c", 2, "👍", user)
	}
	log.React(next(), "g", "c", 2, "it's", "alice")
	log.React(next(), "g", "c", 3, "👍", "bob")
	log.Unreact(next(), "g", "c", 3, "👍", "bob")
	log.Unreact(next(), "g", "c", 2, "👍", "carol")
	log.React(next(), "g", "c", 4, "👍", "alice")
	log.Recall(next(), "g", "c", 4)
	log.React(next(), "g", "c", 6, "👍", "dave")
	log.React(next(), "g", "other", 1, "🎉", "alice")
	return log
}

// reactionsIn is a page's reactions: «n emoji count», with a * where mine.
func reactionsIn(page *streampb.HistoryPage) string {
	var all []string
	for _, m := range page.GetMessages() {
		for _, r := range m.GetReactions() {
			mine := ""
			if r.GetMine() {
				mine = "*"
			}
			all = append(all, fmt.Sprintf("%d %s %d%s", m.GetN(), r.GetEmoji(), r.GetCount(), mine))
		}
	}
	return strings.Join(all, ", ")
}

func TestHistoryTellsTheReactions(t *testing.T) {
	dsn := enginetest.DSN(t)
	sink := NewSink(logtest.DB(t, dsn))
	for _, table := range []string{"reactions", "reaction_counts"} { // old rows stay beside new ones
		if err := sink.db.Exec(t.Context(), "SYSTEM STOP MERGES "+table); err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range records(reacted().Events) {
		if _, err := sink.Write(t.Context(), Batch{Records: []Record{record}}); err != nil {
			t.Fatal(err)
		}
	}
	n := serve(t, dsn)
	for _, q := range []struct {
		name  string
		query *streampb.HistoryQuery
		want  string
	}{
		{"for nobody", &streampb.HistoryQuery{}, "2 it's 1, 2 👍 2, 6 👍 1"},
		{"for who reacted", &streampb.HistoryQuery{User: "alice"}, "2 it's 1*, 2 👍 2*, 6 👍 1"},
		{"for who took it back", &streampb.HistoryQuery{User: "carol"}, "2 it's 1, 2 👍 2, 6 👍 1"},
		{"for who took one back and left one", &streampb.HistoryQuery{User: "bob"}, "2 it's 1, 2 👍 2*, 6 👍 1"},
		{"newest first", &streampb.HistoryQuery{Before: 7, User: "dave"}, "6 👍 1*, 2 it's 1, 2 👍 2"},
		{"of a part", &streampb.HistoryQuery{After: 4}, "6 👍 1"},
		{"of what has none", &streampb.HistoryQuery{Before: 2}, ""},
		{"of what is recalled", &streampb.HistoryQuery{Before: 5, Limit: 1, User: "alice"}, ""},
		{"of a page that is empty", &streampb.HistoryQuery{After: 6}, ""},
	} {
		q.query.Group, q.query.Channel = "g", "c"
		page := askHistory(t, n, q.query)
		if got := reactionsIn(page); got != q.want || page.GetError() != nil {
			t.Errorf("%s: got %s, %v, want %s", q.name, got, page.GetError(), q.want)
		}
	}
	for _, user := range []string{"a.b", "' OR 1=1 --", "a\t"} {
		page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c", User: user})
		if got := page.GetError().GetCode(); got != string(streams.BadRequest) {
			t.Errorf("user %q: got %q", user, got)
		}
	}
}

// TestReactionsAreInThePagesSize has pages of messages that fit into what NATS
// carries without their reactions, and not with them.
func TestReactionsAreInThePagesSize(t *testing.T) {
	log := logtest.New(0, 1, 0)
	seq := streams.Seq(0)
	next := func() streams.Seq { seq++; return seq }
	for range 400 {
		log.Message(next(), "g", "c", []byte("x"))
	}
	for i := range uint64(400) {
		for j := range streams.MaxEmojis {
			log.React(next(), "g", "c", i+1, fmt.Sprintf("%d%s", j, strings.Repeat("e", streams.MaxEmoji-2)), "alice")
		}
	}
	n := stored(t, log)
	pages := 0
	for after := uint64(0); after < 400; pages++ {
		page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c", After: after})
		got := numbers(page)
		if len(got) == 0 || got[0] != after+1 {
			t.Fatalf("after %d: got %v, %v", after, got, page.GetError())
		}
		for _, m := range page.GetMessages() {
			if len(m.GetReactions()) != streams.MaxEmojis {
				t.Fatalf("message %d: %d reactions", m.GetN(), len(m.GetReactions()))
			}
		}
		after = got[len(got)-1]
	}
	if pages < 2 {
		t.Errorf("%d pages: the test is too small", pages)
	}
}
