package history

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// silent accepts connections and never says a word, as a ClickHouse that hangs.
func silent(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		var held []net.Conn
		defer func() {
			for _, c := range held {
				_ = c.Close()
			}
		}()
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}

func TestWithoutClickHouseTheAnswerIsQuickAndThereIsNoPileUp(t *testing.T) {
	for _, away := range []struct{ name, address string }{{"refused", "127.0.0.1:1"}, {"hanging", silent(t)}} {
		t.Run(away.name, func(t *testing.T) {
			n := serve(t, "clickhouse://"+away.address+"/db")
			first := time.Now()
			page := askHistory(t, n, &streampb.HistoryQuery{Group: "g", Channel: "c"})
			if got := page.GetError().GetCode(); got != string(streams.HistoryUnavailable) || time.Since(first) > 1500*time.Millisecond {
				t.Errorf("got %q after %v", got, time.Since(first))
			}
			var all sync.WaitGroup
			begun := time.Now()
			for range 200 {
				all.Go(func() {
					switch code := askEvents(t, n, &streampb.EventQuery{Group: "g", Channel: "c"}).GetError().GetCode(); code {
					case string(streams.HistoryUnavailable), string(streams.Unavailable):
					default:
						t.Errorf("got %q", code)
					}
				})
			}
			all.Wait()
			if elapsed := time.Since(begun); elapsed > 2*time.Second {
				t.Errorf("200 queries took %v", elapsed)
			}
		})
	}
}

func TestMoreThanItCanDoAtOnceIsRefusedAtOnce(t *testing.T) {
	n := streamtest.New(t)
	s, err := New(Config{Conn: n.Conn, DSN: "clickhouse://" + silent(t) + "/db"})
	if err != nil {
		t.Fatal(err)
	}
	for range concurrent {
		s.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	streamtest.Eventually(t, patience, "the service answers", func() bool {
		data, _ := proto.Marshal(&streampb.EventQuery{Group: "g", Channel: "c"})
		msg, err := n.Conn.Request(streams.QueryEvents, data, patience)
		page := &streampb.EventPage{}
		return err == nil && proto.Unmarshal(msg.Data, page) == nil && page.GetError().GetCode() == string(streams.Unavailable)
	})
}

func TestTheBreakerOpensForASecond(t *testing.T) {
	var b breaker
	now := time.Now()
	b.fail(now, true)
	if err := b.allow(now); err != nil {
		t.Errorf("ClickHouse answered, and the breaker is open: %v", err)
	}
	b.fail(now, false)
	if err := b.allow(now.Add(openFor / 2)); err == nil {
		t.Error("the breaker is closed right after a failure")
	}
	if err := b.allow(now.Add(openFor)); err != nil {
		t.Errorf("the breaker stays open: %v", err)
	}
}
