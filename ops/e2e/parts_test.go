//go:build linux

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// It proves that a second edge beside a running `dev` serves the same groups:
// dev:<user> is a token there too, what is sent at one edge is delivered at
// the other, and each reads what the other wrote.
func TestSecondEdgeBesideDev(t *testing.T) {
	s := startServer(t)
	other := startEdge(t, s.nats)
	bothWays(t, s.listen, other)
	sameIDEverywhere(t, s.listen, other)
}

// sameIDEverywhere repeats commands at once on many connections of two edges:
// each is done once, and all get its numbers.
func sameIDEverywhere(t *testing.T, one, two string) {
	t.Helper()
	var clients []*client
	for i := range 10 {
		clients = append(clients, connect(t, []string{one, two}[i%2], "dev:alice"))
	}
	head := clients[0].mustSubscribe(t, "g1", "general", nil).V
	for round := range uint64(50) {
		message := object{"group": "g1", "channel": "general", "client_id": newID(), "body": "once"}
		var waiting []*waiter
		for i := range 20 {
			w, err := clients[i%len(clients)].begin("send", message, nil)
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, w)
		}
		for i, w := range waiting {
			var answer object
			if err := clients[i%len(clients)].end(w, &answer); err != nil || answer.number("v") != head+round+1 {
				t.Fatalf("the same message for the %dth time: %v, %v, want v %d", i+1, answer, err, head+round+1)
			}
		}
	}
	if now := clients[1].mustSubscribe(t, "g1", "general", nil).V; now != head+50 {
		t.Errorf("50 messages sent 20 times each made %d events", now-head)
	}
}

// startEdge starts an edge beside others and returns its address.
func startEdge(t testing.TB, nats string, flags ...string) (listen string) {
	t.Helper()
	listen = freeAddress(t)
	p := start(t, nil, append([]string{"edge", "--nats", nats, "--listen", listen}, flags...)...)
	awaitReady(t, listen, p)
	return listen
}

// bothWays sends at two edges of one deployment and reads at both.
func bothWays(t *testing.T, one, two string) {
	t.Helper()
	newGroup(t, one, "g1", "general", "alice", "bob")
	alice, bob := connect(t, one, "dev:alice"), connect(t, two, "dev:bob")
	alice.mustSubscribe(t, "g1", "general", nil)
	bob.mustSubscribe(t, "g1", "general", nil)
	for i := range 50 {
		from, to := alice, bob
		if i%2 == 1 {
			from, to = bob, alice
		}
		answer := from.must(t, "send", object{"group": "g1", "channel": "general", "body": from.user})
		to.await(t, "g1", "general", answer.number("v"))
	}
	alice.await(t, "g1", "general", 50)
	bob.await(t, "g1", "general", 50)
	sameEvents(t, "at the two edges", alice.delivered("g1", "general").events, bob.delivered("g1", "general").events)
	sameEvents(t, "pulled at the two edges", alice.mustPull(t, "g1", "general", 0, 50), bob.mustPull(t, "g1", "general", 0, 50))
}

// It proves that the parts run as processes of their own on a NATS and a
// ClickHouse that others run: provisioning shows what it does and changes
// nothing the second time, two edges deliver to each other, everything comes to
// ClickHouse, and a services process that is killed or frozen under load is
// replaced by one that was waiting or is started later; the frozen one does no
// harm when it wakes up. Nothing is lost, doubled or out of order.
func TestPartsAsProcessesOfTheirOwn(t *testing.T) {
	const secret = "a secret of these tests, 32 bytes or more"
	nats := startNATS(t)
	dsn := startEngine(t) + "parts"

	provision := []string{"provision", "--nats", nats, "--clickhouse", dsn, "--partitions", "4"}
	_, dry, _ := run(t, nil, append(provision, "--dry-run")...)
	code, done, stderr := run(t, nil, provision...)
	if code != 0 {
		t.Fatalf("provision: exit code %d\n%s%s", code, done, stderr)
	}
	for _, want := range []string{"create stream LOG_3", "create bucket"} {
		if !contains(dry, want) || !contains(done, want) {
			t.Errorf("provision does not say %q: with --dry-run\n%s\nwithout\n%s", want, dry, done)
		}
	}
	if code, again, stderr := run(t, nil, provision...); code != 0 || contains(again, "create") || contains(again, "migrate") {
		t.Errorf("provision again: exit code %d\n%s%s", code, again, stderr)
	}
	if code, _, stderr := run(t, nil, "provision", "--nats", nats, "--partitions", "8"); code == 0 || !contains(stderr, "4 partitions") {
		t.Errorf("provision with other partitions: exit code %d, %s", code, stderr)
	}

	services := start(t, nil, "services", "--nats", nats)
	start(t, nil, "projections", "--nats", nats, "--clickhouse", dsn)
	one := startEdge(t, nats, "--jwt-secret", secret)
	two := startEdge(t, nats, "--jwt-secret", secret)
	if status, answer := post(t, one, "dev:alice", "group", `{"group":"g1"}`); status != 401 || answer.code() != "unauthorized" {
		t.Errorf("dev:alice where nothing is in development mode: %d %v", status, answer)
	}

	tokens := map[string]string{}
	names := append([]string{"owner"}, users(10)...)
	for _, name := range names {
		_, stdout, _ := run(t, nil, "token", "--user", name, "--jwt-secret", secret)
		tokens[name] = lastLine(stdout)
	}
	must(t, one, tokens["owner"], "create_group", object{"group": "g1", "kind": "community", "name": "G"})
	must(t, one, tokens["owner"], "create_channel", object{"group": "g1", "channel": "general", "kind": "public", "name": "G"})
	for _, name := range names[1:] {
		must(t, two, tokens[name], "join", object{"group": "g1"})
	}
	reader := connect(t, two, tokens["owner"])
	reader.mustSubscribe(t, "g1", "general", nil)
	crowd := startCrowdWith(t, one, "g1", "general", names[1:], tokens, 2*time.Millisecond)
	crowd.awaitAcks(t, 200)

	// A crash with nobody waiting …
	services.kill9()
	died := time.Now()
	services = start(t, nil, "services", "--nats", nats)
	crowd.awaitAcks(t, 50)
	t.Logf("sends went on %v after the only services process was killed", time.Since(died).Round(time.Millisecond))
	crowd.awaitAcks(t, 200)
	// … with another that takes over from one that only seems dead, and then
	// wakes up in the belief to own the partitions …
	spare := start(t, nil, "services", "--nats", nats)
	streamtest.Eventually(t, patience, "the second services process runs", func() bool {
		return contains(spare.stderr.String(), "services run") || spare.exited()
	})
	frozen := ownerOf(t, nats, "g1", services, spare)
	frozen.signal(syscall.SIGSTOP)
	died = time.Now()
	crowd.awaitAcks(t, 50)
	t.Logf("sends went on %v after the owner was frozen", time.Since(died).Round(time.Millisecond))
	frozen.signal(syscall.SIGCONT)
	crowd.awaitAcks(t, 500)
	// … and back.
	ownerOf(t, nats, "g1", services, spare).kill9()
	died = time.Now()
	crowd.awaitAcks(t, 50)
	t.Logf("sends went on %v after the owner was killed beside another", time.Since(died).Round(time.Millisecond))
	crowd.awaitAcks(t, 200)
	crowd.end(t)

	total := uint64(crowd.acked.Load())
	reader.await(t, "g1", "general", total)
	if v := crowd.judge(reader.complete(t, "g1", "general")); v.messages != int(total) || v.lost+v.moved+v.doubled+v.out+v.unknown > 0 {
		t.Errorf("%d acknowledged, delivered: %v", total, v)
	}
	awaitCount(t, database(t, dsn), total, "SELECT count() FROM messages FINAL WHERE `group` = {g:String}", clickhouse.Params{"g": "g1"})
}

// ownerOf returns which of the services processes has a group's partition.
func ownerOf(t testing.TB, url string, group streams.Group, processes ...*process) (owner *process) {
	t.Helper()
	conn, js := connectNATS(t, url)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := js.KeyValue(ctx, streams.LeaseBucket)
	if err != nil {
		t.Fatal(err)
	}
	key := "partition." + streams.PartitionOf(group, deployment.Partitions).String()
	streamtest.Eventually(t, patience, "the partition has an owner", func() bool {
		lease, err := leases.Get(ctx, key)
		if err != nil {
			return false
		}
		for _, p := range processes {
			if strings.HasSuffix(string(lease.Value()), fmt.Sprintf("-%d", p.cmd.Process.Pid)) {
				owner = p
			}
		}
		return owner != nil
	})
	return owner
}

// startNATS runs a NATS server in this process.
func startNATS(t testing.TB) (url string) {
	t.Helper()
	server, err := localnats.Start(localnats.Config{DataDir: dataDir(t), Listen: freeAddress(t), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server.URL()
}

// startEngine runs a ClickHouse engine as our own child and returns its DSN
// without a database.
func startEngine(t testing.TB) (dsn string) {
	t.Helper()
	lib, err := engine.Fetch(t.Context(), engine.FetchConfig{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{LibPath: lib, DataDir: dataDir(t), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	starting, cancelStart := context.WithTimeout(ctx, readyWithin)
	defer cancelStart()
	if err := e.WaitReady(starting); err != nil {
		t.Fatal(err)
	}
	return e.DSN()
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
