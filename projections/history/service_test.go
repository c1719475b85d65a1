package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

const patience = 10 * time.Second

// serve runs a service on a server of its own until the test ends.
func serve(t *testing.T, dsn string) *streamtest.NATS {
	t.Helper()
	existing := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, existing) })
	n := streamtest.New(t)
	s, err := New(Config{Conn: n.Conn, DSN: dsn, Lag: func() uint64 { return 42 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	streamtest.Eventually(t, patience, "the service answers", func() bool {
		_, err := n.Conn.Request(streams.QueryHealth, nil, patience)
		return err == nil
	})
	return n
}

func ask[Q, A proto.Message](t testing.TB, n *streamtest.NATS, subject string, query Q, answer A) A {
	t.Helper()
	data, err := proto.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := n.Conn.Request(subject, data, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(msg.Data, answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func askEvents(t testing.TB, n *streamtest.NATS, q *streampb.EventQuery) *streampb.EventPage {
	t.Helper()
	return ask(t, n, streams.QueryEvents, q, &streampb.EventPage{})
}

func askHistory(t testing.TB, n *streamtest.NATS, q *streampb.HistoryQuery) *streampb.HistoryPage {
	t.Helper()
	return ask(t, n, streams.QueryHistory, q, &streampb.HistoryPage{})
}

// stored writes the events of a log to a fresh database and serves it.
func stored(t *testing.T, log *logtest.Log) *streamtest.NATS {
	t.Helper()
	dsn := enginetest.DSN(t)
	db := logtest.DB(t, dsn)
	if _, err := NewSink(db).Write(t.Context(), Batch{Records: records(log.Events)}); err != nil {
		t.Fatal(err)
	}
	return serve(t, dsn)
}

func versions(page *streampb.EventPage) (vs []uint64) {
	for _, stored := range page.GetEvents() {
		e, err := streams.UnmarshalEvent(stored.GetEvent(), streams.Seq(stored.GetSeq()))
		if err != nil {
			panic(err)
		}
		vs = append(vs, uint64(e.V))
	}
	return vs
}

func numbers(page *streampb.HistoryPage) (ns []uint64) {
	for _, m := range page.GetMessages() {
		ns = append(ns, m.GetN())
	}
	return ns
}

// script is a channel of 10 messages, of which 3 was edited and 5 recalled.
func script() *logtest.Log {
	log := logtest.New(0, 1, 0)
	for i := range streams.Seq(10) {
		log.Message(100+i, "g", "c", fmt.Appendf(nil, "message %d", i+1))
	}
	log.Edit(120, "g", "c", 3, []byte("edited"))
	log.Edit(121, "g", "c", 5, []byte("edited before it was recalled"))
	log.Recall(122, "g", "c", 5)
	log.Message(123, "g", "other", []byte("x"))
	return log
}

func TestPagesAtTheirEdges(t *testing.T) {
	n := stored(t, script())
	for _, q := range []struct {
		name               string
		after, upto, limit uint64
		want               string
	}{
		{"all", 0, 0, 0, "[1 2 3 4 5 6 7 8 9 10 11 12 13]"},
		{"from the middle to the middle", 4, 7, 0, "[5 6 7]"},
		{"the first", 0, 1, 0, "[1]"},
		{"the last", 12, 13, 0, "[13]"},
		{"at the head", 13, 20, 0, "[]"},
		{"beyond the head", 500, 600, 0, "[]"},
		{"an empty range", 5, 5, 0, "[]"},
		{"a limit", 2, 13, 3, "[3 4 5]"},
		{"a limit that is clamped", 9, 0, 1 << 31, "[10 11 12 13]"},
		{"the largest number", 12, 1<<64 - 1, 0, "[13]"},
	} {
		page := askEvents(t, n, &streampb.EventQuery{Group: "g", Channel: "c", After: q.after, Upto: q.upto, Limit: uint32(q.limit)})
		if got := fmt.Sprint(versions(page)); got != q.want || page.GetError() != nil {
			t.Errorf("events, %s: got %s, %v, want %s", q.name, got, page.GetError(), q.want)
		}
	}
	for _, q := range []struct {
		name                 string
		before, after, limit uint64
		want                 string
	}{
		{"from the beginning", 0, 0, 0, "[1 2 3 4 5 6 7 8 9 10]"},
		{"after one", 0, 8, 0, "[9 10]"},
		{"after the last", 0, 10, 0, "[]"},
		{"newest first", 11, 0, 3, "[10 9 8]"},
		{"far beyond", 1 << 60, 0, 2, "[10 9]"},
		{"before the first", 1, 0, 0, "[]"},
		{"the first alone", 2, 0, 0, "[1]"},
	} {
		page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c", Before: q.before, After: q.after, Limit: uint32(q.limit)})
		if got := fmt.Sprint(numbers(page)); got != q.want || page.GetError() != nil || page.GetThrough() != 13 {
			t.Errorf("history, %s: got %s through %d, %v, want %s through 13", q.name, got, page.GetThrough(), page.GetError(), q.want)
		}
	}
	if page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "never"}); page.GetThrough() != 0 || page.GetError() != nil {
		t.Errorf("a channel that never was: got %v", page)
	}
}

func TestMessagesAreAnsweredAsTheyAreNow(t *testing.T) {
	log := script()
	n := stored(t, log)
	page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c"})
	edited, recalled, plain := page.GetMessages()[2], page.GetMessages()[4], page.GetMessages()[0]
	if got := string(edited.GetMessage().GetBody()); got != "edited" || edited.GetEditedTs() != log.Events[10].TS {
		t.Errorf("edited: got %q at %d", got, edited.GetEditedTs())
	}
	if !recalled.GetRecalled() || !proto.Equal(recalled.GetMessage(), &streampb.MessagePosted{}) || recalled.GetN() != 5 {
		t.Errorf("recalled: got %v", recalled)
	}
	want := log.Events[0]
	if plain.GetSeq() != 100 || plain.GetV() != 1 || plain.GetTs() != want.TS || plain.GetUser() != string(want.User) ||
		!bytes.Equal(plain.GetClientId(), want.ClientID.Bytes()) || plain.GetEditedTs() != 0 || plain.GetRecalled() {
		t.Errorf("plain: got %v of %+v", plain, want)
	}
}

func TestNothingServesTheBodyOfARecalledMessage(t *testing.T) {
	n := stored(t, script())
	page := askEvents(t, n, &streampb.EventQuery{Group: "g", Channel: "c"})
	for i, stored := range page.GetEvents() {
		v, gone := i+1, i+1 == 5 || i+1 == 12
		e, err := streams.UnmarshalEvent(stored.GetEvent(), streams.Seq(stored.GetSeq()))
		if err != nil {
			t.Fatal(err)
		}
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			if (len(p.GetBody()) == 0) != gone {
				t.Errorf("v %d: body %q, want it gone: %v", v, p.GetBody(), gone)
			}
		case streams.MessageEdited:
			if (len(p.GetBody()) == 0) != gone {
				t.Errorf("v %d: body %q, want it gone: %v", v, p.GetBody(), gone)
			}
		}
	}
}

func TestEventsAndBodiesAreAnsweredByteForByte(t *testing.T) {
	log := logtest.New(0, 9, 1)
	for i := range streams.Seq(400) {
		log.Next(i + 1)
	}
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	log.Message(500, "p0g0", "general", every[:])
	n := stored(t, log)
	recalled := map[uint64]bool{}
	for _, e := range log.Events {
		if p, ok := e.Payload.(streams.MessageRecalled); ok && e.Channel == "general" {
			recalled[p.GetTarget()] = true
		}
	}
	page := askEvents(t, n, &streampb.EventQuery{Group: "p0g0", Channel: "general"})
	current, i := map[uint64]string{}, 0
	for _, e := range log.Events {
		if e.Channel != "general" {
			continue
		}
		about := uint64(e.N)
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			current[about] = string(p.GetBody())
		case streams.MessageEdited:
			about = p.GetTarget()
			current[about] = string(p.GetBody())
		}
		want, err := streams.MarshalEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := page.GetEvents()[i]; !recalled[about] && !bytes.Equal(got.GetEvent(), want) || got.GetSeq() != uint64(e.Seq) {
			t.Fatalf("event at %d: got %q, want %q", e.Seq, got.GetEvent(), want)
		}
		i++
	}
	for _, m := range askHistory(t, n, &streampb.HistoryQuery{Group: "p0g0", Channel: "general"}).GetMessages() {
		want := current[m.GetN()]
		if recalled[m.GetN()] {
			want = ""
		}
		if got := string(m.GetMessage().GetBody()); got != want {
			t.Errorf("message %d: got %q, want %q", m.GetN(), got, want)
		}
	}
}

func TestPagesAreCutToWhatNATSCarries(t *testing.T) {
	log := logtest.New(0, 1, 0)
	for i := range streams.Seq(200) { // 3.2 MB
		log.Message(i+1, "g", "c", bytes.Repeat([]byte{'x'}, streams.MaxBody))
	}
	n := stored(t, log)
	after := uint64(0)
	for pages := 1; after < 200; pages++ {
		got := versions(askEvents(t, n, &streampb.EventQuery{Group: "g", Channel: "c", After: after}))
		if len(got) == 0 || got[0] != after+1 || pages > 20 {
			t.Fatalf("page %d after %d: got %v", pages, after, got)
		}
		after = got[len(got)-1]
	}
	for after = 0; after < 200; {
		got := numbers(askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c", After: after}))
		if len(got) == 0 || got[0] != after+1 {
			t.Fatalf("after %d: got %v", after, got)
		}
		after = got[len(got)-1]
	}
}

func TestBadNamesAreRefusedBeforeTheyReachSQL(t *testing.T) {
	n := stored(t, script())
	for _, name := range []string{"", "a.b", "*", "g' OR 1=1 --", "g\t", `g\`, "g\x00", strings.Repeat("g", 65)} {
		if got := askEvents(t, n, &streampb.EventQuery{Group: name, Channel: "c"}).GetError().GetCode(); got != string(streams.BadRequest) {
			t.Errorf("group %q: got %q", name, got)
		}
		if got := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: name}).GetError().GetCode(); got != string(streams.BadRequest) {
			t.Errorf("channel %q: got %q", name, got)
		}
	}
	msg, err := n.Conn.Request(streams.QueryEvents, []byte("\xff\xff no protobuf"), patience)
	if err != nil {
		t.Fatal(err)
	}
	page := &streampb.EventPage{}
	if err := proto.Unmarshal(msg.Data, page); err != nil || page.GetError().GetCode() != string(streams.BadRequest) {
		t.Errorf("no protobuf: got %v, %v", page, err)
	}
}

func TestHealth(t *testing.T) {
	health := func(n *streamtest.NATS) (h Health) {
		msg, err := n.Conn.Request(streams.QueryHealth, nil, patience)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(msg.Data, &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if got, want := health(stored(t, script())), (Health{OK: true, Lag: 42}); got != want {
		t.Errorf("there: got %+v, want %+v", got, want)
	}
	if got := health(serve(t, "clickhouse://127.0.0.1:1/db")); got.OK || got.Error == "" {
		t.Errorf("away: got %+v", got)
	}
}
