package command_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// as is a command of a user who is present in the room, by the edge's word.
func as(user string, c *streampb.Command) *streampb.Command {
	c.Group, c.User = "g", user
	c.Present = c.GetJoin() == nil // who joins has a minute
	c.ClientId = newID().Bytes()
	return c
}

func set(user string, body *streampb.SetAttributes) *streampb.Command {
	return as(user, &streampb.Command{Body: &streampb.Command_AttrSet{AttrSet: body}})
}

// newRoom makes a room with a channel and as many members as asked for.
func newRoom(t *testing.T, conn *nats.Conn, members int) {
	t.Helper()
	commands := []*streampb.Command{
		as("alice", &streampb.Command{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "room"}}}),
		as("alice", &streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "c", Kind: "public"}}}),
	}
	for i := range members {
		commands = append(commands, as(fmt.Sprint("u", i), &streampb.Command{Body: &streampb.Command_Join{Join: &streampb.Join{}}}))
	}
	for _, c := range commands {
		if r := do(t, conn, c); r.GetRejection() != nil {
			t.Fatalf("%T: %v", c.Body, r.GetRejection())
		}
	}
}

// grab is one attempt at a seat and what came of it.
type grab struct {
	key    string
	user   string
	result *streampb.Result
}

// Every round, 200 clients compare and set the same 8 keys, over two
// connections, while in the second the owner is replaced by another. Each key
// has one winner a round, and everybody else is told of that one.
func TestASeatHasOneWinnerARound(t *testing.T) {
	const clients, seats, rounds = 200, 8, 3
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newRoom(t, n.Conn, clients)
	conns := []*nats.Conn{n.Connection(t), n.Connection(t)}
	versions := make([]uint64, seats)
	won := map[string]map[uint64]string{} // by key and version
	for round := range rounds {
		grabs := make(chan grab, clients*seats)
		var wait sync.WaitGroup
		for i := range clients {
			wait.Go(func() {
				for k := range seats {
					seat := (i + k) % seats
					g := grab{key: fmt.Sprint("seat", seat), user: fmt.Sprint("u", i)}
					c := set(g.user, &streampb.SetAttributes{
						Set: map[string]string{g.key: g.user}, IfV: map[string]uint64{g.key: versions[seat]},
					})
					var err error
					if g.result, err = try(conns[i%2], c, patience); err != nil {
						t.Errorf("round %d: %v", round, err)
						continue
					}
					grabs <- g
				}
			})
		}
		if round == 1 {
			stop()
			stop = serve(t, n, nil)
		}
		wait.Wait()
		close(grabs)
		winners, losers := map[string]grab{}, []grab{}
		for g := range grabs {
			switch r := g.result.GetRejection(); {
			case r == nil && winners[g.key].user != "":
				t.Errorf("round %d: %s and %s have %s", round, winners[g.key].user, g.user, g.key)
			case r == nil:
				winners[g.key] = g
			case r.GetCode() != string(streams.Conflict):
				t.Errorf("round %d: %s is refused with %v", round, g.user, r)
			default:
				losers = append(losers, g)
			}
		}
		if len(winners) != seats || len(losers) != clients*seats-seats {
			t.Fatalf("round %d: %d winners and %d losers", round, len(winners), len(losers))
		}
		for _, g := range losers {
			now, winner := g.result.GetRejection().GetCurrent(), winners[g.key]
			if len(now) != 1 || now[0].GetKey() != g.key || now[0].GetValue() != winner.user || now[0].GetV() != winner.result.GetV() {
				t.Fatalf("round %d: %s lost %s and is told %v, it is %s's at %d", round, g.user, g.key, now, winner.user, winner.result.GetV())
			}
		}
		for seat := range seats {
			key := fmt.Sprint("seat", seat)
			versions[seat] = winners[key].result.GetV()
			if won[key] == nil {
				won[key] = map[uint64]string{}
			}
			won[key][versions[seat]] = winners[key].user
		}
	}
	for _, e := range history(t, n, streams.GroupChannel) { // and the log says the same
		if p, ok := e.Payload.(streams.AttributeSet); ok && won[p.GetKey()][uint64(e.V)] != p.GetValue() {
			t.Errorf("at v %d %s is set to %s, which nobody was told", e.V, p.GetKey(), p.GetValue())
		}
	}
}

// attributes reads all pages.
func attributes(t *testing.T, conn *nats.Conn) map[string]*streampb.Attribute {
	t.Helper()
	all, after := map[string]*streampb.Attribute{}, ""
	for {
		r := do(t, conn, &streampb.Command{Group: "g", User: "alice", Body: &streampb.Command_Attrs{Attrs: &streampb.ReadAttributes{After: after}}})
		if r.GetRejection() != nil {
			t.Fatal(r.GetRejection())
		}
		if r.GetAttributes().GetSeq() != r.GetSeq() {
			t.Errorf("a page as of %d with an answer as of %d", r.GetAttributes().GetSeq(), r.GetSeq())
		}
		for _, a := range r.GetAttributes().GetAttributes() {
			all[a.GetKey()] = a
		}
		if after = r.GetAttributes().GetAfter(); after == "" {
			return all
		}
	}
}

// More attributes than a server tells of at once are found again by the next
// owner, whole; those deleted leave no record, and what was set anew since does.
func TestAttributesAreLoadedWhole(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newRoom(t, n.Conn, 0)
	for from := range 25 {
		body := &streampb.SetAttributes{Set: map[string]string{}}
		for k := range 100 {
			body.Set[fmt.Sprintf("key-%d", from*100+k)] = fmt.Sprintf("%200d", k)
		}
		if r := do(t, n.Conn, set("alice", body)); r.GetRejection() != nil {
			t.Fatal(r.GetRejection())
		}
	}
	written := attributes(t, n.Conn)
	for restart := range 2 {
		stop()
		stop = serve(t, n, nil)
		found := attributes(t, n.Conn)
		for key, want := range written {
			if !proto.Equal(found[key], want) {
				t.Fatalf("after restart %d %s is %v, not %v", restart, key, found[key], want)
			}
		}
		if len(found) != len(written) || len(found) != 2500-restart*99 {
			t.Fatalf("after restart %d there are %d, there were %d", restart, len(found), len(written))
		}
		if restart > 0 {
			break
		}
		body := &streampb.SetAttributes{}
		for k := range 100 {
			body.Del = append(body.Del, fmt.Sprintf("key-%d", k*25))
			delete(written, body.Del[k])
		}
		for _, body := range []*streampb.SetAttributes{body, {Set: map[string]string{"key-0": "anew"}}} {
			if r := do(t, n.Conn, set("alice", body)); r.GetRejection() != nil {
				t.Fatal(r.GetRejection())
			}
		}
		written = attributes(t, n.Conn)
		records := 0
		streamtest.Eventually(t, patience, "the records of deleted attributes to be dropped", func() bool {
			records = countRecords(t, n)
			return records <= len(written)
		})
		if records != len(written) {
			t.Fatalf("%d attributes have %d records", len(written), records)
		}
	}
}

// countRecords is how many attributes have records in the snapshot.
func countRecords(t *testing.T, n *streamtest.NATS) int {
	t.Helper()
	stream, err := n.JS.Stream(t.Context(), streams.StateStream(0))
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(streams.StateAttributes(0, "g", streams.GroupChannel)))
	if err != nil {
		t.Fatal(err)
	}
	return len(info.State.Subjects)
}

// Reactions are counted exactly through restarts: from memory, from the log's
// tail and from the snapshot.
func TestReactionsAreCountedThroughRestarts(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newRoom(t, n.Conn, 30)
	if r := do(t, n.Conn, send(newID(), "react to this")); r.GetN() != 1 {
		t.Fatal(r)
	}
	react := func(user int) *streampb.Result {
		return do(t, n.Conn, as(fmt.Sprint("u", user), &streampb.Command{Body: &streampb.Command_React{
			React: &streampb.React{Channel: "c", N: 1, Emoji: "👍"},
		}}))
	}
	for user := range 30 {
		if user%10 == 5 {
			stop()
			stop = serve(t, n, nil)
		}
		if r := react(user); r.GetRejection() != nil || r.GetCount() != uint64(user+1) || r.GetAlready() {
			t.Fatalf("%d reacts: %v", user, r)
		}
		if r := react(user / 2); !r.GetAlready() || r.GetCount() != uint64(user+1) {
			t.Fatalf("%d reacts again: %v", user/2, r)
		}
	}
	for i, e := range history(t, n, "c")[1:] {
		if p, ok := e.Payload.(streams.Reacted); !ok || p.GetCount() != uint64(i+1) {
			t.Fatalf("v %d is %v", e.V, e.Payload)
		}
	}
}

// What a request leads to is bounded: commands of many events each are done up
// to where too much waits to be stored, and all behind are to come again.
func TestARequestOfManyEventsIsBounded(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	serve(t, n, nil)
	newRoom(t, n.Conn, 0)
	request := &streampb.CommandBatch{}
	for i := range 60 {
		body := &streampb.SetAttributes{Set: map[string]string{}}
		for k := range streams.MaxSetKeys {
			body.Set[fmt.Sprintf("%d-%d", i, k)] = "x"
		}
		request.Commands = append(request.Commands, set("alice", body))
	}
	request.Commands = append(request.Commands, send(newID(), "behind all"))
	data, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := n.Conn.Request(streams.CommandSubject(0), data, patience)
	if err != nil {
		t.Fatal(err)
	}
	answer := &streampb.ResultBatch{}
	if err := proto.Unmarshal(msg.Data, answer); err != nil {
		t.Fatal(err)
	}
	done := 0
	for i, r := range answer.GetResults() {
		switch code := streams.Code(r.GetRejection().GetCode()); {
		case code == "" && done == i:
			done++
		case code != streams.Unavailable:
			t.Errorf("the %dth is answered %v behind %d that were done", i, r, done)
		}
	}
	const most = eventlog.MaxInFlight - streams.MaxAdded
	if events := done * streams.MaxSetKeys; events < most || events > most+streams.MaxSetKeys {
		t.Errorf("%d were done", done)
	}
	if found := attributes(t, n.Conn); len(found) != done*streams.MaxSetKeys {
		t.Errorf("%d attributes of %d", len(found), done*streams.MaxSetKeys)
	}
}
