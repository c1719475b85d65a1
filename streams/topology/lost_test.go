package topology_test

import (
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// It proves that a log made anew begins where it is to, under another name, on
// three servers too, and that provisioning leaves it as it is.
func TestALogMadeAnewBeginsAboveTheFormer(t *testing.T) {
	n, d := streamtest.Three(t)[0], topology.Deployment{Partitions: 1, Replicas: 3}
	streamtest.Provision(t, n, d)
	fence := func() streams.Epoch {
		t.Helper()
		w := eventlog.NewWriter(eventlog.WriterConfig{
			Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0), Batches: true,
		})
		var epoch streams.Epoch
		streamtest.Eventually(t, 20*time.Second, "a fence stands", func() bool {
			term, err := w.Fence(t.Context(), nil)
			if err != nil {
				return false
			}
			defer term.Close()
			epoch = term.Epoch()
			return true
		})
		return epoch
	}
	before, err := topology.LogName(t.Context(), n.JS, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := topology.FirstAfter(streams.Seq(fence()))
	if err := topology.RenewLog(t.Context(), n.JS, d, 0, first); err != nil {
		t.Fatal(err)
	}
	if got := fence(); streams.Seq(got) != first {
		t.Errorf("the first fence is at %d, want %d", got, first)
	}
	d.MaxLogBytes = 1 << 30 // an update
	for range 2 {
		streamtest.Provision(t, n, d)
	}
	after, err := topology.LogName(t.Context(), n.JS, 0)
	if err != nil || after == before || after == "" {
		t.Errorf("its name is %q, %v, before it was %q", after, err, before)
	}
	if got := fence(); streams.Seq(got) != first+1 {
		t.Errorf("after provisioning a fence is at %d, want %d", got, first+1)
	}
}
