//go:build linux

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/projections/clickhouse"
)

// It proves that `throng dev` starts on an empty folder with no other help,
// says where it is and what to try, ends cleanly within 10 s of SIGTERM, and
// that the next start goes on with the first one's data: versions continue,
// history is there, and a client_id used before is answered as before.
func TestDevStartsEndsAndGoesOn(t *testing.T) {
	s := startServer(t)
	t.Logf("first start: ready after %.1f s with the race detector", s.ready.Seconds())
	newGroup(t, s.listen, "g1", "general", "alice", "bob")
	alice := connect(t, s.listen, "dev:alice")
	var ids []string
	for i := range 30 {
		ids = append(ids, newID())
		answer := alice.must(t, "send", object{
			"group": "g1", "channel": "general", "client_id": ids[i], "body": fmt.Sprint("message ", i+1),
		})
		if v, n := answer.number("v"), answer.number("n"); v != uint64(i+1) || n != v || answer["duplicate"] != nil {
			t.Fatalf("send %d: %v", i+1, answer)
		}
	}
	page := object{"group": "g1", "channel": "general", "after": 0, "limit": 100}
	history := encode(t, alice.must(t, "history", page))
	checkWelcome(t, s)
	awaitCount(t, s.database(t), 30, "SELECT count() FROM messages FINAL WHERE `group` = {g:String}", clickhouse.Params{"g": "g1"})

	alice.close()
	t.Logf("SIGTERM: ended after %.1f s", s.terminate().Seconds())
	s.restart()
	t.Logf("second start: ready after %.1f s with the race detector", s.ready.Seconds())

	alice = connect(t, s.listen, "dev:alice")
	if got := encode(t, alice.must(t, "history", page)); got != history {
		t.Errorf("history after the second start: got %s, want %s", got, history)
	}
	for i, id := range ids {
		answer := alice.must(t, "send", object{"group": "g1", "channel": "general", "client_id": id, "body": "again"})
		if answer.number("v") != uint64(i+1) || answer.number("n") != uint64(i+1) || answer["duplicate"] != true {
			t.Errorf("message %d sent again after the second start: %v", i+1, answer)
		}
	}
	if answer := alice.must(t, "send", object{"group": "g1", "channel": "general", "body": "next"}); answer.number("v") != 31 {
		t.Errorf("the first new message after the second start: %v, want v 31", answer)
	}
	if got := len(alice.mustPull(t, "g1", "general", 0, 31)); got != 31 {
		t.Errorf("pull after the second start: %d events, want 31", got)
	}
}

// It proves that SIGTERM under load is as harmless: it ends within 10 s with
// exit code 0, clients are told to come back (bye, then close code 1012), and
// what was acknowledged is there, once, when they do.
func TestSIGTERMUnderLoad(t *testing.T) {
	s := startServer(t)
	members := users(10)
	newGroup(t, s.listen, "g1", "general", "owner", members...)
	var idle []*client
	for range 30 {
		c := connect(t, s.listen, "dev:owner")
		c.mustSubscribe(t, "g1", "general", nil)
		idle = append(idle, c)
	}
	crowd := startCrowd(t, s.listen, "g1", "general", members, 0)
	crowd.awaitAcks(t, 200)
	t.Logf("ended after %.1f s", s.terminate().Seconds())
	for _, c := range idle {
		<-c.ended
		bye := c.frames["bye"] // the reader has ended
		if len(bye) != 1 || bye[0].number("retry_ms") == 0 || bye[0].text("reason") == "" {
			t.Fatalf("before the end the server said %v, want one bye with a reason and retry_ms", bye)
		}
		if !websocket.IsCloseError(c.why, 1012) {
			t.Fatalf("the connection ended with %v, want close code 1012", c.why)
		}
	}
	s.restart()
	crowd.awaitAcks(t, 200)
	crowd.end(t)
	total := uint64(crowd.acked.Load())
	events := connect(t, s.listen, "dev:owner").mustPull(t, "g1", "general", 0, total)
	if v := crowd.judge(events); v.lost+v.moved+v.doubled+v.out+v.unknown > 0 {
		t.Errorf("%d acknowledged: %v", total, v)
	}
}

// checkWelcome wants in what `dev` printed all that a newcomer needs, and that
// what it says to try works.
func checkWelcome(t *testing.T, s *server) {
	t.Helper()
	welcome := s.stdout.String()
	for _, want := range []string{
		"http://" + s.listen, "ws://" + s.listen + "/v1/ws", s.nats, s.clickhouse, "dev:alice", "curl ", "throng sql", "throng import irc", "SELECT ",
	} {
		if !strings.Contains(welcome, want) && !strings.Contains(welcome, strings.Replace(want, "throng ", "./ops/cmd/throng ", 1)) {
			t.Errorf("the welcome does not say %q:\n%s", want, welcome)
		}
	}
	tried := 0
	curl := regexp.MustCompile(`curl -s http://([^/]+)/v1/(\w+) -H 'Authorization: Bearer ([^']+)' -d '([^']+)'`)
	for _, m := range curl.FindAllStringSubmatch(welcome, -1) {
		tried++
		// The welcome's group is one this test has already made.
		body := strings.ReplaceAll(m[4], `"g1"`, `"welcome"`)
		if status, answer := post(t, m[1], m[3], m[2], body); status != 200 {
			t.Errorf("the welcome's %q: %d %v", m[0], status, answer)
		}
	}
	if tried == 0 {
		t.Errorf("the welcome has no curl commands:\n%s", welcome)
	}
	sql := regexp.MustCompile(`sql (.*)'(SELECT [^']+)'`).FindStringSubmatch(welcome)
	if sql == nil {
		t.Fatalf("the welcome has no query:\n%s", welcome)
	}
	args := append(append([]string{"sql"}, strings.Fields(sql[1])...), sql[2])
	if code, stdout, stderr := run(t, nil, args...); code != 0 || !strings.Contains(stdout, "messages") {
		t.Errorf("the welcome's query: exit code %d: %s%s", code, stdout, stderr)
	}
}
