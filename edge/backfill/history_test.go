package backfill_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

const patience = 10 * time.Second

var target = backfill.Target{Partition: 0, Group: "g", Channel: "c"}

// stack is a log with one channel and what reads it.
type stack struct {
	*streamtest.NATS
	owner  *edgetest.Owner
	client *owner.Client
	loader *backfill.Loader
	ids    int64
}

func newStack(t *testing.T) *stack {
	t.Helper()
	n := streamtest.Provisioned(t, 1)
	s := &stack{
		NATS: n, owner: edgetest.NewOwner(t, n.Connection(t), 0), client: owner.New(n.Conn, 1),
		loader: backfill.New(backfill.Config{Conn: n.Conn, Partitions: 1, Metrics: backfill.NewMetrics(prometheus.NewRegistry())}),
	}
	s.do(t, &streampb.Command{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "room", Name: "G"}}},
		&streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "c", Kind: "public"}}},
		&streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "other", Kind: "public"}}})
	return s
}

func (s *stack) do(t *testing.T, commands ...*streampb.Command) {
	t.Helper()
	for batch := range slices.Chunk(commands, 200) {
		for _, c := range batch {
			s.ids++
			if c.Group = "g"; c.User == "" {
				c.User = "alice"
			}
			c.ClientId = streams.MakeClientID(s.ids, [10]byte{}).Bytes()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, r := range s.client.Do(ctx, 0, batch) {
			if r.GetRejection() != nil {
				t.Fatal(r.GetRejection())
			}
		}
	}
}

func send(channel, body string) *streampb.Command {
	return &streampb.Command{Body: &streampb.Command_Send{Send: &streampb.Send{Channel: channel, Type: "text", Body: []byte(body), Mentions: []string{"bob"}}}}
}

// write makes count random events: sends, edits, recalls, reactions, and noise
// beside.
func (s *stack) write(t *testing.T, random *rand.Rand, count int) {
	t.Helper()
	var commands []*streampb.Command
	sent := uint64(len(edgetest.Fold(s.owner.Events("g", "c"), "")))
	for i := range count {
		n := uint64(0)
		if sent > 0 {
			n = 1 + random.Uint64N(sent)
		}
		switch k := random.IntN(10); {
		case k == 0 && n > 0:
			commands = append(commands, &streampb.Command{Body: &streampb.Command_Recall{Recall: &streampb.Recall{Channel: "c", N: n}}})
		case k <= 2 && n > 0:
			commands = append(commands, &streampb.Command{Body: &streampb.Command_Edit{Edit: &streampb.Edit{Channel: "c", N: n, Body: fmt.Appendf(nil, "edit %d", i)}}})
		case k <= 4 && n > 0:
			emoji, user := []string{"a", "b", "👍"}[random.IntN(3)], []string{"alice", "bob", "carol"}[random.IntN(3)]
			n = max(n, sent-min(sent-1, 3)) // few messages, so that they gather some
			c := &streampb.Command{User: user, Server: true, Body: &streampb.Command_React{React: &streampb.React{Channel: "c", N: n, Emoji: emoji}}}
			if random.IntN(3) == 0 {
				c.Body = &streampb.Command_Unreact{Unreact: &streampb.Unreact{Channel: "c", N: n, Emoji: emoji}}
			}
			commands = append(commands, c)
		case k == 5:
			commands = append(commands, send("other", "noise"))
		default:
			sent++
			commands = append(commands, send("c", fmt.Sprint("message ", i)))
		}
	}
	s.do(t, commands...)
}

// purge drops what lies before a channel's version from the log.
func (s *stack) purge(t *testing.T, v streams.Version) {
	t.Helper()
	stream, err := s.JS.Stream(t.Context(), streams.LogStream(0))
	if err != nil {
		t.Fatal(err)
	}
	seq := s.owner.Events("g", "c")[v-1].Seq
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(uint64(seq))); err != nil {
		t.Fatal(err)
	}
}

func entries(events []*streams.Event) (all []ring.Entry) {
	for _, e := range events {
		all = append(all, ring.Entry{Event: e, JSON: wire.AppendEvent(nil, e)})
	}
	return all
}

// obvious is the answer by the slow obvious fold.
func obvious(events []*streams.Event, q backfill.Query) (lines []string, more bool) {
	states := edgetest.Fold(events, string(q.User))
	if !q.After.Given {
		slices.Reverse(states)
	}
	for _, s := range states {
		outside := q.After.Given && s.GetN() <= q.After.Value || q.Before.Given && s.GetN() >= q.Before.Value
		switch {
		case outside:
		case len(lines) == q.Limit:
			return lines, true
		default:
			id, _ := streams.ClientIDFromBytes(s.GetClientId())
			var reactions []wire.Reaction
			for _, r := range s.GetReactions() {
				reactions = append(reactions, wire.Reaction{Emoji: r.GetEmoji(), Count: r.GetCount(), Mine: r.GetMine()})
			}
			slices.SortFunc(reactions, func(a, b wire.Reaction) int { return strings.Compare(a.Emoji, b.Emoji) })
			lines = append(lines, string(wire.AppendMessage(nil, &wire.Message{
				N: streams.Number(s.GetN()), V: streams.Version(s.GetV()), Seq: streams.Seq(s.GetSeq()), TS: s.GetTs(),
				User: streams.User(s.GetUser()), ClientID: id, Posted: s.GetMessage(), EditedTS: s.GetEditedTs(), Recalled: s.GetRecalled(),
				Reactions: reactions,
			})))
		}
	}
	return lines, false
}

func TestEverySourceGivesTheSameHistory(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStack(t)
	s.write(t, random, 1800)
	events := s.owner.Events("g", "c")
	all := entries(events)
	last := events[len(events)-1]
	head := backfill.Head{V: last.V, N: last.N}

	check := func(source string, held []ring.Entry) {
		t.Helper()
		for range 25 {
			q := backfill.Query{Limit: 1 + random.IntN(60), User: []streams.User{"alice", "bob", "stranger"}[random.IntN(3)]}
			at := wire.Option{Value: random.Uint64N(uint64(head.N) + 5), Given: true}
			switch random.IntN(3) {
			case 0:
				q.Before = at
			case 1:
				q.After = at
			}
			messages, more, err := s.loader.History(t.Context(), target, q, head, held)
			if err != nil {
				t.Fatalf("%s, %+v: %v", source, q, err)
			}
			var got []string
			for _, m := range messages {
				got = append(got, string(wire.AppendMessage(nil, m)))
			}
			want, wantMore := obvious(events, q)
			if !slices.Equal(got, want) || more != wantMore {
				t.Fatalf("%s, %+v: got %d messages, more %v:\n%v\nwant %d, more %v:\n%v", source, q, len(got), more, got, len(want), wantMore, want)
			}
		}
	}
	check("the ring", all)
	check("the log", nil)
	check("the log behind a short ring", all[len(all)-50:])
	store := edgetest.NewStore(t, s.Conn, s.owner)
	check("the store", nil)
	store.Lag.Store(333)
	check("a store that lags", nil)
	check("a store that lags behind a short ring", all[len(all)-100:])
	s.purge(t, head.V-400)
	check("a store that lags and a purged log", nil)
	store.Lag.Store(0)
	s.purge(t, head.V)
	check("the store alone", nil)
	store.Away.Store(true)
	check("the ring while the store is away", all)
	_, _, err := s.loader.History(t.Context(), target, backfill.Query{Limit: 10, Before: wire.Option{Value: 20, Given: true}}, head, nil)
	if got := streams.AsRejection(err); err == nil || got.Code != streams.HistoryUnavailable {
		t.Errorf("with neither: %v", err)
	}
}

func TestEventsComeFromWhereverTheyAre(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStack(t)
	s.write(t, random, 1500)
	store := edgetest.NewStore(t, s.Conn, s.owner)
	store.Lag.Store(200)
	events := s.owner.Events("g", "c")
	head := streams.Version(len(events))

	check := func(what string) {
		t.Helper()
		for range 25 {
			after := streams.Version(random.Uint64N(uint64(head)))
			r := backfill.Range{After: after, Upto: min(head, after+1+streams.Version(random.IntN(300))), Limit: 1 + random.IntN(400), Bytes: 1 << 20}
			if random.IntN(2) == 0 {
				r.Bytes = 2000
			}
			got, err := s.loader.Events(t.Context(), target, r)
			if err != nil || len(got) == 0 {
				t.Fatalf("%s, %+v: %d events, %v", what, r, len(got), err)
			}
			bytes := 0
			for i, e := range got {
				bytes += len(e.JSON)
				if want := string(wire.AppendEvent(nil, events[int(after)+i])); string(e.JSON) != want {
					t.Fatalf("%s, %+v: event %d is %s, want %s", what, r, i, e.JSON, want)
				}
			}
			if len(got) > r.Limit || len(got) > 1 && bytes > r.Bytes || got[len(got)-1].Event.V > r.Upto {
				t.Fatalf("%s, %+v: %d events of %d bytes", what, r, len(got), bytes)
			}
			if full := r.Bytes == 1<<20 && len(got) < r.Limit && got[len(got)-1].Event.V < r.Upto; full {
				t.Fatalf("%s, %+v: ends at %d without a reason", what, r, got[len(got)-1].Event.V)
			}
		}
	}
	check("the log")
	s.purge(t, head/2)
	check("a purged log")
	s.owner.Stop()
	s.owner.Start() // another term
	s.write(t, random, 300)
	events = s.owner.Events("g", "c")
	head = streams.Version(len(events))
	check("a purged log of two terms")
	s.purge(t, head-100)
	store.Lag.Store(0)
	check("a log with little left")
	asked := store.Asked.Load()
	if _, err := s.loader.Events(t.Context(), target, backfill.Range{After: head - 50, Upto: head, Limit: 50, Bytes: 1 << 20}); err != nil || store.Asked.Load() != asked {
		t.Errorf("the store was asked for what the log holds: %v", err)
	}
	got, err := s.loader.Events(t.Context(), target, backfill.Range{After: head - 900, Upto: head, Limit: 1000, Bytes: 1 << 20, LogOnly: true})
	if err != nil || len(got) != 101 || store.Asked.Load() != asked {
		t.Errorf("of the log alone: %d events, %v", len(got), err)
	}
	store.Away.Store(true)
	_, err = s.loader.Events(t.Context(), target, backfill.Range{After: 0, Upto: head, Limit: 10, Bytes: 1 << 20})
	if got := streams.AsRejection(err); err == nil || got.Code != streams.HistoryUnavailable {
		t.Errorf("without the store: %v", err)
	}
}

func TestWhatWasWrittenBehindANewerFenceIsLeftOut(t *testing.T) {
	s := newStack(t)
	s.do(t, send("c", "one"))
	old := s.owner.Events("g", "c")[0].Epoch
	s.owner.Stop()
	s.owner.Start()
	// What a former owner would write if the stream did not refuse it.
	stale := &streams.Event{
		Group: "g", Channel: "c", V: 2, N: 2, Epoch: old, TS: 1, User: "mallory",
		Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: []byte("late")}},
	}
	data, err := streams.MarshalEvent(stale)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.JS.Publish(t.Context(), streams.LogSubject(0, "g", "c"), data); err != nil {
		t.Fatal(err)
	}
	s.owner.Stop()
	s.owner.Start()
	s.do(t, send("c", "two"))
	got, err := s.loader.Events(t.Context(), target, backfill.Range{After: 0, Upto: 2, Limit: 10, Bytes: 1 << 20})
	if err != nil || len(got) != 2 || got[1].Event.User != "alice" {
		t.Fatalf("got %d events, %v", len(got), err)
	}
	messages, _, err := s.loader.History(t.Context(), target, backfill.Query{Limit: 10}, backfill.Head{V: 2, N: 2}, nil)
	if err != nil || len(messages) != 2 || messages[0].User != "alice" {
		t.Errorf("got %d messages, %v", len(messages), err)
	}
	logged, err := s.loader.Logged(t.Context(), &backfill.Authors{
		Group: "g", Users: map[streams.User]bool{"mallory": true},
		Channels: []*streampb.ChannelInfo{{Channel: "c", V: 2, N: 2, Seq: uint64(got[1].Event.Seq)}},
	})
	if err != nil || len(logged.Messages) != 0 || !logged.Complete {
		t.Errorf("of who wrote too late: %+v, %v", logged, err)
	}
}

// harmed is a connection whose first pages come from a replica that lost the
// third message of each.
type harmed struct {
	eventlog.Transport
	pages int
}

func (h *harmed) RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	h.pages--
	bad, at := h.pages >= 0, 0
	return h.Transport.RequestMany(ctx, subject, body, func(m *nats.Msg) bool {
		if at++; bad && at == 3 {
			return true
		}
		return visit(m)
	})
}

// It proves that a hole in what a replica reads is never passed on: another is
// asked, and where all have it the reader is told to come back.
func TestAHoleIsReadAgainAndNeverPassedOn(t *testing.T) {
	s := newStack(t)
	for range 10 {
		s.do(t, send("c", "text"))
	}
	for _, test := range []struct {
		bad  int
		code streams.Code
	}{{0, ""}, {1, ""}, {3, ""}, {4, streams.Unavailable}} {
		loader := backfill.New(backfill.Config{
			Partitions: 1, Metrics: backfill.NewMetrics(prometheus.NewRegistry()),
			Transport: &harmed{Transport: eventlog.OverNATS(s.Conn), pages: test.bad},
		})
		entries, err := loader.Events(t.Context(), target, backfill.Range{Upto: 10, Limit: 100, Bytes: 1 << 20})
		if test.code == "" {
			if err != nil || len(entries) != 10 {
				t.Errorf("%d harmed reads: got %d events, %v", test.bad, len(entries), err)
			}
			continue
		}
		if refused := streams.AsRejection(err); refused.Code != test.code || refused.RetryAfter == 0 {
			t.Errorf("%d harmed reads: got %d events, %v, want %s", test.bad, len(entries), err, test.code)
		}
	}
}
