package owner_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that what many ask at once goes in few requests and that each gets
// their own answer, also where an answer to so many is too large to come.
func TestManyWhoAskAtOnceAreFewRequests(t *testing.T) {
	for _, row := range []struct {
		name       string
		answers    int // most commands of a request that gets an answer
		most, many int // requests
	}{
		{"all answers come", 1000, 24, 2000},
		{"answers to more than 40 do not come", 40, 24, 300},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := streamtest.New(t)
			var requests atomic.Int32
			sub, err := n.Connection(t).Subscribe(streams.CommandSubject(0), func(msg *nats.Msg) {
				requests.Add(1)
				batch := &streampb.CommandBatch{}
				if err := proto.Unmarshal(msg.Data, batch); err != nil {
					t.Error(err)
				}
				answer := &streampb.ResultBatch{}
				for _, c := range batch.GetCommands() {
					answer.Results = append(answer.Results, &streampb.Result{Channel: c.GetUser()})
				}
				if data, err := proto.Marshal(answer); err != nil {
					t.Error(err)
				} else if len(answer.Results) <= row.answers {
					_ = msg.Respond(data)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sub.Unsubscribe() })
			c := owner.New(n.Conn, 1)
			if err := n.Conn.Flush(); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			start := make(chan struct{}) // closed when all are there
			for i := range row.many {
				all.Go(func() {
					<-start
					user := fmt.Sprint("u", i)
					r, err := c.Together(t.Context(), 0, &streampb.Command{User: user})
					if err == nil && r.GetChannel() != user {
						t.Errorf("%s got the answer of %q", user, r.GetChannel())
					}
					if err != nil {
						t.Errorf("%s: %v", user, err)
					}
				})
			}
			close(start)
			all.Wait()
			if got := int(requests.Load()); got > row.most {
				t.Errorf("%d requests for %d commands", got, row.many)
			}
		})
	}
}
