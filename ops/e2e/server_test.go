//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const (
	// readyWithin is how long a server built with the race detector may take
	// on a machine that is busy with other tests.
	readyWithin = 90 * time.Second
	// patience is how long things that take milliseconds may take.
	patience = 30 * time.Second
)

// server is one `throng dev` with its addresses and data, through all its
// lives.
type server struct {
	t          testing.TB
	dir        string
	listen     string // host:port
	nats       string // URL
	natsListen string // host:port
	clickhouse string // host:port
	flags      []string
	*process
	ready time.Duration // from the last start to readiness
}

// startServer starts `throng dev` on a new data folder and waits until it is
// ready.
func startServer(t testing.TB, flags ...string) *server {
	t.Helper()
	s := newServer(t, flags...)
	s.restart()
	return s
}

// newServer chooses folder and ports and starts nothing.
func newServer(t testing.TB, flags ...string) *server {
	t.Helper()
	s := &server{
		t: t, dir: dataDir(t), listen: freeAddress(t), natsListen: freeAddress(t), clickhouse: freeAddress(t), flags: flags,
	}
	s.nats = "nats://" + s.natsListen
	return s
}

// launch starts the process.
func (s *server) launch() {
	s.t.Helper()
	args := []string{
		"dev", "--data", s.dir, "--listen", s.listen, "--nats-listen", s.natsListen, "--clickhouse-listen", s.clickhouse,
	}
	s.process = start(s.t, nil, append(args, s.flags...)...)
}

// restart starts the process and waits until it is ready.
func (s *server) restart() {
	s.t.Helper()
	began := time.Now()
	s.launch()
	s.awaitReady()
	s.ready = time.Since(began)
}

func (s *server) awaitReady() {
	s.t.Helper()
	awaitReady(s.t, s.listen, s.process)
}

// awaitReady polls /readyz of a process.
func awaitReady(t testing.TB, listen string, p *process) {
	t.Helper()
	streamtest.Eventually(t, readyWithin, "/readyz answers 200", func() bool {
		if p.exited() {
			t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.cmd.ProcessState, p.stderr.Tail(4<<10))
		}
		answer, err := httpClient.Get("http://" + listen + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// httpClient holds no connections: servers of these tests come and go.
var httpClient = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil},
	Timeout:   30 * time.Second,
}

// post calls a command over HTTP and returns the status and the answer.
func post(t testing.TB, listen, token, command, body string) (status int, answer object) {
	t.Helper()
	status, answer, err := tryPost(t.Context(), listen, token, command, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func tryPost(ctx context.Context, listen, token, command, body string) (status int, answer object, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listen+"/v1/"+command, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, err
	}
	_ = json.Unmarshal(data, &answer) // what is no object stays nil and fails the check
	return response.StatusCode, answer, nil
}

// must is [post] for what has to work.
func must(t testing.TB, listen, token, command string, body object) object {
	t.Helper()
	status, answer := post(t, listen, token, command, encode(t, body))
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", command, encode(t, body), status, encode(t, answer))
	}
	return answer
}

// newGroup makes a group of owner's with a channel and lets members join.
func newGroup(t testing.TB, listen, group, channel, owner string, members ...string) {
	t.Helper()
	must(t, listen, "dev:"+owner, "create_group", object{"group": group, "kind": "community", "name": group})
	must(t, listen, "dev:"+owner, "create_channel", object{"group": group, "channel": channel, "kind": "public", "name": channel})
	for _, member := range members {
		must(t, listen, "dev:"+member, "join", object{"group": group})
	}
}

// serverToken is what the command line makes for back ends.
func (s *server) serverToken(t testing.TB) string {
	t.Helper()
	code, stdout, stderr := run(t, nil, "token", "--user", "backend", "--server", "--nats", s.nats)
	if code != 0 {
		t.Fatalf("throng token: exit code %d: %s", code, stderr)
	}
	return strings.TrimSpace(stdout)
}

// connect joins the server's NATS.
func (s *server) connect(t testing.TB) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connectNATS(t, s.nats)
}

func connectNATS(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// logOf reads all of a group's events from the log itself.
func logOf(t testing.TB, conn *nats.Conn, js jetstream.JetStream, group streams.Group) (events []*streams.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if err != nil {
		t.Fatal(err)
	}
	p := streams.PartitionOf(group, deployment.Partitions)
	reader := eventlog.NewReader(conn, streams.LogStream(p))
	err = reader.Scan(ctx, streams.GroupLogFilter(p, group), 1, 0, func(m eventlog.Message) error {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// database opens ClickHouse.
func database(t testing.TB, dsn string) *clickhouse.DB {
	t.Helper()
	db, err := clickhouse.Open(clickhouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *server) database(t testing.TB) *clickhouse.DB {
	t.Helper()
	return database(t, "clickhouse://default@"+s.clickhouse+"/throng")
}

// count runs a query that returns one number.
func count(t testing.TB, db *clickhouse.DB, query string, params clickhouse.Params) uint64 {
	t.Helper()
	n, err := tryCount(t.Context(), db, query, params)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tryCount(ctx context.Context, db *clickhouse.DB, query string, params clickhouse.Params) (n uint64, err error) {
	err = db.Query(ctx, query, params, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}

// awaitCount polls ClickHouse until a query returns a number.
func awaitCount(t testing.TB, db *clickhouse.DB, want uint64, query string, params clickhouse.Params) {
	t.Helper()
	var got uint64
	var err error
	deadline := time.Now().Add(60 * time.Second)
	streamtest.Eventually(t, 90*time.Second, query, func() bool {
		if got, err = tryCount(t.Context(), db, query, params); err == nil && got == want {
			return true
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s with %v: got %d (%v), want %d", query, params, got, err, want)
		}
		return false
	})
}

// natsCommand is a command as back ends send it over NATS.
func natsCommand(command, token, body string) *nats.Msg {
	return &nats.Msg{
		Subject: streams.APISubject(command), Data: []byte(body),
		Header: nats.Header{"Authorization": {"Bearer " + token}},
	}
}
