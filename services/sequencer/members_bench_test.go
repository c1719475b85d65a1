package sequencer_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// BenchmarkTakeover is how long a partition is without an owner, from the
// beginning of a term to its first command, beside how many members its
// snapshot holds; and how long members wait whose record is not in memory.
//
//	go test -run xxx -bench Takeover -benchtime 5x ./services/sequencer
func BenchmarkTakeover(b *testing.B) {
	for _, members := range []int{0, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("members-%d", members), func(b *testing.B) {
			n := streamtest.Provisioned(b, 1)
			writeMembers(b, n, members)
			var first, later []time.Duration
			b.ResetTimer()
			for turn := range b.N {
				begun := time.Now()
				seq, stop := serveBench(b, n, 0)
				b.StopTimer()
				first = append(first, time.Since(begun))
				for i := range min(members, 2000) {
					user := fmt.Sprintf("member-%d", (i*499+turn*7)%members)
					begun := time.Now()
					ask(b, seq, "g", user, &streampb.Send{Channel: "c0", Type: "text", Body: []byte("hi")})
					later = append(later, time.Since(begun))
				}
				stop()
				b.StartTimer()
			}
			b.StopTimer()
			slices.Sort(first)
			b.ReportMetric(float64(first[len(first)/2].Microseconds())/1000, "ms-takeover-p50")
			b.ReportMetric(float64(first[len(first)-1].Microseconds())/1000, "ms-takeover-max")
			if len(later) > 0 {
				slices.Sort(later)
				b.ReportMetric(float64(later[len(later)/2].Microseconds())/1000, "ms-first-send-p50")
				b.ReportMetric(float64(later[len(later)*99/100].Microseconds())/1000, "ms-first-send-p99")
				b.ReportMetric(float64(heap())/(1<<20), "MB-heap")
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// serveBench runs a sequencer and returns when it serves. maxHeld 0 is the
// default.
func serveBench(b *testing.B, n *streamtest.NATS, maxHeld int) (*sequencer.Sequencer, func()) {
	b.Helper()
	deployment, err := topology.Load(b.Context(), n.JS)
	if err != nil {
		b.Fatal(err)
	}
	serving := make(chan struct{}, 1)
	claims := sequencer.NewClaims(n.JS, "bench-"+rand.Text()[:6], 1)
	seq, err := sequencer.New(sequencer.Config{
		Conn: n.Conn, JS: n.JS, Deployment: deployment, Claims: claims, Logger: slog.New(slog.DiscardHandler),
		Metrics: sequencer.NewMetrics(prometheus.NewRegistry()), MaxHeld: maxHeld,
		OnServe: func() (func(), error) { serving <- struct{}{}; return func() {}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	go func() { _ = claims.Run(ctx); ended <- struct{}{} }()
	go func() { _ = seq.Run(ctx); ended <- struct{}{} }()
	<-serving
	return seq, func() {
		cancel()
		<-ended
		<-ended
	}
}

// ask does one command.
func ask(b *testing.B, seq *sequencer.Sequencer, g streams.Group, user string, body any) *streampb.Result {
	b.Helper()
	answer := make(chan *streampb.Result, 1)
	batch := &sequencer.Batch{
		Commands: []sequencer.Command{{Group: g, ClientID: newID(), Request: group.Request{User: streams.User(user), Body: body}}},
		Respond:  func(r []*streampb.Result) { answer <- r[0] },
	}
	if err := seq.Submit(batch); err != nil {
		b.Fatal(err)
	}
	r := <-answer
	if r.GetRejection() != nil {
		b.Fatalf("%s %T: %v", user, body, r.GetRejection())
	}
	return r
}

func newID() streams.ClientID {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:])
	return streams.MakeClientID(time.Now().UnixMilli(), entropy)
}

// writeMembers makes a group with 100 channels, which are its oldest records,
// and members in the snapshot.
func writeMembers(b *testing.B, n *streamtest.NATS, members int) {
	b.Helper()
	seq, stop := serveBench(b, n, 0)
	ask(b, seq, "g", "olga", &streampb.CreateGroup{Kind: "community"})
	for i := range 100 {
		ask(b, seq, "g", "olga", &streampb.CreateChannel{Channel: fmt.Sprint("c", i), Kind: "public"})
	}
	stop()
	js, err := jetstream.New(n.Conn, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	for i := range members {
		record, err := proto.Marshal(&streampb.MemberRecord{Seq: uint64(1), State: &streampb.MemberState{
			Role: streampb.Role_ROLE_MEMBER, Joined: 1_794_000_000_000, JoinedSeq: uint64(1),
		}})
		if err != nil {
			b.Fatal(err)
		}
		subject := streams.StateMember(0, "g", streams.User(fmt.Sprint("member-", i)))
		if _, err := js.PublishAsync(subject, record, jetstream.WithStallWait(10*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}
