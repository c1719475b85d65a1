package command_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// shares returns how many partitions each instance holds a lease for.
func shares(t *testing.T, n *streamtest.NATS) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bucket, err := n.JS.KeyValue(ctx, streams.LeaseBucket)
	if err != nil {
		t.Fatal(err)
	}
	lister, err := bucket.ListKeys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for key := range lister.Keys() {
		if !strings.HasPrefix(key, "partition.") {
			continue
		}
		if entry, err := bucket.Get(ctx, key); err == nil {
			counts[string(entry.Value())]++
		}
	}
	return counts
}

func awaitShares(t *testing.T, n *streamtest.NATS, want string) {
	t.Helper()
	streamtest.Eventually(t, patience, "shares are "+want, func() bool { return fmt.Sprint(shares(t, n)) == want })
}

// instanceOf serves with a connection of its own, which is returned for cutting.
func instanceOf(t *testing.T, n *streamtest.NATS, name string) (stop, cut func()) {
	t.Helper()
	conn := n.Connection(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stop = serve(t, n, func(c *command.Config) { c.Instance, c.Conn, c.JS = name, conn, js })
	return stop, conn.Close
}

func TestInstancesShareHandOverAndReplaceEachOther(t *testing.T) {
	n := streamtest.Provisioned(t, 6)
	stopA, _ := instanceOf(t, n, "a")
	awaitShares(t, n, "map[a:6]")

	// A client that writes to every partition all the time. A refusal other
	// than unavailable, or an answer that does not come, fails the test.
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	var slowest sync.Map // partition → longest wait
	for p := range streams.Partition(6) {
		clients.Go(func() { keepWriting(ctx, t, n, p, &slowest) })
	}

	_, cutB := instanceOf(t, n, "b")
	awaitShares(t, n, "map[a:3 b:3]")
	_, _ = instanceOf(t, n, "c")
	awaitShares(t, n, "map[a:2 b:2 c:2]")
	cutB() // as if it had died: its leases run out
	awaitShares(t, n, "map[a:3 c:3]")
	stopA() // hands over
	awaitShares(t, n, "map[c:6]")
	cancel()
	clients.Wait()
	slowest.Range(func(p, wait any) bool {
		t.Logf("partition %v: longest wait %v", p, wait)
		if wait.(time.Duration) > 5*time.Second {
			t.Errorf("partition %v did not answer for %v", p, wait)
		}
		return true
	})
}

// keepWriting makes groups of one partition, one after the other.
func keepWriting(ctx context.Context, t *testing.T, n *streamtest.NATS, p streams.Partition, slowest *sync.Map) {
	longest := time.Duration(0)
	defer func() { slowest.Store(p, longest) }()
	for i := 0; ctx.Err() == nil; i++ {
		g := streams.Group(fmt.Sprintf("g%d-%d", p, i))
		if streams.PartitionOf(g, 6) != p {
			continue
		}
		begun := time.Now()
		r, err := tryOn(n.Conn, p, create(g), patience)
		if err != nil || r.GetRejection() != nil {
			t.Errorf("partition %d: %v %v", p, r.GetRejection(), err)
			return
		}
		longest = max(longest, time.Since(begun))
	}
}

// A deployment provisioned once keeps its number of partitions.
func TestPartitionsAreFixed(t *testing.T) {
	n := streamtest.Provisioned(t, 2)
	_, err := topology.Provision(t.Context(), n.JS, topology.Deployment{Partitions: 3, Replicas: 1}, false)
	if err == nil {
		t.Error("another number of partitions was accepted")
	}
}
