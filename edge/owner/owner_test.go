package owner_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

func encoded(t *testing.T, r *streampb.Result) []byte {
	t.Helper()
	data, err := proto.Marshal(&streampb.ResultBatch{Results: []*streampb.Result{r}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// remote answers the requests over NATS and tells of each.
func remote(t *testing.T, n *streamtest.NATS, result *streampb.Result) <-chan *nats.Msg {
	t.Helper()
	asked := make(chan *nats.Msg, 16)
	answer := encoded(t, result)
	sub, err := n.Connection(t).Subscribe(streams.CommandSubject(0), func(msg *nats.Msg) {
		asked <- msg
		_ = msg.Respond(answer)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return asked
}

func do(t *testing.T, c *owner.Client) *streampb.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), owner.Deadline)
	defer cancel()
	return c.Do(ctx, 0, []*streampb.Command{{Group: "g", User: "alice"}})[0]
}

func TestOwnersInTheProcessAreAskedThere(t *testing.T) {
	n := streamtest.New(t)
	asked := remote(t, n, &streampb.Result{V: 2})
	var got []byte
	c := owner.New(n.Conn, 1).Beside(func(_ streams.Partition, data []byte, respond func([]byte)) bool {
		got = data
		respond(encoded(t, &streampb.Result{V: 1}))
		return true
	})
	if r := do(t, c); r.GetV() != 1 {
		t.Errorf("got %v, want the answer of the process's own", r)
	}
	batch := &streampb.CommandBatch{}
	if err := proto.Unmarshal(got, batch); err != nil || batch.GetCommands()[0].GetGroup() != "g" {
		t.Errorf("the owner got %v %v, want the request as it is over NATS", batch, err)
	}
	if len(asked) > 0 {
		t.Error("the request went over NATS as well")
	}
}

func TestOwnersElsewhereAreAskedOverNATS(t *testing.T) {
	n := streamtest.New(t)
	asked := remote(t, n, &streampb.Result{V: 2})
	c := owner.New(n.Conn, 1).Beside(func(streams.Partition, []byte, func([]byte)) bool { return false })
	if r := do(t, c); r.GetV() != 2 || len(asked) != 1 {
		t.Errorf("got %v after %d requests over NATS, want its answer after one", r, len(asked))
	}
}

// What was taken and not answered may have been done: the command goes out
// again, wherever the owner is by then, and what is its own is no repetition.
func TestATakenRequestWithoutAnAnswerIsSentAgain(t *testing.T) {
	for name, movesAway := range map[string]bool{"to the same owner": false, "to the next one over NATS": true} {
		t.Run(name, func(t *testing.T) {
			n := streamtest.New(t)
			asked := remote(t, n, &streampb.Result{V: 2})
			requests, first := 0, uint32(0)
			late := make(chan func(), 1)
			number := func(request []byte) uint32 {
				batch := &streampb.CommandBatch{}
				if err := proto.Unmarshal(request, batch); err != nil {
					t.Error(err)
				}
				return batch.GetCommands()[0].GetAttempt()
			}
			c := owner.New(n.Conn, 1).Beside(func(_ streams.Partition, request []byte, respond func([]byte)) bool {
				if requests++; requests == 1 {
					first = number(request)
					late <- func() { respond(encoded(t, &streampb.Result{V: 9})) }
					return true
				}
				if again := number(request); again != first || again == 0 {
					t.Errorf("sent again as attempt %d, want %d", again, first)
				}
				if !movesAway {
					respond(encoded(t, &streampb.Result{V: 2}))
				}
				return !movesAway
			})
			begun := time.Now()
			r := do(t, c)
			if r.GetV() != 2 || requests != 2 || (len(asked) == 1) != movesAway {
				t.Errorf("got %v after %d requests and %d over NATS", r, requests, len(asked))
			}
			if waited := time.Since(begun); waited < 500*time.Millisecond {
				t.Errorf("sent again after %v: an answer takes longer", waited)
			}
			(<-late)() // an answer behind its time hurts nobody
		})
	}
}

func TestABusyOwnerInTheProcessIsAskedAgain(t *testing.T) {
	n := streamtest.New(t)
	requests := 0
	c := owner.New(n.Conn, 1).Beside(func(_ streams.Partition, _ []byte, respond func([]byte)) bool {
		result := &streampb.Result{V: 1}
		if requests++; requests < 3 {
			result = owner.Refused(owner.Unavailable())
		}
		respond(encoded(t, result))
		return true
	})
	if r := do(t, c); r.GetV() != 1 || requests != 3 {
		t.Errorf("got %v after %d requests", r, requests)
	}
}
