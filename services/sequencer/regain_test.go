package sequencer_test

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// takes lets the stream of the snapshots take what matches subject only.
func (o *owner) takes(subject string) {
	o.t.Helper()
	stream, err := o.n.JS.Stream(o.t.Context(), streams.StateStream(0))
	if err != nil {
		o.t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = []string{subject}
	if _, err := o.n.JS.UpdateStream(o.t.Context(), config); err != nil {
		o.t.Fatal(err)
	}
}

// checkpoint is up to where the snapshot is complete.
func (o *owner) checkpoint() uint64 {
	o.t.Helper()
	stream, err := o.n.JS.Stream(o.t.Context(), streams.StateStream(0))
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(o.t.Context(), streams.StateCheckpoint(0))
	if err != nil {
		return 0
	}
	record := &streampb.Checkpoint{}
	if err := proto.Unmarshal(m.Data, record); err != nil {
		o.t.Fatal(err)
	}
	return record.GetSeq()
}

// ended counts the terms of an owner that are over for one of these causes.
func (o *owner) ended(causes ...string) (count float64) {
	o.t.Helper()
	for _, cause := range causes {
		var m dto.Metric
		if err := o.metrics.Terms.WithLabelValues(cause).Write(&m); err != nil {
			o.t.Fatal(err)
		}
		count += m.GetCounter().GetValue()
	}
	return count
}

// It proves that a term goes on while the stream of its snapshots takes
// nothing, as without a leader, that it writes all that changed meanwhile once
// the stream takes it again, and that the next owner has it.
func TestTermGoesOnWithoutSnapshots(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	o, stop := start(t, n, time.Now)
	o.prepare()
	o.send(20)
	streamtest.Eventually(t, patience, "a snapshot is written", func() bool { return o.checkpoint() > 20 })

	o.takes("nothing.of.this")
	before, id := o.checkpoint(), o.newID()
	first := o.doAs(id, &streampb.Send{Channel: "c", Type: "text", Body: []byte("once")})
	o.must(&streampb.CreateChannel{Channel: "d", Kind: "public"})
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; { // many times SnapshotEvery
		o.send(10)
	}
	last := o.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("last")})
	if got := o.checkpoint(); got != before {
		t.Fatalf("the checkpoint went from %d to %d: the stream took it", before, got)
	}
	o.takes(streams.StateFilter(0))
	streamtest.Eventually(t, patience, "all of it is in the snapshot", func() bool { return o.checkpoint() >= last.GetSeq() })
	if count := o.ended("unknown", "fenced", "other", "handover"); count != 0 {
		t.Errorf("%v terms ended", count)
	}
	stop()

	o, _ = start(t, n, time.Now)
	again := o.doAs(id, &streampb.Send{Channel: "c", Type: "text", Body: []byte("once")})
	if !again.GetDuplicate() || again.GetV() != first.GetV() {
		t.Errorf("repeated at the next owner: %v, want the first answer %v", again, first)
	}
	if next := o.do(&streampb.Send{Channel: "c", Type: "text", Body: []byte("next")}); next.GetV() != last.GetV()+1 {
		t.Errorf("v %d after %d", next.GetV(), last.GetV())
	}
	if r := o.do(&streampb.Send{Channel: "d", Type: "text", Body: []byte("first")}); r.GetV() != 1 {
		t.Errorf("in the channel made meanwhile: %v, want v 1", r)
	}
	if got := o.replayed(); got > 50 {
		t.Errorf("the takeover folded %v messages", got)
	}
}
