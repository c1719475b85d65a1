//go:build linux

package races

import (
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/ops/load"
	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

var sessions = flag.Int("races.sessions", 10_000, "how many come into a room at once in the benchmark")

// BenchmarkJoin has many come into a room at once, of two edges and an owner
// that are processes of their own: a process may have 20,000 descriptors. It
// reports how long it takes until all have the attributes, and what the owner
// was asked for.
func BenchmarkJoin(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "throng")
	build := exec.Command("go", "build", "-o", binary, "github.com/throng/throng/ops/cmd/throng")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		b.Fatal(err)
	}
	server, err := localnats.Start(localnats.Config{DataDir: b.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	conn, err := server.Connect()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	n := &streamtest.NATS{Server: server, Conn: conn, JS: js}
	streamtest.Provision(b, n, topology.Deployment{Partitions: 1, Replicas: 1})
	child(b, binary, "services", "--nats", server.URL())
	config := load.JoinConfig{Sessions: *sessions, Attributes: 100, Token: userToken, Progress: os.Stderr}
	for range 2 {
		listen := freeAddress(b)
		child(b, binary, "edge", "--nats", server.URL(), "--listen", listen, "--jwt-secret", secret)
		config.URLs = append(config.URLs, "ws://"+listen+"/v1/ws")
	}
	warm := config
	warm.Sessions, warm.Progress = 2, nil
	streamtest.Eventually(b, patience, "the edges and the owner serve", func() bool {
		_, err := load.Join(b.Context(), warm)
		return err == nil
	})
	for b.Loop() {
		joinOnce(b, conn, config)
	}
}

func joinOnce(b *testing.B, conn *nats.Conn, config load.JoinConfig) {
	heard := eavesdrop(b, conn)
	report, err := load.Join(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Log(report)
	if !report.OK() {
		b.Error("not all came in")
	}
	loads, snapshots := heard.loads(), heard.snapshots()
	b.Logf("the edges asked for the attributes %v times and for the group %v times", loads, snapshots)
	if len(loads) != len(config.URLs) || slices.Max(loads) > 1 {
		b.Errorf("more than one load of an edge: %v", loads)
	}
	b.ReportMetric(report.P50, "ms-p50")
	b.ReportMetric(report.P99, "ms-p99")
	b.ReportMetric(report.Last, "ms-last")
}

// child runs a part as a process until the benchmark ends.
func child(b *testing.B, binary string, args ...string) {
	b.Helper()
	process := exec.Command(binary, args...)
	process.Stdout, process.Stderr = io.Discard, os.Stderr
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
	})
}

func freeAddress(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
