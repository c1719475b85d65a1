package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const patience = 10 * time.Second

// settle waits until everything handed in has an outcome.
func settle(t *testing.T, term *eventlog.Term) []eventlog.Ack {
	t.Helper()
	var acks []eventlog.Ack
	deadline := time.After(patience)
	for term.Unsettled() > 0 {
		select {
		case reply := <-term.Replies():
			acks = append(acks, term.Settle(reply)...)
		case <-deadline:
			t.Fatalf("%d records unsettled after %v", term.Unsettled(), patience)
		}
	}
	return acks
}

func fence(t *testing.T, w *eventlog.Writer) *eventlog.Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	term, err := w.Fence(ctx, []byte("test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(term.Close)
	return term
}

func scan(t *testing.T, n *streamtest.NATS, from, upto streams.Seq) []eventlog.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []eventlog.Message
	reader := eventlog.NewReader(n.Conn, streams.LogStream(0))
	err := reader.Scan(ctx, streams.LogFilter(0), from, upto, func(m eventlog.Message) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func record(i int) eventlog.Record {
	return eventlog.Record{Subject: streams.LogSubject(0, "g", "c"), Data: fmt.Appendf(nil, "record %d", i)}
}

func writer(n *streamtest.NATS, batches bool) *eventlog.Writer {
	return eventlog.NewWriter(eventlog.WriterConfig{
		Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0), Batches: batches,
	})
}

func TestAppendsAreStoredInOrderAtTheSequencesPromised(t *testing.T) {
	for _, batches := range []bool{false, true} {
		t.Run(fmt.Sprintf("batches=%v", batches), func(t *testing.T) {
			n := streamtest.Provisioned(t, 1)
			term := fence(t, writer(n, batches))
			for i := range 2500 {
				var first streams.Seq
				if i%500 == 7 {
					first = term.Append(record(i), record(i), record(i)) // together or not at all
				} else {
					first = term.Append(record(i))
				}
				if first == 0 {
					t.Fatal("no sequence")
				}
			}
			total := term.Unsettled()
			for _, ack := range settle(t, term) {
				if ack.Err != nil {
					t.Fatalf("append at %d: %v", ack.First, ack.Err)
				}
			}
			got := scan(t, n, 0, 0)
			if len(got) != total+1 { // and the fence
				t.Fatalf("got %d messages, want %d", len(got), total+1)
			}
			for i, m := range got {
				if m.Seq != streams.Seq(i+1) {
					t.Fatalf("message %d has sequence %d", i, m.Seq)
				}
			}
		})
	}
}

// It proves that what comes together is stored in two halves, so that one is
// answered while the other is stored, and that the first of it need not go alone.
func TestWhatComesTogetherGoesInHalves(t *testing.T) {
	for _, held := range []bool{true, false} {
		n := streamtest.Provisioned(t, 1)
		term := fence(t, writer(n, true))
		if held {
			term.Hold()
		}
		for i := range 400 {
			term.Append(record(i))
		}
		term.Flush()
		var sizes []int
		for term.Unsettled() > 0 {
			select {
			case reply := <-term.Replies():
				sizes = append(sizes, len(term.Settle(reply)))
			case <-time.After(patience):
				t.Fatalf("%d records unsettled after %v", term.Unsettled(), patience)
			}
		}
		if want := map[bool]int{true: 200, false: 1}[held]; sizes[0] != want {
			t.Errorf("held %v: stored in batches of %v, want %d first", held, sizes, want)
		}
		if got := len(scan(t, n, 0, 0)); got != 401 {
			t.Errorf("%d messages, want 400 and the fence", got)
		}
	}
}

func TestOlderTermIsRefusedByTheStream(t *testing.T) {
	for _, batches := range []bool{false, true} {
		t.Run(fmt.Sprintf("batches=%v", batches), func(t *testing.T) {
			zombieIsRefused(t, streamtest.Provisioned(t, 1), batches)
		})
	}
}

func TestOlderTermIsRefusedByAClusterOfThree(t *testing.T) {
	cluster := streamtest.Three(t)
	streamtest.Provision(t, cluster[0], topology.Deployment{Partitions: 1, Replicas: 3})
	zombieIsRefused(t, cluster[1], true)
}

// zombieIsRefused lets an older term go on writing beside a newer one.
func zombieIsRefused(t *testing.T, n *streamtest.NATS, batches bool) {
	t.Helper()
	older := fence(t, writer(n, batches))
	older.Append(record(0))
	settle(t, older)
	newer := fence(t, writer(n, batches))
	refused := 0
	for i := range 50 {
		older.Append(record(1000 + i))
		newer.Append(record(i))
	}
	for _, ack := range settle(t, older) {
		if ack.Err == nil {
			t.Errorf("the older term's append at %d was stored", ack.First)
		} else {
			refused++
		}
	}
	if refused != 50 || !errors.Is(older.Err(), eventlog.ErrFenced) {
		t.Errorf("%d of 50 refused, the term ended with %v, want all and ErrFenced", refused, older.Err())
	}
	for _, ack := range settle(t, newer) {
		if ack.Err != nil {
			t.Errorf("the newer term's append at %d: %v", ack.First, ack.Err)
		}
	}
}

func TestWithoutTheFenceAZombieWrites(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	w := eventlog.NewWriter(eventlog.WriterConfig{
		Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0), WithoutFence: true,
	})
	older := fence(t, w)
	fence(t, w)
	older.Append(record(0))
	settle(t, older)
	if got := len(scan(t, n, 0, 0)); got != 3 {
		t.Fatalf("%d messages, want two fences and the zombie's: the check for zombies can't fail", got)
	}
}

func TestFullStreamRefusesAndKeepsNoHole(t *testing.T) {
	n := streamtest.New(t)
	streamtest.Provision(t, n, topology.Deployment{Partitions: 1, Replicas: 1, MaxLogBytes: 64 << 10})
	term := fence(t, writer(n, false))
	big := eventlog.Record{Subject: streams.LogSubject(0, "g", "c"), Data: make([]byte, 4<<10)}
	for i := range 40 {
		term.Append(big)
		term.Append(record(i)) // small enough to fit behind a refused big one
	}
	stored, refused := 0, 0
	for _, ack := range settle(t, term) {
		switch {
		case ack.Err == nil && refused > 0:
			t.Fatalf("the append at %d was stored after a refused one", ack.First)
		case ack.Err == nil:
			stored++
		default:
			refused++
		}
	}
	if !errors.Is(term.Err(), eventlog.ErrFull) {
		t.Errorf("the term ended with %v, want ErrFull", term.Err())
	}
	if got := len(scan(t, n, 0, 0)); got != stored+1 {
		t.Errorf("%d messages in the stream, %d acknowledged and a fence", got, stored)
	}
}

func TestReader(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	term := fence(t, writer(n, false))
	for i := range 30 {
		channel := streams.Channel([]string{"a", "b", "c"}[i%3])
		term.Append(eventlog.Record{Subject: streams.LogSubject(0, "g", channel), Data: fmt.Append(nil, i)})
	}
	settle(t, term)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reader := eventlog.NewReader(n.Conn, streams.LogStream(0))
	subject := streams.LogSubject(0, "g", "b")

	next, err := reader.Next(ctx, subject, 4)
	if err != nil || next.Seq != 6 || string(next.Data) != "4" {
		t.Errorf("Next after 4: got %d %q %v, want 6 \"4\"", next.Seq, next.Data, err)
	}
	page, more, err := reader.Page(ctx, subject, 1, 4)
	if err != nil || len(page) != 4 || !more || page[3].Seq != 12 {
		t.Errorf("Page: got %d messages, more=%v, %v", len(page), more, err)
	}
	last, err := reader.Last(ctx, subject)
	if err != nil || last.Seq != 30 {
		t.Errorf("Last: got %d %v, want 30", last.Seq, err)
	}
	if at, err := reader.At(ctx, 31); err != nil || at.Subject != streams.LogSubject(0, "g", "c") {
		t.Errorf("At 31: got %q %v", at.Subject, err)
	}
	for what, read := range map[string]func() error{
		"At beyond the end":   func() error { _, err := reader.At(ctx, 99); return err },
		"Next beyond the end": func() error { _, err := reader.Next(ctx, subject, 99); return err },
		"Last of nothing":     func() error { _, err := reader.Last(ctx, streams.LogSubject(0, "g", "z")); return err },
	} {
		if err := read(); !errors.Is(err, eventlog.ErrNoMessage) {
			t.Errorf("%s: got %v, want ErrNoMessage", what, err)
		}
	}
	if _, err := reader.Since(ctx, streams.LogFilter(0), time.Now().Add(time.Hour)); !errors.Is(err, eventlog.ErrNoMessage) {
		t.Errorf("Since a time to come: got %v, want ErrNoMessage", err)
	}
	if seq, err := reader.Since(ctx, streams.LogFilter(0), time.Now().Add(-time.Hour)); err != nil || seq != 1 {
		t.Errorf("Since an hour ago: got %d %v, want 1", seq, err)
	}
}

// It proves that a request nobody answers, as when the node that has it dies,
// ends although the caller's context does not: the callers hold a lease.
func TestUnansweredRequestsEnd(t *testing.T) {
	t.Parallel()
	n := streamtest.New(t)
	for _, subject := range []string{"$JS.API.DIRECT.GET." + streams.LogStream(0), streams.FenceSubject(0)} {
		if _, err := n.Conn.SubscribeSync(subject); err != nil { // takes and says nothing
			t.Fatal(err)
		}
	}
	reader := eventlog.NewReader(n.Conn, streams.LogStream(0))
	asked := map[string]func() error{
		"Fence": func() error { _, err := writer(n, false).Fence(context.Background(), []byte("test")); return err },
		"Last":  func() error { _, err := reader.Last(context.Background(), streams.FenceSubject(0)); return err },
		"Scan": func() error {
			return reader.Scan(context.Background(), streams.LogFilter(0), 1, 0, func(eventlog.Message) error { return nil })
		},
	}
	type outcome struct {
		what string
		err  error
	}
	outcomes := make(chan outcome, len(asked))
	for what, ask := range asked {
		go func() { outcomes <- outcome{what, ask()} }() // waited for below
	}
	for range asked {
		select {
		case o := <-outcomes:
			if !errors.Is(o.err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want a deadline", o.what, o.err)
			}
		case <-time.After(patience):
			t.Fatalf("a request is still waiting after %v", patience)
		}
	}
}
