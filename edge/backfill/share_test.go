package backfill_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that one page is loaded once for all who want it at the same time,
// whoever they are, and that who reacted is told so and nobody else.
func TestOneLoadForManyReaders(t *testing.T) {
	const readers = 40
	for _, row := range []struct {
		name    string
		reacted bool
		loads   int32 // at most
	}{
		{"nobody reacted", false, 1},
		{"somebody did", true, readers + 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := streamtest.Provisioned(t, 1)
			var asked atomic.Int32
			answer := func(msg *nats.Msg) {
				question := &streampb.HistoryQuery{}
				if err := proto.Unmarshal(msg.Data, question); err != nil {
					t.Error(err)
				}
				state := &streampb.MessageState{V: 1, N: 1, Seq: 1, Ts: 1, User: "alice", Message: &streampb.MessagePosted{Type: "text", Body: []byte("x")}}
				if row.reacted {
					state.Reactions = []*streampb.Reaction{{Emoji: "a", Count: 1, Mine: question.GetUser() == "u7"}}
				}
				data, err := proto.Marshal(&streampb.HistoryPage{Messages: []*streampb.MessageState{state}, Through: 1})
				if err != nil {
					t.Error(err)
				}
				if asked.Add(1) > 1 {
					_ = msg.Respond(data)
					return
				}
				// The first is long enough under way for all to have come.
				time.AfterFunc(time.Second, func() { _ = msg.Respond(data) })
			}
			sub, err := n.Connection(t).Subscribe(streams.QueryHistory, answer)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sub.Unsubscribe() })
			loader := backfill.New(backfill.Config{Conn: n.Conn, Partitions: 1, Metrics: backfill.NewMetrics(prometheus.NewRegistry())})
			streamtest.Eventually(t, patience, "questions are heard", func() bool { return sub.IsValid() && n.Conn.Flush() == nil })
			var all sync.WaitGroup
			for i := range readers {
				all.Go(func() {
					q := backfill.Query{After: wire.Option{Given: true}, Limit: 10, User: streams.User(fmt.Sprint("u", i))}
					messages, _, err := loader.History(t.Context(), backfill.Target{Group: "g", Channel: "c"}, q, backfill.Head{V: 1, N: 1}, nil)
					if err != nil || len(messages) != 1 {
						t.Errorf("%d messages, %v", len(messages), err)
						return
					}
					if got := messages[0].Reactions; row.reacted && (len(got) != 1 || got[0].Mine != (i == 7)) {
						t.Errorf("u%d: %+v", i, got)
					}
				})
			}
			all.Wait()
			if got := asked.Load(); got > row.loads {
				t.Errorf("%d loads for %d readers", got, readers)
			}
		})
	}
}
