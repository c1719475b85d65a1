package session_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// resume subscribes from where the follower is and takes the answer.
func (f *follower) resume(c *client, rest string) {
	f.t.Helper()
	id := c.ask("subscribe", fmt.Sprintf(`{"group":"g","channel":"c","after":%d%s}`, f.v, rest))
	f.begun(c, id)
}

// begun takes the answer to a subscribe with after, and before it what an
// earlier subscription may still have delivered.
func (f *follower) begun(c *client, id uint64) {
	f.t.Helper()
	ok := c.okAnswer(id)
	for _, p := range c.pushed {
		f.take(p)
	}
	c.pushed = nil
	if g, has := ok["gap"].(map[string]any); has {
		if after := uint64(g["after"].(float64)); after > f.v {
			f.t.Fatalf("the answer's gap begins after %d, delivered was %d", after, f.v)
		}
		f.gaps = append(f.gaps, gap{f.v, uint64(g["upto"].(float64))})
		f.v = max(f.v, uint64(g["upto"].(float64)))
	}
	for _, e := range ok["events"].([]any) {
		v := uint64(e.(map[string]any)["v"].(float64))
		if v <= f.v {
			continue // delivered before the answer, which begins at the asked after
		}
		if v != f.v+1 {
			f.t.Fatalf("the answer has v %d behind v %d", v, f.v)
		}
		f.v = v
	}
	if v := uint64(ok["v"].(float64)); v != f.v {
		f.t.Fatalf("the answer says v %d and brings up to %d", v, f.v)
	}
}

// until takes what is pushed until v.
func (f *follower) until(c *client, v uint64) {
	f.t.Helper()
	for f.v < v {
		f.take(c.push())
	}
	if f.v > v {
		f.t.Fatalf("delivered v %d of %d", f.v, v)
	}
}

// load sends messages from several users at once until stop.
func load(t *testing.T, s *edgetest.Stack, users int) (stop func() (sent uint64)) {
	t.Helper()
	var tasks sync.WaitGroup
	var over atomic.Bool
	var sent atomic.Uint64
	for i := range users {
		c := connected(t, s.Edge, fmt.Sprint("sender", i))
		c.ok("join", `{"group":"g"}`)
		tasks.Go(func() {
			for !over.Load() {
				id := c.ask("send", fmt.Sprintf(`{"group":"g","channel":"c","body":"%d"}`, i))
				if f := c.answer(id); f.Error != nil {
					t.Errorf("send: %+v", *f.Error)
					return
				}
				sent.Add(1)
			}
		})
	}
	return func() uint64 {
		over.Store(true)
		tasks.Wait()
		return sent.Load()
	}
}

func TestAnswerAndDeliveryAreAtomicUnderLoad(t *testing.T) {
	transports(t, answerAndDelivery)
}

func answerAndDelivery(t *testing.T, wrap func(net.Conn) net.Conn) {
	s := edgetest.New(t, func(c *edge.Config) { c.Wrap = wrap })
	s.Group(t)
	stop := load(t, s, 3)
	var tasks sync.WaitGroup
	followers := make([]*follower, 6)
	clients := make([]*client, len(followers))
	for i := range followers {
		c, f := connected(t, s.Edge, "bob"), &follower{t: t}
		clients[i], followers[i] = c, f
		tasks.Go(func() {
			for range 15 {
				f.resume(c, "")
				f.until(c, f.v) // nothing is owed
				for want := f.v + 20; f.v < want; {
					f.take(c.push())
				}
				if i%2 == 0 { // the odd ones subscribe again without
					id := c.ask("unsubscribe", `{"group":"g","channel":"c"}`)
					c.okAnswer(id)
					for _, p := range c.pushed {
						f.take(p)
					}
					c.pushed = nil
				}
			}
			f.resume(c, "")
		})
	}
	tasks.Wait()
	sent := stop()
	for i, f := range followers {
		f.until(clients[i], sent)
		if len(f.gaps) != 0 {
			t.Errorf("follower %d was told gaps %v", i, f.gaps)
		}
	}
}

func TestSlowReaderIsToldTheGapAndCanPullIt(t *testing.T) {
	transports(t, slowReader)
}

func slowReader(t *testing.T, wrap func(net.Conn) net.Conn) {
	s := edgetest.New(t, func(c *edge.Config) { c.RingEvents, c.Wrap = 32, wrap })
	s.Group(t)
	slow, quick := narrow(t, s.Edge, "bob"), connected(t, s.Edge, "bob")
	f, g := &follower{t: t}, &follower{t: t}
	f.resume(slow, "")
	g.resume(quick, "")
	sender := connected(t, s.Edge, "alice")
	body := strings.Repeat("x", 16000)
	const count = 450 // 7 MB: more than the sockets between take
	for v := uint64(1); v <= count; v++ {
		sender.ok("send", `{"group":"g","channel":"c","body":"`+body+`"}`)
		g.until(quick, v) // the quick one is not held up
	}
	f.until(slow, count)
	if len(f.gaps) == 0 {
		t.Fatal("no gap")
	}
	if len(g.gaps) != 0 {
		t.Errorf("the quick one was told gaps %v", g.gaps)
	}
	for _, missing := range f.gaps {
		for at := missing.After; at < missing.Upto; {
			ok := slow.ok("pull", fmt.Sprintf(`{"group":"g","channel":"c","after":%d,"upto":%d,"limit":1000}`, at, missing.Upto))
			for _, e := range ok["events"].([]any) {
				if at++; e.(map[string]any)["v"] != float64(at) {
					t.Fatalf("pulled v %v, want %d", e.(map[string]any)["v"], at)
				}
			}
			if ok["through"] != float64(at) || ok["more"] != (at < missing.Upto) {
				t.Fatalf("through %v, more %v at %d of %d", ok["through"], ok["more"], at, missing.Upto)
			}
		}
	}
}

func TestLostLiveMessagesAreFilled(t *testing.T) {
	var lose atomic.Bool
	var seen atomic.Int64
	s := edgetest.New(t, func(c *edge.Config) {
		c.Lose = func(msg *nats.Msg) bool {
			return lose.Load() && strings.HasPrefix(msg.Subject, "throng.live.") && seen.Add(1)%3 != 0
		}
	})
	s.Group(t)
	c := connected(t, s.Edge, "bob")
	f := &follower{t: t}
	f.resume(c, "")
	lose.Store(true)
	stop := load(t, s, 2)
	for f.v < 300 {
		f.take(c.push())
	}
	sent := stop()
	lose.Store(false)
	s.Send(t, "the last") // uncovers what was lost before it
	f.until(c, sent+1)
	if len(f.gaps) != 0 {
		t.Errorf("told gaps %v", f.gaps)
	}
}

func TestBeaconUncoversALostTail(t *testing.T) {
	var lose atomic.Bool
	s := edgetest.New(t, func(c *edge.Config) {
		c.Lose = func(msg *nats.Msg) bool { return lose.Load() && strings.HasPrefix(msg.Subject, "throng.live.") }
	})
	s.Group(t)
	other, stop := s.Start(t)
	defer stop()
	c := connected(t, s.Edge, "bob")
	f := &follower{t: t}
	f.resume(c, "")
	lose.Store(true)
	for range 5 { // through another edge, so that no answer tells this one
		edgetest.Post(t, other, "dev:alice", "send", `{"group":"g","channel":"c","body":"x"}`)
	}
	s.Owner.Beacon()
	f.until(c, 5)
}

func TestReadsSeeWhatWasWrittenEvenIfTheLiveMessageIsLost(t *testing.T) {
	var lose atomic.Bool
	s := edgetest.New(t, func(c *edge.Config) {
		c.Lose = func(msg *nats.Msg) bool { return lose.Load() && strings.HasPrefix(msg.Subject, "throng.live.") }
	})
	s.Group(t)
	c := connected(t, s.Edge, "alice")
	c.ok("subscribe", `{"group":"g","channel":"c"}`)
	lose.Store(true)
	for i := 1; i <= 3; i++ {
		send := c.ask("send", fmt.Sprintf(`{"group":"g","channel":"c","body":"%d"}`, i))
		pull := c.ask("pull", `{"group":"g","channel":"c","after":0}`) // without waiting
		c.okAnswer(send)
		if ok := c.okAnswer(pull); ok["through"] != float64(i) {
			t.Errorf("pull through %v, want %d", ok["through"], i)
		}
		if ok := c.ok("history", `{"group":"g","channel":"c"}`); len(ok["messages"].([]any)) != i {
			t.Errorf("history of %d messages, want %d", len(ok["messages"].([]any)), i)
		}
	}
	c.ok("create_channel", `{"group":"g","channel":"d","kind":"public","name":"D"}`)
	c.ok("subscribe", `{"group":"g","channel":"d"}`) // known although its creation was lost
}

func TestColdEdgeServesFromTheLog(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	c := connected(t, s.Edge, "alice")
	ids := make([]uint64, 0, 700)
	for i := range 700 {
		ids = append(ids, c.ask("send", fmt.Sprintf(`{"group":"g","channel":"c","body":"%d"}`, i)))
	}
	for _, id := range ids {
		c.okAnswer(id)
	}
	s.Stop()
	cold, stop := s.Start(t)
	defer stop()
	tests := []struct {
		name, rest   string
		first, count int
		gap          string
	}{
		{"no after", ``, 0, 0, "<nil>"},
		{"a little after", `,"after":690`, 691, 10, "<nil>"},
		{"after the head", `,"after":700`, 0, 0, "<nil>"},
		{"beyond the head", `,"after":9000`, 0, 0, "<nil>"},
		{"a tail", `,"tail":30`, 671, 30, "<nil>"},
		{"far after", `,"after":10`, 201, 500, "map[after:10 upto:200]"},
		{"a large tail", `,"tail":5000`, 1, 700, "<nil>"},
		{"after and tail", `,"after":10,"tail":5`, 696, 5, "map[after:10 upto:695]"},
		{"after and no tail", `,"after":698,"tail":0`, 0, 0, "map[after:698 upto:700]"},
		{"another log", `,"after":690,"log":"other"`, 0, 0, "<nil>"},
		{"the same log", `,"after":690,"log":"log-of-the-test"`, 691, 10, "<nil>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := connected(t, cold, "bob")
			ok := c.ok("subscribe", `{"group":"g","channel":"c"`+test.rest+`}`)
			events := ok["events"].([]any)
			if len(events) != test.count || ok["v"] != 700.0 || ok["n"] != 700.0 || fmt.Sprint(ok["gap"]) != test.gap {
				t.Fatalf("got %d events, v %v, gap %v", len(events), ok["v"], ok["gap"])
			}
			for i, e := range events {
				if e.(map[string]any)["v"] != float64(test.first+i) {
					t.Fatalf("event %d has v %v", i, e.(map[string]any)["v"])
				}
			}
		})
	}
}

func TestPurgedLogIsReadFromTheStore(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	store := edgetest.NewStore(t, s.Conn, s.Owner)
	c := connected(t, s.Edge, "alice")
	for i := range 50 {
		c.ok("send", fmt.Sprintf(`{"group":"g","channel":"c","body":"%d"}`, i))
	}
	s.Stop()
	stream, err := s.JS.Stream(t.Context(), streams.LogStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(uint64(s.Owner.Events("g", "c")[30].Seq))); err != nil {
		t.Fatal(err)
	}
	cold, stop := s.Start(t)
	defer stop()
	c = connected(t, cold, "bob")
	if ok := c.ok("pull", `{"group":"g","channel":"c","after":0}`); ok["through"] != 50.0 || ok["more"] != false {
		t.Errorf("got through %v, more %v", ok["through"], ok["more"])
	}
	if store.Asked.Load() == 0 {
		t.Error("the store was not asked")
	}
	if ok := c.ok("history", `{"group":"g","channel":"c","before":11,"limit":10}`); len(ok["messages"].([]any)) != 10 || ok["more"] != false {
		t.Errorf("got %v", ok)
	}
	store.Away.Store(true)
	if code := c.code("pull", `{"group":"g","channel":"c","after":0}`); code != "history_unavailable" {
		t.Errorf("got %s", code)
	}
	if ok := c.ok("pull", `{"group":"g","channel":"c","after":40}`); ok["through"] != 50.0 {
		t.Errorf("what the log holds: %v", ok)
	}
}

func TestWhoLeavesIsPushedNothingMore(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	watch, left := connected(t, s.Edge, "alice"), connected(t, s.Edge, "bob")
	watch.ok("subscribe", `{"group":"g","channel":"@members"}`)
	left.ok("subscribe", `{"group":"g","channel":"c"}`)
	left.ok("subscribe", `{"group":"g","channel":"@members"}`)
	s.OK(t, "dev:bob", "leave", `{"group":"g"}`)
	if p := watch.push(); p.Block == nil || p.Block.Events[0].Kind != "leave" {
		t.Errorf("got %+v", p)
	}
	s.Send(t, "not for bob")
	var told int
	for told == 0 {
		switch p := left.push(); {
		case p.Conversation != nil && p.Conversation.Left && p.Conversation.Group == "g":
			told++
		case p.Block != nil && p.Block.Channel == "@members":
		default:
			t.Fatalf("pushed %+v", p)
		}
	}
	if code := left.code("pull", `{"group":"g","channel":"c","after":0}`); code != "not_member" {
		t.Errorf("got %s", code)
	}
	if len(left.pushed) != 0 {
		t.Errorf("pushed %+v", left.pushed)
	}
	left.ok("join", `{"group":"g"}`)
	left.ok("subscribe", `{"group":"g","channel":"c","after":0}`)
}

func TestManyReadersCostTheOwnerOneSnapshot(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) { c.Linger = 50 * time.Millisecond })
	s.Group(t)
	before := s.Owner.Snapshots.Load()
	clients := make([]*client, 30)
	for i := range clients {
		clients[i] = connected(t, s.Edge, []string{"alice", "bob"}[i%2])
	}
	asked := make([]uint64, len(clients))
	for i, c := range clients {
		asked[i] = c.ask("subscribe", `{"group":"g","channel":"c"}`)
	}
	for i, c := range clients {
		c.okAnswer(asked[i])
	}
	if got := s.Owner.Snapshots.Load() - before; got != 1 {
		t.Errorf("%d snapshots", got)
	}
	if got := s.Owner.Accesses.Load(); got != 2 {
		t.Errorf("asked for access %d times", got)
	}
	for _, c := range clients {
		_ = c.conn.Close()
	}
	streamtest.Eventually(t, patience, "the unused view closes", func() bool { return s.Gauge(t, "throng_edge_views") == 0 })
	c := connected(t, s.Edge, "alice")
	c.ok("pull", `{"group":"g","channel":"c","after":0}`)
	if got := s.Owner.Snapshots.Load() - before; got != 2 {
		t.Errorf("%d snapshots after it was opened again", got)
	}
}
