//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// mended is a deployment of one partition whose log gets lost.
type mended struct {
	t          *testing.T
	dir        string // of NATS
	address    string
	server     *localnats.Server
	url, dsn   string
	services   *process
	projection *process
	edge       string
}

func startMended(t *testing.T, database string) *mended {
	t.Helper()
	m := &mended{t: t, dir: dataDir(t), address: freeAddress(t), dsn: startEngine(t) + database}
	m.startNATS()
	t.Cleanup(func() { m.server.Stop() })
	m.url = m.server.URL()
	if code, stdout, stderr := run(t, nil, "provision", "--nats", m.url, "--clickhouse", m.dsn, "--partitions", "1"); code != 0 {
		t.Fatalf("provision: %d\n%s%s", code, stdout, stderr)
	}
	conn, js := connectNATS(t, m.url)
	defer conn.Close()
	if err := topology.SetDevMode(t.Context(), js, true); err != nil {
		t.Fatal(err)
	}
	m.startServices()
	m.startProjections()
	m.edge = startEdge(t, m.url)
	newGroup(t, m.edge, "g1", "general", "alice")
	return m
}

func (m *mended) startNATS() {
	m.t.Helper()
	server, err := localnats.Start(localnats.Config{DataDir: m.dir, Listen: m.address, Logger: quiet()})
	if err != nil {
		m.t.Fatal(err)
	}
	m.server = server
}

func (m *mended) startServices() { m.services = start(m.t, nil, "services", "--nats", m.url) }

func (m *mended) startProjections() {
	m.projection = start(m.t, nil, "projections", "--nats", m.url, "--clickhouse", m.dsn)
}

// send sends until it is accepted.
func (m *mended) send(id string) (answer object) {
	m.t.Helper()
	body := encode(m.t, object{"group": "g1", "channel": "general", "client_id": id, "body": id})
	streamtest.Eventually(m.t, patience, "a send is accepted", func() bool {
		var status int
		status, answer = post(m.t, m.edge, "dev:alice", "send", body)
		if status != 200 && answer.code() != "unavailable" {
			m.t.Fatalf("send: %d %v", status, answer)
		}
		return status == 200
	})
	return answer
}

// await waits until ClickHouse has so many messages: their events, which are
// stored last and are what a repair goes by.
func (m *mended) await(messages uint64) {
	m.t.Helper()
	awaitCount(m.t, database(m.t, m.dsn), messages,
		"SELECT count() FROM events FINAL WHERE `group` = {g:String} AND kind = 'message'", clickhouse.Params{"g": "g1"})
}

// says runs the program and demands an exit code and that it says something.
func (m *mended) says(code int, want string, args ...string) {
	m.t.Helper()
	got, stdout, stderr := run(m.t, nil, append(args, "--nats", m.url, "--clickhouse", m.dsn)...)
	if got != code || !contains(stdout+stderr, want) {
		m.t.Fatalf("%s: exit code %d, want %d and %q\n%s%s", args, got, code, want, stdout, stderr)
	}
}

// goesOn checks that what is sent now has these numbers and a higher sequence
// than before, that what was sent before is known, and that all is read.
func (m *mended) goesOn(before map[string]object, number, highest uint64, oldLog string) {
	m.t.Helper()
	next := m.send(newID())
	if next.number("v") != number || next.number("n") != number || next.number("seq") <= highest {
		m.t.Errorf("sent after the repair: %v, want v and n %d and a seq above %d", next, number, highest)
	}
	for id, first := range before {
		again := m.send(id)
		if again["duplicate"] != true || again.number("v") != first.number("v") || again.number("n") != first.number("n") {
			m.t.Errorf("repeated after the repair: %v, want %v", again, first)
		}
	}
	m.await(number)
	for name, edge := range map[string]string{"the edge that was there": m.edge, "a new edge": startEdge(m.t, m.url)} {
		c := connect(m.t, edge, "dev:alice")
		answer := c.mustSubscribe(m.t, "g1", "general", object{"after": 2, "log": oldLog})
		if answer.Log == oldLog || answer.V != number {
			m.t.Errorf("%s says log %q v %d, want another than %q and %d", name, answer.Log, answer.V, oldLog, number)
		}
		if events := c.mustPull(m.t, "g1", "general", 0, number); len(events) != int(number) {
			m.t.Errorf("%s has %d events, want %d", name, len(events), number)
		}
	}
	m.says(0, "its log is well", "repair")
	m.says(0, "an append came through", "doctor")
}

// checkpointOf is up to where the snapshot of partition 0 is complete.
func checkpointOf(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	stream, err := js.Stream(t.Context(), streams.StateStream(0))
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), streams.StateCheckpoint(0))
	if err != nil {
		return 0
	}
	record := &streampb.Checkpoint{}
	if err := proto.Unmarshal(m.Data, record); err != nil {
		t.Fatal(err)
	}
	return record.GetSeq()
}

// It proves what an operator does when a partition's log is gone: senders are
// told to come back, doctor says what it is, provision does not make it worse,
// and after the repair nothing that ClickHouse or the snapshot had is forgotten
// or numbered again, and what neither had has stand-ins.
func TestALogThatIsGoneIsRepaired(t *testing.T) {
	m := startMended(t, "gone")
	before := map[string]object{}
	for range 20 {
		id := newID()
		before[id] = m.send(id)
	}
	m.await(20)
	m.projection.terminate()
	var last object
	for range 5 { // ClickHouse does not get these
		last = m.send(newID())
	}
	reader := connect(t, m.edge, "dev:alice")
	oldLog := reader.mustSubscribe(t, "g1", "general", nil).Log
	reader.close()
	conn, js := connectNATS(t, m.url)
	defer conn.Close()
	streamtest.Eventually(t, patience, "the snapshot has all", func() bool {
		return checkpointOf(t, js) >= last.number("seq")
	})
	if err := js.DeleteStream(t.Context(), streams.LogStream(0)); err != nil {
		t.Fatal(err)
	}

	if status, answer := post(t, m.edge, "dev:alice", "send", `{"group":"g1","channel":"general","body":"x"}`); status != 503 || answer.code() != "unavailable" {
		t.Errorf("a send without a log: %d %v", status, answer)
	}
	m.says(1, "throng repair", "doctor")
	m.says(1, "throng repair", "provision")
	m.says(0, "lost: g1/general v 21 to 25, 5 messages", "repair", "--dry-run")
	m.says(1, "its log is gone", "doctor")
	m.says(0, "its log begins anew", "repair")
	m.startProjections()
	m.goesOn(before, 26, last.number("seq"), oldLog)
	got := count(t, database(t, m.dsn), "SELECT count() FROM messages FINAL WHERE `group` = 'g1' AND type = 'lost' AND n BETWEEN 21 AND 25", nil)
	if got != 5 {
		t.Errorf("%d stand-ins, want 5", got)
	}
}

// It proves the same where NATS was set back to an older copy of its data, log
// and snapshots alike: nobody could tell but by ClickHouse.
func TestALogThatWasRolledBackIsRepaired(t *testing.T) {
	m := startMended(t, "back")
	before := map[string]object{}
	var last object
	sends := func(count int) {
		for range count {
			id := newID()
			last = m.send(id)
			before[id] = last
		}
		m.await(last.number("n"))
	}
	sends(10)
	m.services.terminate()
	m.server.Stop()
	backup := filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(m.dir)); err != nil {
		t.Fatal(err)
	}
	m.startNATS()
	m.startServices()
	sends(10)
	must(t, m.edge, "dev:bob", "join", object{"group": "g1"})
	awaitCount(t, database(t, m.dsn), 1, "SELECT count() FROM events FINAL WHERE kind = 'join' AND member = 'bob'", nil)
	reader := connect(t, m.edge, "dev:alice")
	oldLog := reader.mustSubscribe(t, "g1", "general", nil).Log
	reader.close()

	m.server.Stop()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(m.dir, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	m.startNATS()
	m.says(1, "rolled back", "doctor")
	m.services.terminate() // those that were there know that their log is not
	m.startServices()
	streamtest.Eventually(t, patience, "a repair beside services is refused", func() bool {
		_, stdout, stderr := run(t, nil, "repair", "--nats", m.url, "--clickhouse", m.dsn, "--dry-run")
		return contains(stdout+stderr, "stop all")
	})
	m.services.terminate()
	m.says(0, "0 events were acknowledged and are lost", "repair", "--dry-run")
	m.says(0, "its log begins anew", "repair")
	m.startServices()
	m.goesOn(before, 21, last.number("seq"), oldLog)
	if answer := must(t, m.edge, "dev:bob", "join", object{"group": "g1"}); answer["already"] != true {
		t.Errorf("bob joined after the backup and is no member: %v", answer)
	}
}
