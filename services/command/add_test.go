package command_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// TestManyAreAddedAtOnce adds members by the hundred, in one request and beyond
// what may be in flight, with a memory that holds few of them; and repeats it,
// with the same ids and with others, also past a takeover.
func TestManyAreAddedAtOnce(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	few := func(c *command.Config) { c.MaxHeld = 700 }
	stop := serve(t, n, few)
	newGroup(t, n.Conn)
	before := do(t, n.Conn, addMany(0, 3))
	if before.GetRejection() != nil || before.GetV() != 4 { // behind alice
		t.Fatalf("the first three: %v", before)
	}
	const commands = 12 // 6,000 users
	batch := &streampb.CommandBatch{}
	for i := range commands {
		batch.Commands = append(batch.Commands, addMany(i*streams.MaxAdded, (i+1)*streams.MaxAdded))
	}
	ask := func() []*streampb.Result {
		t.Helper()
		data, err := proto.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := n.Conn.Request(streams.CommandSubject(0), data, patience)
		if err != nil {
			t.Fatal(err)
		}
		results := &streampb.ResultBatch{}
		if err := proto.Unmarshal(msg.Data, results); err != nil {
			t.Fatal(err)
		}
		return results.GetResults()
	}
	// What has no room is refused, all behind it too, until it is asked again.
	done := 0
	streamtest.Eventually(t, patience, "all are added", func() bool {
		done = 0
		refused := false
		for i, r := range ask() {
			switch {
			case r.GetRejection().GetCode() == string(streams.Unavailable):
				refused = true
			case r.GetRejection() != nil || refused || r.GetV() != uint64(1+(i+1)*streams.MaxAdded):
				t.Fatalf("command %d: %v (refused before: %v)", i, r, refused)
			default:
				done++
			}
		}
		return done == commands
	})
	members := func(when string) {
		t.Helper()
		r := do(t, n.Conn, &streampb.Command{Group: "g", User: "alice", Body: &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{}}})
		if got := r.GetGroupInfo().GetCensus().GetMembers(); got != commands*streams.MaxAdded+1 {
			t.Errorf("%s: %d members, want %d", when, got, commands*streams.MaxAdded+1)
		}
	}
	members("added")
	stop()
	serve(t, n, few)
	members("taken over")
	for i, r := range ask() {
		if !r.GetDuplicate() || r.GetV() != uint64(1+(i+1)*streams.MaxAdded) {
			t.Errorf("command %d repeated: %v", i, r)
		}
	}
	for i := range batch.Commands {
		batch.Commands[i].ClientId = newID().Bytes()
	}
	for i, r := range ask() {
		if !r.GetAlready() {
			t.Errorf("command %d by another id: %v", i, r)
		}
	}
	if r := do(t, n.Conn, addMany(commands*streams.MaxAdded-2, commands*streams.MaxAdded+1)); r.GetV() != commands*streams.MaxAdded+2 {
		t.Errorf("two who are and one who is not: %v", r)
	}
}
