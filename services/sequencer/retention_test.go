package sequencer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const patience = 20 * time.Second

// owner is a sequencer that is spoken to directly.
type owner struct {
	t       *testing.T
	n       *streamtest.NATS
	seq     *sequencer.Sequencer
	metrics *sequencer.Metrics
	now     func() time.Time
}

func start(t *testing.T, n *streamtest.NATS, now func() time.Time) (o *owner, stop func()) {
	t.Helper()
	return startWith(t, n, now, func(*sequencer.Config) {})
}

func startWith(t *testing.T, n *streamtest.NATS, now func() time.Time, adjust func(*sequencer.Config)) (o *owner, stop func()) {
	t.Helper()
	deployment, err := topology.Load(t.Context(), n.JS)
	if err != nil {
		t.Fatal(err)
	}
	metrics := sequencer.NewMetrics(prometheus.NewRegistry())
	config := sequencer.Config{
		Conn: n.Conn, JS: n.JS, Deployment: deployment, Logger: streamtest.Logger(t),
		Claims:  sequencer.NewClaims(n.JS, "test-"+rand.Text()[:6], 1),
		Metrics: metrics, Now: now,
		SnapshotEvery: 20 * time.Millisecond, RetainEvery: 20 * time.Millisecond,
	}
	adjust(&config)
	seq, err := sequencer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = config.Claims.Run(ctx) }()
	served := make(chan struct{})
	go func() { defer close(served); _ = seq.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-served
			<-ended
		}
	}
	t.Cleanup(stop)
	return &owner{t: t, n: n, seq: seq, metrics: metrics, now: now}, stop
}

func (o *owner) do(body any) *streampb.Result {
	o.t.Helper()
	return o.doAs(o.newID(), body)
}

func (o *owner) newID() streams.ClientID {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	return streams.MakeClientID(o.now().UnixMilli(), entropy)
}

func (o *owner) doAs(id streams.ClientID, body any) *streampb.Result {
	o.t.Helper()
	answers := make(chan []*streampb.Result, 1)
	err := o.seq.Submit(&sequencer.Batch{
		Commands: []sequencer.Command{{
			Group: "g", ClientID: id,
			Request: group.Request{User: "alice", Body: body},
		}},
		Respond: func(results []*streampb.Result) { answers <- results },
	})
	if err != nil {
		o.t.Fatal(err)
	}
	select {
	case results := <-answers:
		return results[0]
	case <-time.After(patience):
		o.t.Fatal("no answer")
		return nil
	}
}

func (o *owner) send(count int) {
	o.t.Helper()
	for i := range count {
		o.must(&streampb.Send{Channel: "c", Type: "text", Body: fmt.Append(nil, "message ", i)})
	}
}

// must does a command until it is taken.
func (o *owner) must(body any) (r *streampb.Result) {
	o.t.Helper()
	id := o.newID()
	streamtest.Eventually(o.t, patience, fmt.Sprintf("the owner takes %T", body), func() bool {
		r = o.doAs(id, body)
		return r.GetRejection().GetCode() != string(streams.Unavailable)
	})
	if r.GetRejection() != nil {
		o.t.Fatalf("%T: %v", body, r.GetRejection())
	}
	return r
}

func (o *owner) prepare() {
	o.t.Helper()
	for _, body := range []any{&streampb.CreateGroup{Kind: "community"}, &streampb.CreateChannel{Channel: "c", Kind: "public"}} {
		o.must(body)
	}
}

// project says that the projections have stored the log up to seq.
func (o *owner) project(seq uint64) {
	o.t.Helper()
	data, err := proto.Marshal(&streampb.Position{Seq: seq})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.n.Conn.Publish(streams.PositionSubject(0), data); err != nil {
		o.t.Fatal(err)
	}
}

// ends returns the first and last sequence of the log.
func (o *owner) ends() (first, last uint64) {
	o.t.Helper()
	stream, err := o.n.JS.Stream(o.t.Context(), streams.LogStream(0))
	if err != nil {
		o.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	return state.FirstSeq, state.LastSeq
}

func retaining(t *testing.T) *streamtest.NATS {
	n := streamtest.New(t)
	streamtest.Provision(t, n, topology.Deployment{Partitions: 1, Replicas: 1, HotWindow: topology.MinHotWindow})
	return n
}

func later() time.Time { return time.Now().Add(3 * time.Hour) }

func TestOnlyWhatIsOldProjectedAndInASnapshotIsPurged(t *testing.T) {
	n := retaining(t)
	young, stop := start(t, n, time.Now)
	young.prepare()
	young.send(50)
	_, last := young.ends()
	young.project(last)
	young.send(1)
	stop()
	if first, _ := young.ends(); first != 1 {
		t.Fatalf("the log begins at %d although nothing in it is old", first)
	}

	old, stop := start(t, n, later) // everything is older than the hot window now
	old.send(1)
	if first, _ := old.ends(); first != 1 {
		t.Fatalf("the log begins at %d although nothing is known to be projected", first)
	}
	streamtest.Eventually(t, patience, "what is projected is purged, and no more", func() bool {
		old.project(20)
		first, _ := old.ends()
		if first > 21 {
			t.Fatalf("the log begins at %d although only 20 are projected", first)
		}
		return first == 21
	})
	_, last = old.ends()
	streamtest.Eventually(t, patience, "the fence is renewed, and what was before the old one goes", func() bool {
		old.project(last)
		first, _ := old.ends()
		return first > last
	})
	old.send(3)
	stop()
	again, _ := start(t, n, later)
	r := again.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("after")})
	if r.GetV() != 56 || r.GetN() != 56 {
		t.Fatalf("after purging and a restart: v %d n %d, want 56", r.GetV(), r.GetN())
	}
}

func TestAFullLogRefusesClearlyAndComesBack(t *testing.T) {
	n := streamtest.New(t)
	d := topology.Deployment{Partitions: 1, Replicas: 1, MaxLogBytes: 64 << 10, HotWindow: topology.MinHotWindow}
	streamtest.Provision(t, n, d)
	o, stop := start(t, n, time.Now)
	o.prepare()
	var refused *streampb.Rejection
	acknowledged := uint64(0)
	for refused == nil {
		r := o.do(&streampb.Send{Channel: "c", Type: "text", Body: make([]byte, 8<<10)})
		if refused = r.GetRejection(); refused == nil {
			acknowledged = r.GetV()
		}
	}
	if refused.GetCode() != string(streams.Unavailable) || refused.GetRetryMs() == 0 {
		t.Errorf("a full log answers %v, want unavailable with retry_ms", refused)
	}
	stop()
	// Time passes, and the projections have it all.
	o, _ = start(t, n, later)
	_, last := o.ends()
	streamtest.Eventually(t, patience, "sending works again", func() bool {
		o.project(last)
		r := o.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("after")})
		if r.GetRejection() == nil && r.GetV() != acknowledged+1 {
			t.Fatalf("v %d after %d", r.GetV(), acknowledged)
		}
		return r.GetRejection() == nil
	})
}

// What a newer fence cut off is folded from the log by the next term alike.
func TestRenewalIsRefusedWhenAnotherWrote(t *testing.T) {
	n := retaining(t)
	o, _ := start(t, n, later)
	o.prepare()
	o.send(5)
	w := eventlog.NewWriter(eventlog.WriterConfig{Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0)})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rival, err := w.Fence(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	rival.Close()
	o.send(5) // refused, folded anew, decided again
	if r := o.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("x")}); r.GetV() != 11 {
		t.Errorf("v %d, want 11", r.GetV())
	}
}

// replayed is how many messages the takeovers of an owner folded.
func (o *owner) replayed() float64 {
	o.t.Helper()
	var m dto.Metric
	if err := o.metrics.Replayed.Write(&m); err != nil {
		o.t.Fatal(err)
	}
	return m.GetHistogram().GetSampleSum()
}

// A takeover costs what happened since the checkpoint, and the duplicate window
// is there all the same.
func TestTakeoverIsBoundedByTheCheckpoint(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	o, stop := start(t, n, time.Now)
	o.prepare()
	o.send(300)
	id := o.newID()
	first := o.doAs(id, &streampb.Send{Channel: "c", Type: "text", Body: []byte("once")})
	o.send(300)
	stop()
	for range 2 { // from the snapshot of who wrote it, then of who restored it
		o, stop = start(t, n, time.Now)
		again := o.doAs(id, &streampb.Send{Channel: "c", Type: "text", Body: []byte("once")})
		if !again.GetDuplicate() || again.GetV() != first.GetV() || again.GetN() != first.GetN() || again.GetTs() != first.GetTs() {
			t.Fatalf("repeated after a takeover: %v, want the first answer %v", again, first)
		}
		if got := o.replayed(); got > 50 {
			t.Errorf("the takeover folded %v messages", got)
		}
		o.send(1)
		stop()
	}
}

func TestOldPiecesOfTheDuplicateWindowAreDropped(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	pieces := func() (count int) {
		reader := eventlog.NewReader(n.Conn, streams.StateStream(0))
		err := reader.Scan(t.Context(), streams.StatePattern(0), 1, 0, func(m eventlog.Message) error {
			if token, ok := streams.ParseState(m.Subject); ok && token.Dedup {
				count++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	o, stop := start(t, n, time.Now)
	o.prepare()
	o.send(20)
	stop()
	before := pieces()
	if before == 0 {
		t.Fatal("the snapshot holds no piece of the window")
	}
	_, _ = start(t, n, later)
	streamtest.Eventually(t, patience, "old pieces are gone", func() bool { return pieces() == 0 })
}

func TestALostLogIsNeverNumberedAnew(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	o, stop := start(t, n, time.Now)
	o.prepare()
	o.send(10)
	stop()
	if err := n.JS.DeleteStream(t.Context(), streams.LogStream(0)); err != nil {
		t.Fatal(err)
	}
	d := topology.Deployment{Partitions: 1, Replicas: 1}
	if _, err := topology.Provision(t.Context(), n.JS, d, false); !errors.Is(err, topology.ErrLogLost) {
		t.Errorf("provisioning without the log: got %v, want ErrLogLost", err)
	}
	if err := topology.RenewLog(t.Context(), n.JS, d, 0, 1); err != nil {
		t.Fatal(err)
	}
	o, _ = start(t, n, time.Now)
	lost := func() float64 {
		var m dto.Metric
		if err := o.metrics.Terms.WithLabelValues("lost").Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	streamtest.Eventually(t, patience, "the term ends because the log was lost", func() bool { return lost() > 0 })
}

// It proves that an owner that has served does so no more when the whole of its
// NATS, log and snapshots, is set back to before that: it looked for its former
// fence for ever.
func TestAnOwnerNoticesThatAllWasRolledBack(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	o, _ := start(t, n, time.Now)
	o.prepare()
	d := topology.Deployment{Partitions: 1, Replicas: 1}
	for range 2 { // the second fence of its is above the first of the next log
		rival, err := eventlog.NewWriter(eventlog.WriterConfig{
			Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0),
		}).Fence(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		rival.Close()
		o.send(1)
	}
	for _, name := range []string{streams.StateStream(0), streams.LogStream(0)} {
		if err := n.JS.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := topology.RenewLog(t.Context(), n.JS, d, 0, 1); err != nil {
		t.Fatal(err)
	}
	streamtest.Provision(t, n, d)
	if r := o.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("ends the term")}); r.GetRejection().GetCode() != string(streams.Unavailable) {
		t.Errorf("behind a log that is gone: %v, want unavailable", r)
	}
	streamtest.Eventually(t, patience, "the term ends because the log was lost", func() bool { return o.ended("lost") > 0 })
}
