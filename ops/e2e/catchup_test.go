//go:build linux

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// talk sends so many messages of some variety, pipelined, with an edit now and
// then, and returns the channel's v.
func talk(t testing.TB, c *client, group, channel string, messages int) (v uint64) {
	t.Helper()
	var window []*waiter
	settle := func(keep int) {
		for len(window) > keep {
			var answer object
			if err := c.end(window[0], &answer); err != nil {
				t.Fatal(err)
			}
			window, v = window[1:], max(v, answer.number("v"))
		}
	}
	begin := func(command string, arguments object) {
		arguments["group"], arguments["channel"] = group, channel
		w, err := c.begin(command, arguments, nil)
		if err != nil {
			t.Fatal(err)
		}
		window = append(window, w)
		settle(200)
	}
	for i := 1; i <= messages; i++ {
		message := object{"body": fmt.Sprintf("message %d of %d: tab\t, quote \" ' and \\ and «ü»", i, messages), "client_id": newID()}
		switch i % 10 {
		case 3:
			message = object{"type": "app.card", "body": map[string]any{"number": i, "list": []int{1, 2}}}
		case 5:
			message["mentions"], message["priority"] = []string{"bob", "carol"}, "high"
		case 7:
			message["reply_to"] = i - 1
		case 8:
			message["mention_all"], message["mention_roles"] = true, []string{"admin"}
		}
		begin("send", message)
		if i%100 == 50 {
			begin("edit", object{"n": i - 20, "body": fmt.Sprint("edited ", i)})
		}
	}
	settle(0)
	return v
}

// question is a read whose answer must not depend on where the events are.
type question struct {
	command   string
	arguments object
}

func questions(group, channel string, head uint64) (list []question) {
	add := func(command string, arguments object) {
		arguments["group"], arguments["channel"] = group, channel
		list = append(list, question{command, arguments})
	}
	for _, after := range []uint64{0, 1, 499, 2500, 4000, head - 1500, head - 700, head - 20} {
		add("pull", object{"after": after, "limit": 100})
		add("pull", object{"after": after, "upto": after + 7})
		add("history", object{"after": after, "limit": 50})
		add("history", object{"before": after + 60, "limit": 50})
	}
	add("history", object{"limit": 20})
	add("history", object{"before": 5, "limit": 20})
	add("history", object{"after": head * 2, "limit": 20})
	return list
}

// ask asks them all and returns the answers as they came.
func ask(t testing.TB, c *client, list []question) (answers []string) {
	t.Helper()
	for _, q := range list {
		answer := c.must(t, q.command, q.arguments)
		answers = append(answers, encode(t, answer))
	}
	return answers
}

func sameAnswers(t testing.TB, when string, list []question, got, want []string) {
	t.Helper()
	for i := range list {
		if got[i] != want[i] {
			from := 0
			for from < min(len(got[i]), len(want[i])) && got[i][from] == want[i][from] {
				from++
			}
			from = max(0, from-200)
			t.Errorf("%s: %s %s differs:\n…%.400s\nwas\n…%.400s", when, list[i].command, encode(t, list[i].arguments), got[i][from:], want[i][from:])
		}
	}
}

// It proves that whoever was away finds everything again, each event once and
// in order, wherever it is by then: in memory, only in the log, after a restart
// with nothing in memory, and when the head of the log has been purged and
// ClickHouse alone has it. All sources give the same answers, byte for byte.
func TestCatchUpFromWhereverTheEventsAre(t *testing.T) {
	s := startServer(t)
	newGroup(t, s.listen, "g1", "general", "alice", "bob")
	bob := connect(t, s.listen, "dev:bob")
	answer := bob.mustSubscribe(t, "g1", "general", nil)
	alice := connect(t, s.listen, "dev:alice")
	talk(t, alice, "g1", "general", 10)
	bob.await(t, "g1", "general", answer.V+10)
	have := bob.last("g1", "general")
	bob.close()
	began := time.Now()
	head := talk(t, alice, "g1", "general", 5000)
	t.Logf("5,000 messages sent in %.1f s with the race detector", time.Since(began).Seconds())
	all := alice.mustPull(t, "g1", "general", 0, head)

	comeBack := func(when string) {
		t.Helper()
		bob := connect(t, s.listen, "dev:bob")
		answer := bob.mustSubscribe(t, "g1", "general", object{"after": have})
		var events []*event
		if answer.Gap != nil {
			events = bob.mustPull(t, "g1", "general", answer.Gap.After, answer.Gap.Upto)
		}
		t.Logf("%s: %d events in the answer, %d pulled", when, len(answer.Events), len(events))
		if answer.V != head {
			t.Errorf("%s: subscribe says v %d, want %d", when, answer.V, head)
		}
		sameEvents(t, when, append(events, answer.Events...), all[have:])
	}
	comeBack("with a warm ring")
	list := questions("g1", "general", head)
	warm := ask(t, alice, list)

	awaitCount(t, s.database(t), head, "SELECT count() FROM events FINAL WHERE `group` = {g:String} AND channel = 'general'", clickhouse.Params{"g": "g1"})
	alice.close()
	s.terminate()
	s.restart()
	comeBack("after a restart")
	alice = connect(t, s.listen, "dev:alice")
	cold := ask(t, alice, list)
	sameAnswers(t, "after a restart", list, cold, warm)
	sameEvents(t, "pull after a restart", alice.mustPull(t, "g1", "general", 0, head), all)
	alice.close()

	purge(t, s, "g1", all[len(all)-600].Seq)
	s.kill9()
	s.restart()
	alice = connect(t, s.listen, "dev:alice")
	comeBack("after the log was purged")
	sameAnswers(t, "after the log was purged", list, ask(t, alice, list), warm)
	sameEvents(t, "pull after the log was purged", alice.mustPull(t, "g1", "general", 0, head), all)

	// And what is new stands behind what is old.
	if v := talk(t, alice, "g1", "general", 1); v != head+1 {
		t.Errorf("the first message after the purge has v %d, want %d", v, head+1)
	}
	events := alice.mustPull(t, "g1", "general", 0, head+1)
	sameEvents(t, "pull over all sources", events[:head], all)
}

// It proves that the body of a recalled message is gone from every later
// answer, wherever that comes from, while the message keeps its place; and that
// what edits had said of it is gone too.
func TestRecalledBodiesAreGoneFromEveryAnswer(t *testing.T) {
	const secret, public = "a secret that was said", "everybody may know"
	s := startServer(t)
	newGroup(t, s.listen, "g1", "general", "alice", "bob")
	alice := connect(t, s.listen, "dev:alice")
	say := func(command string, arguments object) uint64 {
		arguments["group"], arguments["channel"] = "g1", "general"
		return alice.must(t, command, arguments).number("v")
	}
	say("send", object{"body": public + " 1"})
	say("send", object{"body": secret, "mentions": []string{"bob"}})
	say("send", object{"type": "app.card", "body": object{"said": secret}})
	say("edit", object{"n": 2, "body": secret + ", edited"})
	say("recall", object{"n": 2})
	say("recall", object{"n": 3})
	head := say("send", object{"body": public + " 2"})
	awaitCount(t, s.database(t), head, "SELECT count() FROM events FINAL WHERE `group` = {g:String} AND channel = 'general'", clickhouse.Params{"g": "g1"})

	var first string // the first answers
	look := func(when string) {
		t.Helper()
		bob := connect(t, s.listen, "dev:bob")
		defer bob.close()
		channel := object{"group": "g1", "channel": "general"}
		with := func(key string, value any) object {
			return object{"group": channel["group"], "channel": channel["channel"], key: value}
		}
		answers := map[string]object{
			"pull":                 bob.must(t, "pull", with("after", 0)),
			"history after":        bob.must(t, "history", with("after", 0)),
			"history before":       bob.must(t, "history", with("before", 100)),
			"subscribe with after": bob.must(t, "subscribe", with("after", 0)),
			"subscribe with tail":  bob.must(t, "subscribe", with("tail", 100)),
		}
		for name, answer := range answers {
			text := encode(t, answer)
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s has the body of a recalled message:\n%s", when, name, text)
			}
			if answer["gap"] == nil && !strings.Contains(text, public) {
				t.Errorf("%s: %s has nothing:\n%s", when, name, text)
			}
		}
		pulled := bob.mustPull(t, "g1", "general", 0, head)
		if n := pulled[1].N; n != 2 || pulled[1].Kind != "message" {
			t.Errorf("%s: the recalled message is %s", when, pulled[1].raw)
		}
		text := encode(t, object{"pull": answers["pull"], "history": answers["history after"]})
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("%s: the answers are\n%s\nand were\n%s", when, text, first)
		}
	}
	look("from memory")
	s.terminate()
	s.restart()
	look("from the log")
	alice = connect(t, s.listen, "dev:alice")
	say("send", object{"body": public + " 3"})
	purge(t, s, "g1", alice.mustPull(t, "g1", "general", 0, head+1)[head].Seq)
	s.kill9()
	s.restart()
	head++
	first = "" // there is one message more
	look("from ClickHouse")
}

// purge drops the head of a group's partition, as retention does: once the
// snapshots and ClickHouse have it.
func purge(t testing.TB, s *server, group streams.Group, before uint64) {
	t.Helper()
	_, js := s.connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if err != nil {
		t.Fatal(err)
	}
	p := streams.PartitionOf(group, deployment.Partitions)
	state, err := js.Stream(ctx, streams.StateStream(p))
	if err != nil {
		t.Fatal(err)
	}
	streamtest.Eventually(t, patience, "the snapshot covers what is purged", func() bool {
		m, err := state.GetLastMsgForSubject(ctx, streams.StateCheckpoint(p))
		checkpoint := &streampb.Checkpoint{}
		return err == nil && proto.Unmarshal(m.Data, checkpoint) == nil && checkpoint.GetSeq() >= before
	})
	log, err := js.Stream(ctx, streams.LogStream(p))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Purge(ctx, jetstream.WithPurgeSequence(before)); err != nil {
		t.Fatal(err)
	}
	info, err := log.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.State.FirstSeq < before {
		t.Fatalf("the log begins at %d after it was purged below %d", info.State.FirstSeq, before)
	}
	t.Logf("purged: the log of partition %v has %d to %d", p, info.State.FirstSeq, info.State.LastSeq)
}
