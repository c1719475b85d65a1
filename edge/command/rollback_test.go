package command_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// A rollback that is cut short says so, and the same command again, or
// another like it, goes on where it ended. The owner here would recall twice what it is asked for twice.
func TestARollbackThatIsRepeatedGoesOn(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stand := edgetest.NewOwner(t, n.Connection(t), 0)
	client, registry := owner.New(n.Conn, 1), prometheus.NewRegistry()
	loader := backfill.New(backfill.Config{Conn: n.Conn, Partitions: 1, Metrics: backfill.NewMetrics(registry)})
	runner := command.New(command.Config{
		Hub: hub.New(hub.Config{
			Conn: n.Conn, JS: n.JS, Owner: client, Loader: loader, Logger: streamtest.Logger(t), Metrics: hub.NewMetrics(registry),
		}),
		Loader: loader, Owner: client, Logger: streamtest.Logger(t), Metrics: command.NewMetrics(registry), Limits: limit.New(limit.Limits{}),
	}).WithRollbackMost(50)

	commands := []*streampb.Command{
		{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "room", Name: "G"}}},
		{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "c", Kind: "public"}}},
	}
	for i := range 240 {
		commands = append(commands, &streampb.Command{
			User: []string{"mallory", "bob"}[i%2], Body: &streampb.Command_Send{Send: &streampb.Send{Channel: "c", Type: "text", Body: []byte("x")}},
		})
	}
	for i, c := range commands {
		c.Group, c.Server, c.ClientId = "g", true, streams.MakeClientID(int64(i)+1, [10]byte{}).Bytes()
		if c.User == "" {
			c.User = "alice"
		}
	}
	for _, r := range client.Do(t.Context(), 0, commands) {
		if r.GetRejection() != nil {
			t.Fatal(r.GetRejection())
		}
	}

	object := fmt.Sprintf(`{"group":"g","users":["mallory"],"since_seq":1,"client_id":%q}`, streams.MakeClientID(time.Now().UnixMilli(), [10]byte{1}))
	for round, want := range []struct {
		recalled, banned int
		more             bool
	}{{50, 1, true}, {50, 0, true}, {20, 0, false}, {0, 0, false}} {
		if round == 2 { // under another client_id
			object = `{"group":"g","users":["mallory"],"since_seq":1,"ban":false}`
		}
		c, err := wire.Parse(wire.Rollback, []byte(object))
		if err != nil {
			t.Fatal(err)
		}
		task, err := runner.Prepare(command.Caller{User: "alice"}, c, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		answer := runner.Rollback(t.Context(), task)
		banned := stand.Events("g", streams.MembersChannel)
		through := max(banned[len(banned)-1].Seq, 0)
		if events := stand.Events("g", "c"); round > 0 { // what it had recalled before
			through = max(through, events[len(events)-1-want.recalled].Seq)
		}
		if got, want := string(answer.OK), string(wire.AppendRolledBack(nil, want.recalled, want.banned, through, want.more)); got != want || answer.Err != nil {
			t.Errorf("round %d: got %s %v, want %s", round, got, answer.Err, want)
		}
	}
	recalls := map[uint64]int{}
	for _, e := range stand.Events("g", "c") {
		if p, ok := e.Payload.(streams.MessageRecalled); ok {
			recalls[p.GetTarget()]++
		}
	}
	for n := uint64(1); n <= 240; n++ {
		if want := int(n % 2); recalls[n] != want {
			t.Errorf("message %d was recalled %d times, want %d", n, recalls[n], want)
		}
	}
}
