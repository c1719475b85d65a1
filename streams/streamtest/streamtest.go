// Package streamtest gives tests a real nats-server of their own, in process
// and on a temporary folder, in the manner of net/http/httptest.
package streamtest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/topology"
)

// NATS is a server and a connection to it.
type NATS struct {
	Server *localnats.Server
	Conn   *nats.Conn
	JS     jetstream.JetStream
}

// New starts a server without a port; it ends with the test.
func New(t testing.TB) *NATS { return start(t, false) }

// Syncing is [New] with every write synced before it is acknowledged.
func Syncing(t testing.TB) *NATS { return start(t, true) }

func start(t testing.TB, syncAlways bool) *NATS {
	t.Helper()
	server, err := localnats.Start(localnats.Config{DataDir: t.TempDir(), Logger: Logger(t), SyncAlways: syncAlways})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return open(t, server)
}

// Provisioned is [New] with the streams of a deployment.
func Provisioned(t testing.TB, partitions uint32) *NATS {
	t.Helper()
	n := New(t)
	Provision(t, n, topology.Deployment{Partitions: partitions, Replicas: 1})
	return n
}

// Provision makes the streams of d.
func Provision(t testing.TB, n *NATS, d topology.Deployment) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := topology.Provision(ctx, n.JS, d, false); err != nil {
		t.Fatalf("provision: %v", err)
	}
}

// Connection opens a further connection; it ends with the test.
func (n *NATS) Connection(t testing.TB) *nats.Conn {
	t.Helper()
	return open(t, n.Server).Conn
}

func open(t testing.TB, server *localnats.Server) *NATS {
	t.Helper()
	conn, err := server.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &NATS{Server: server, Conn: conn, JS: js}
}

// Three starts a cluster of three servers on loopback ports and returns a
// connection to each, once it places streams.
func Three(t testing.TB) [3]*NATS { return three(t, false) }

// ThreeSyncing is [Three] with every write synced before it is acknowledged.
func ThreeSyncing(t testing.TB) [3]*NATS { return three(t, true) }

func three(t testing.TB, syncAlways bool) [3]*NATS {
	t.Helper()
	routes := make([]string, 3)
	for i := range routes {
		routes[i] = freeAddress(t)
	}
	var servers [3]*localnats.Server
	started := make(chan error, 3)
	dir := t.TempDir()
	for i := range servers {
		go func() {
			server, err := localnats.Start(localnats.Config{
				DataDir: filepath.Join(dir, fmt.Sprint(i)),
				Listen:  "127.0.0.1:0",
				Logger:  slog.New(slog.DiscardHandler),

				SyncAlways: syncAlways,
				Cluster:    &localnats.Cluster{Server: fmt.Sprintf("n%d", i), Listen: routes[i], Routes: routes},
			})
			servers[i] = server
			started <- err
		}()
	}
	for range servers {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	var cluster [3]*NATS
	for i, server := range servers {
		t.Cleanup(server.Stop)
		cluster[i] = open(t, server)
	}
	// Placing a stream on all three is what tests will do next, and the only
	// sign that each server knows the others.
	Eventually(t, 30*time.Second, "the cluster places a stream on all three", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		probe := jetstream.StreamConfig{Name: "PROBE", Replicas: 3, Storage: jetstream.MemoryStorage}
		_, err := cluster[0].JS.CreateOrUpdateStream(ctx, probe)
		return err == nil && cluster[0].JS.DeleteStream(ctx, probe.Name) == nil
	})
	return cluster
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Eventually polls until done returns true and fails the test after patience.
func Eventually(t testing.TB, patience time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// Logger writes to the test's log until the test ends.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(&testWriter{t: t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t testing.TB }

func (w *testWriter) Write(line []byte) (int, error) {
	// After its end a test refuses output with a panic; servers may still speak.
	if w.t.Context().Err() == nil {
		w.t.Log(string(line))
	}
	return len(line), nil
}
