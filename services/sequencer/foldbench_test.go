package sequencer

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const (
	foldEvents = 1_000_000
	foldGroups = 1000
	foldTail   = 5000 // events behind the checkpoint: two seconds of a busy partition
)

// A takeover of a partition of a million events, on nats-server in this
// process: from nothing, and from its checkpoint. «aged» is a log whose events
// lie behind the duplicate window, «fresh» one that lies within it as a whole,
// which is a thousand events a second over all of it.
//
//	go test -run xxx -bench Fold -benchtime 3x ./services/sequencer
func BenchmarkFold(b *testing.B) {
	n := streamtest.Provisioned(b, 1)
	log := newFoldLog(b, n)
	begun := time.Now()
	log.write(b, foldEvents)
	fmt.Printf("%d events of %d groups written in %v\n", foldEvents, foldGroups, time.Since(begun).Round(time.Millisecond))
	for _, age := range []struct {
		name string
		now  func() time.Time
	}{
		{"aged", func() time.Time { return time.Now().Add(time.Hour) }},
		{"fresh", time.Now},
	} {
		if err := purgeState(b, n); err != nil {
			b.Fatal(err)
		}
		b.Run(age.name+"/from-nothing", func(b *testing.B) { benchTakeOver(b, n, age.now, foldEvents) })
		writeSnapshot(b, n, age.now)
		log.write(b, foldTail)
		b.Run(age.name+"/from-checkpoint", func(b *testing.B) { benchTakeOver(b, n, age.now, foldTail) })
	}
}

func foldSequencer(b *testing.B, n *streamtest.NATS, now func() time.Time) *Sequencer {
	b.Helper()
	s, err := New(Config{
		Conn: n.Conn, JS: n.JS, Deployment: topology.Deployment{Partitions: 1, Replicas: 1},
		Claims: NewClaims(n.JS, "bench", 1), Logger: streamtest.Logger(b), Metrics: NewMetrics(prometheus.NewRegistry()),
		Now: now,
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// benchTakeOver takes the partition over b.N times, folding at least so many
// events each time.
func benchTakeOver(b *testing.B, n *streamtest.NATS, now func() time.Time, events int) {
	cpu := cpuTime(b)
	for range b.N {
		t, err := foldSequencer(b, n, now).takeOver(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if len(t.fold.groups) != foldGroups || t.fold.replayed < events || t.fold.replayed > 2*events {
			b.Fatalf("folded %d messages to %d groups", t.fold.replayed, len(t.fold.groups))
		}
		t.close()
		b.StartTimer()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric((cpuTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/takeover")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/takeover")
	b.ReportMetric(float64(foldEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// cpuTime is what this process, the server in it included, has used so far. It
// tells what a takeover costs when others use the machine as well.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// writeSnapshot takes over and writes all that a snapshot holds.
func writeSnapshot(b *testing.B, n *streamtest.NATS, now func() time.Time) {
	b.Helper()
	t, err := foldSequencer(b, n, now).takeOver(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer t.close()
	t.fold.dedup.expire(t.now())
	if err := t.startSnapshot(); err != nil {
		b.Fatal(err)
	}
	for t.snap.seq != 0 {
		if err := t.stepSnapshot(); err != nil {
			b.Fatal(err)
		}
		for t.state.Unsettled() > 0 {
			t.settleState(t.state.Settle(<-t.state.Replies()))
		}
	}
}

func purgeState(b *testing.B, n *streamtest.NATS) error {
	stream, err := n.JS.Stream(b.Context(), streams.StateStream(0))
	if err != nil {
		return err
	}
	return stream.Purge(b.Context())
}

// foldLog writes what a sequencer would have, without one.
type foldLog struct {
	n      *streamtest.NATS
	random *rand.Rand
	groups []*group.State
	term   *eventlog.Term
	made   int
}

func newFoldLog(b *testing.B, n *streamtest.NATS) *foldLog {
	b.Helper()
	l := &foldLog{n: n, random: rand.New(rand.NewPCG(1, 2))}
	for i := range foldGroups {
		l.groups = append(l.groups, group.New(streams.Group(fmt.Sprintf("group-%d", i))))
	}
	return l
}

// write appends so many events under a fence of its own.
func (l *foldLog) write(b *testing.B, count int) {
	b.Helper()
	w := eventlog.NewWriter(eventlog.WriterConfig{
		Conn: l.n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0),
	})
	var err error
	if l.term, err = w.Fence(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	defer l.term.Close()
	for left := count; left > 0 || l.term.Unsettled() > 0; {
		for ; left > 0 && l.term.Unsettled() < eventlog.MaxInFlight; left-- {
			l.append(b)
		}
		for _, ack := range l.term.Settle(<-l.term.Replies()) {
			if ack.Err != nil {
				b.Fatal(ack.Err)
			}
		}
	}
}

// append makes the next event: first a group's founding, then of a hundred
// events 90 messages, 5 edits, 2 recalls and 3 joins.
func (l *foldLog) append(b *testing.B) {
	g, stage := l.made%foldGroups, l.made/foldGroups
	l.made++
	if stage > 2 {
		g = l.random.IntN(foldGroups)
	}
	st := l.groups[g]
	now := time.Now().UnixMilli()
	var entropy [10]byte
	for i := range entropy {
		entropy[i] = byte(l.random.Uint32())
	}
	e := &streams.Event{
		Channel: "general", Seq: l.term.Next(), Epoch: l.term.Epoch(), TS: now, Answer: true,
		User: streams.User(fmt.Sprintf("user-%d", l.random.IntN(100))), ClientID: streams.MakeClientID(now, entropy),
	}
	number := uint64(st.Messages("general"))
	switch dice := l.random.IntN(100); {
	case stage == 0:
		e.Channel = streams.GroupChannel
		e.Payload = streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "community", Name: "A group"}}
	case stage == 1:
		e.Channel = streams.GroupChannel
		e.Payload = streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "general", Kind: "public", Name: "General"}}
	case dice < 3 || stage == 2:
		e.Channel = streams.MembersChannel
		e.Payload = streams.MemberJoined{MemberJoined: &streampb.MemberJoined{
			Member: fmt.Sprintf("user-%d", l.made), Role: streampb.Role_ROLE_MEMBER, Members: uint64(l.made),
		}}
	case dice < 8 && number > 0:
		e.Payload = streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: number, Body: make([]byte, 100)}}
	case dice < 10 && number > 0:
		e.Payload = streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: number}}
	default:
		e.Payload = streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: make([]byte, 100)}}
	}
	st.Number(e)
	st.Apply(e)
	data, err := streams.MarshalEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	l.term.Append(eventlog.Record{Subject: streams.LogSubject(0, e.Group, e.Channel), Data: data})
}
