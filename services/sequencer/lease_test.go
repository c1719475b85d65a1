package sequencer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// bucketTakes lets the bucket of the leases take what matches subject only: with
// another it is as without a leader.
func bucketTakes(t *testing.T, n *streamtest.NATS, subject string) {
	t.Helper()
	stream, err := n.JS.Stream(t.Context(), "KV_"+streams.LeaseBucket)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = []string{subject}
	if _, err := n.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// leaseOf is who holds the partition's lease, "" for nobody.
func leaseOf(t *testing.T, n *streamtest.NATS) string {
	t.Helper()
	bucket, err := n.JS.KeyValue(t.Context(), streams.LeaseBucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := bucket.Get(t.Context(), "partition.0")
	if err != nil {
		return ""
	}
	return string(entry.Value())
}

// It proves that a term outlives the bucket's leader, and that its owner takes
// the lease again before anybody else does. Where the machine stands still for
// so long that renewals are late, others are right to take it: so it is the
// rounds in which that happens that must be few.
func TestTermOutlivesTheBucketsLeader(t *testing.T) {
	const ahead = 2
	for kept := 0; kept < ahead; {
		if outlives(t) {
			kept++
		} else if kept--; kept == -ahead {
			t.Fatalf("another took the lease more often than its owner")
		}
	}
}

// outlives reports whether an owner keeps its partition though the bucket is
// away for longer than a lease stands.
func outlives(t *testing.T) bool {
	t.Helper()
	n := streamtest.Provisioned(t, 1)
	var all []*owner
	for i := range 4 {
		o, stop := start(t, n, time.Now)
		defer stop()
		if all = append(all, o); i == 0 {
			o.prepare()
		}
	}
	a, holder := all[0], leaseOf(t, n)
	bucketTakes(t, n, "nothing.of.this")
	streamtest.Eventually(t, patience, "the lease ages out", func() bool { return leaseOf(t, n) == "" })
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		a.send(10)
		a.must(&streampb.ReadGroup{}) // waits for a canary
	}
	bucketTakes(t, n, "$KV."+streams.LeaseBucket+".>")
	streamtest.Eventually(t, patience, "somebody holds the lease", func() bool { return leaseOf(t, n) != "" })
	if leaseOf(t, n) != holder {
		return false
	}
	a.send(1)
	for _, o := range all {
		if o.ended("lease", "fenced") != 0 {
			return false
		}
	}
	return true
}

// It proves that an owner that was replaced and does not know answers nobody
// from its old state: what needs no append waits for one all the same.
func TestReplacedOwnerAnswersNobodyFromOldState(t *testing.T) {
	for what, body := range map[string]any{
		"a read":    &streampb.ReadGroup{},
		"a refusal": &streampb.Send{Channel: "d", Type: "text", Body: []byte("for a channel it does not know")},
	} {
		t.Run(what, func(t *testing.T) {
			r := replaced(t).do(body)
			if got := r.GetRejection().GetCode(); got != string(streams.Unavailable) {
				t.Errorf("the replaced owner answers %s, want unavailable", fmt.Sprint(r))
			}
		})
	}
}

// replaced returns an owner that no longer hears of leases, after another has
// taken its place and made channel d.
func replaced(t *testing.T) *owner {
	t.Helper()
	n := streamtest.Provisioned(t, 1)
	conn := n.Connection(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	frozen, _ := startWith(t, n, time.Now, func(c *sequencer.Config) {
		c.Claims = sequencer.NewClaims(js, "frozen", 1)
	})
	frozen.prepare()
	frozen.send(1)
	conn.Close() // renews no more; its log it still reaches
	next, _ := start(t, n, time.Now)
	next.send(1) // waits until it has taken over
	next.must(&streampb.CreateChannel{Channel: "d", Kind: "public"})
	return frozen
}

// It proves that a NATS server that runs alone, and so forgets the bucket of
// leases when it is restarted, is served again by the instances that were there.
func TestARestartedServerForgetsNobody(t *testing.T) {
	dir, port := t.TempDir(), "127.0.0.1:0"
	startServer := func() *localnats.Server {
		server, err := localnats.Start(localnats.Config{DataDir: dir, Listen: port, Logger: streamtest.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	server := startServer()
	port = strings.TrimPrefix(server.URL(), "nats://")
	conn, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	n := &streamtest.NATS{Server: server, Conn: conn, JS: js}
	streamtest.Provision(t, n, topology.Deployment{Partitions: 1, Replicas: 1})
	o, stop := start(t, n, time.Now)
	o.prepare()
	server.Stop()
	server = startServer()
	defer server.Stop()
	defer stop()
	o.send(1)
	streamtest.Eventually(t, patience, "the owner holds the lease again", func() bool {
		bucket, err := js.KeyValue(t.Context(), streams.LeaseBucket)
		if err != nil {
			return false
		}
		_, err = bucket.Get(t.Context(), "partition.0")
		return err == nil
	})
}
