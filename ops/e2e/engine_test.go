//go:build linux

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that nothing waits for ClickHouse: while its process is killed
// every time it comes back, for 10 s, sends are acknowledged, events are
// delivered and recent history is served; and that afterwards everything is in
// ClickHouse exactly once, and the engine is back within 5 s.
func TestClickHouseDiesUnderLoad(t *testing.T) {
	s := startServer(t)
	members := users(10)
	newGroup(t, s.listen, "g1", "general", "owner", members...)
	reader := connect(t, s.listen, "dev:owner")
	reader.mustSubscribe(t, "g1", "general", nil)
	crowd := startCrowd(t, s.listen, "g1", "general", members, 10*time.Millisecond)
	crowd.awaitAcks(t, 200)

	kills, asked := 0, 0
	var slowest time.Duration
	before := crowd.acked.Load()
	began, killed := time.Now(), time.Now()
	streamtest.Eventually(t, 60*time.Second, "10 s of killing are over", func() bool {
		for _, pid := range s.children() {
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				kills++
				killed = time.Now()
			}
		}
		asking := time.Now()
		page := reader.must(t, "history", object{"group": "g1", "channel": "general", "limit": 20})
		slowest = max(slowest, time.Since(asking))
		asked++
		if messages, _ := page["messages"].([]any); len(messages) != 20 {
			t.Fatalf("history while ClickHouse is away: %v", page)
		}
		return time.Since(began) > 10*time.Second
	})
	during := crowd.acked.Load() - before
	db := s.database(t)
	streamtest.Eventually(t, patience, "ClickHouse answers again", func() bool { return db.Ping(t.Context()) == nil })
	back := time.Since(killed)
	crowd.awaitAcks(t, 200)
	crowd.end(t)
	var worst time.Duration
	for _, sender := range crowd.senders {
		worst = max(worst, sender.slowest)
		for _, m := range sender.messages {
			if m.refused {
				t.Errorf("a send of %s was refused while ClickHouse was away", sender.user)
			}
		}
	}
	t.Logf("killed %d times in 10 s; %d sends acknowledged meanwhile, the slowest after %v; %d pages of history, the slowest after %v; back %v after the last kill",
		kills, during, worst.Round(time.Millisecond), asked, slowest.Round(time.Millisecond), back.Round(time.Millisecond))
	if kills < 3 {
		t.Errorf("the engine was killed %d times, it should have come back each time", kills)
	}
	if during < 100 {
		t.Errorf("%d sends were acknowledged in 10 s without ClickHouse", during)
	}
	if worst > 5*time.Second || slowest > 5*time.Second {
		t.Errorf("a send took %v and a page of history %v: they wait for ClickHouse", worst, slowest)
	}
	if back > 5*time.Second {
		t.Errorf("ClickHouse was back after %v, want 5 s", back)
	}

	total := uint64(crowd.acked.Load())
	reader.await(t, "g1", "general", total)
	if v := crowd.judge(reader.complete(t, "g1", "general")); v.messages != int(total) || v.lost+v.moved+v.doubled+v.out+v.unknown > 0 {
		t.Errorf("delivered: %v", v)
	}
	where := " FINAL WHERE `group` = {g:String} AND channel = 'general'"
	group := clickhouse.Params{"g": "g1"}
	awaitCount(t, db, total, "SELECT count() FROM messages"+where, group)
	awaitCount(t, db, total, "SELECT count() FROM events"+where, group)
	if got := count(t, db, "SELECT uniqExact(client_id) FROM messages"+where, group); got != total {
		t.Errorf("ClickHouse has %d client ids, want %d", got, total)
	}
	if got := count(t, db, "SELECT max(n) FROM messages"+where, group); got != total {
		t.Errorf("ClickHouse's newest n is %d, want %d", got, total)
	}
}
