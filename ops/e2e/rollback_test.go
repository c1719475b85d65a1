//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// raid is a group after three users wrote all over it, among others.
type raid struct {
	channels []string
	since    uint64                     // seq behind which the raid began
	began    int64                      // ts of its first message
	written  map[string]map[uint64]bool // by channel and n: whether it is the raid's
}

const raidMessages = 300

func startRaid(t *testing.T, listen, group string) *raid {
	t.Helper()
	newGroup(t, listen, group, "general", "alice", "bob", "carol", "mo", "ada", "r1", "r2", "r3")
	for user, role := range map[string]string{"mo": "moderator", "ada": "admin"} {
		must(t, listen, "dev:alice", "member", object{"group": group, "user": user, "do": "role", "role": role})
	}
	must(t, listen, "dev:alice", "create_channel", object{"group": group, "channel": "vault", "kind": "private", "name": "V", "members": []string{"bob", "r1", "r2", "r3"}})
	must(t, listen, "dev:alice", "create_channel", object{"group": group, "channel": "thread", "kind": "thread", "parent": "general"})
	r := &raid{channels: []string{"general", "vault", "thread"}, written: map[string]map[uint64]bool{}}
	writers := map[string]*client{}
	for _, user := range []string{"bob", "r1", "r2", "r3"} {
		writers[user] = connect(t, listen, "dev:"+user)
	}
	say := func(user, channel string, raids bool) object {
		answer := writers[user].must(t, "send", object{"group": group, "channel": channel, "body": "by " + user})
		if r.written[channel] == nil {
			r.written[channel] = map[uint64]bool{}
		}
		r.written[channel][answer.number("n")] = raids
		return answer
	}
	for _, channel := range r.channels { // what the same users wrote before stays
		r.since = say("r1", channel, false).number("seq")
	}
	for i := range raidMessages {
		answer := say(fmt.Sprintf("r%d", 1+i%3), r.channels[i/3%3], true)
		if i == 0 {
			r.began = int64(answer.number("ts"))
		}
		if i%5 == 0 {
			say("bob", r.channels[i%3], false)
		}
	}
	// One is gone already.
	first := slices.Min(raidOf(r.written["general"]))
	must(t, listen, "dev:bob", "react", object{"group": group, "channel": "general", "n": first, "emoji": "x"})
	must(t, listen, "dev:alice", "recall", object{"group": group, "channel": "general", "n": first})
	return r
}

func raidOf(written map[uint64]bool) []uint64 {
	var numbers []uint64
	for n, raids := range written {
		if raids {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// check reads everything through one edge, as messages and as events.
func (r *raid) check(t *testing.T, listen, group string) (heads map[string]uint64) {
	t.Helper()
	reader := connect(t, listen, "dev:alice")
	heads = map[string]uint64{}
	for _, channel := range r.channels {
		page := reader.must(t, "history", object{"group": group, "channel": channel, "after": 0, "limit": 1000})
		messages, _ := page["messages"].([]any)
		if len(messages) != len(r.written[channel]) {
			t.Errorf("%s: %d messages, want %d", channel, len(messages), len(r.written[channel]))
		}
		for _, m := range messages {
			message := object(m.(map[string]any))
			if raids := r.written[channel][message.number("n")]; (message["recalled"] == true) != raids {
				t.Errorf("%s: a message of the raid (%v) reads %v", channel, raids, message)
			}
		}
		heads[channel] = reader.mustSubscribe(t, group, channel, nil).V
		recalls := map[uint64]int{}
		for _, e := range reader.mustPull(t, group, channel, 0, heads[channel]) {
			if e.Kind == "recall" {
				var told struct {
					Target uint64 `json:"target"`
				}
				if err := json.Unmarshal([]byte(e.raw), &told); err != nil {
					t.Fatal(err)
				}
				recalls[told.Target]++
			}
		}
		for n, raids := range r.written[channel] {
			if want := map[bool]int{true: 1}[raids]; recalls[n] != want {
				t.Errorf("%s: message %d was recalled %d times, want %d", channel, n, recalls[n], want)
			}
		}
	}
	return heads
}

// One command undoes a raid in public and private channels and threads, and
// nothing else, on every edge; who may not ban may not roll back.
func TestRollbackOfARaid(t *testing.T) {
	s := startServer(t)
	other := startEdge(t, s.nats)
	r := startRaid(t, s.listen, "g1")
	raiders := []string{"r1", "r2", "r3"}
	ask := object{"group": "g1", "users": raiders, "since_seq": r.since + 1, "reason": "raid", "client_id": newID()}

	mo, bob := connect(t, other, "dev:mo"), connect(t, s.listen, "dev:bob")
	bob.refused(t, "forbidden", "rollback", ask)
	connect(t, s.listen, "dev:eve").refused(t, "not_member", "rollback", ask)
	mo.refused(t, "not_found", "rollback", object{"group": "nowhere", "users": raiders, "since_seq": 1})
	for _, ban := range []bool{true, false} {
		mo.refused(t, "forbidden", "rollback", object{"group": "g1", "users": []string{"r1", "ada"}, "since_seq": 1, "ban": ban})
	}
	if count := mo.must(t, "members", object{"group": "g1"}).number("count"); count != 8 {
		t.Fatalf("%d members after what was refused, want all 8", count)
	}

	began := time.Now()
	done := mo.must(t, "rollback", ask)
	t.Logf("rolled back %d messages in %v", raidMessages, time.Since(began).Round(time.Millisecond))
	if done.number("recalled") != raidMessages-1 || done.number("banned") != 3 || done.number("through") <= r.since || done["more"] != nil {
		t.Errorf("rolled back %v", done)
	}
	heads := r.check(t, other, "g1")
	r.check(t, s.listen, "g1")
	mo.refused(t, "not_found", "history", object{"group": "g1", "channel": "vault"})
	if _, answer := post(t, s.listen, "dev:r1", "join", `{"group":"g1"}`); answer.code() != "banned" {
		t.Errorf("r1 joins: %v", answer)
	}

	conn, _ := s.connect(t)
	w := &ways{t: t, listen: s.listen, conn: conn, clients: map[string]*client{}}
	for range 3 { // over each way, once with the same client_id
		w.do(step{"mo", "rollback", encode(t, ask), `{"recalled":0,"banned":0,"through":"*"}`})
		delete(ask, "client_id")
	}
	for channel, v := range r.check(t, other, "g1") {
		if v != heads[channel] {
			t.Errorf("%s went from v %d to %d by repeating", channel, heads[channel], v)
		}
	}
}

// What ClickHouse alone still has is rolled back like the rest.
func TestRollbackOfWhatWasPurged(t *testing.T) {
	s := startServer(t)
	r := startRaid(t, s.listen, "g1")
	page := must(t, s.listen, "dev:alice", "history", object{"group": "g1", "channel": "thread", "limit": 20})
	messages, _ := page["messages"].([]any)
	purge(t, s, "g1", object(messages[len(messages)-1].(map[string]any)).number("seq"))
	s.kill9()
	s.restart() // nothing is remembered
	done := must(t, s.listen, "dev:mo", "rollback", object{"group": "g1", "users": []string{"r1", "r2", "r3"}, "since_seq": r.since + 1})
	if done.number("recalled") != raidMessages-1 || done.number("banned") != 3 {
		t.Errorf("rolled back %v", done)
	}
	r.check(t, s.listen, "g1")
}

// The same by time, and without bans.
func TestRollbackSinceATime(t *testing.T) {
	s := startServer(t)
	r := startRaid(t, s.listen, "g1")
	// What was written in the millisecond before the raid counts as well.
	for _, channel := range r.channels {
		page := must(t, s.listen, "dev:alice", "history", object{"group": "g1", "channel": channel, "after": 0, "limit": 1})
		message := object(page["messages"].([]any)[0].(map[string]any))
		r.written[channel][1] = int64(message.number("ts")) >= r.began
	}
	ask := object{"group": "g1", "users": []string{"r1", "r2", "r3", "stranger"}, "since": r.began, "ban": false}
	later := object{"group": "g1", "users": []string{"r1"}, "since": r.began + 3_600_000, "ban": false}
	if done := must(t, s.listen, "dev:ada", "rollback", later); done.number("recalled") != 0 {
		t.Errorf("of what is to come: %v", done)
	}
	if done := must(t, s.listen, "dev:ada", "rollback", ask); done.number("recalled") < raidMessages-1 || done.number("banned") != 0 {
		t.Errorf("rolled back %v", done)
	}
	r.check(t, s.listen, "g1")
	if err := connect(t, s.listen, "dev:r1").call("send", object{"group": "g1", "channel": "general", "body": "still here"}, nil); err != nil {
		t.Errorf("who was not banned writes: %v", err)
	}
}
