package command_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// The append path beside the same appends without it, on one node with lazy
// syncing, events of a 100-byte text. Run them together; the ratio is the
// figure:
//
//	go test -run xxx -bench Append -benchtime 3s ./services/command
func BenchmarkAppend(b *testing.B) {
	b.Run("raw/fenced-singles-512-in-flight", rawSingles)
	for _, senders := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("throng/senders=%d", senders), func(b *testing.B) { throughSequencer(b, senders, 1) })
	}
	b.Run("throng/senders=16,batches-of-64", func(b *testing.B) { throughSequencer(b, 16, 64) })
}

// rawSingles is what nats.go does with the headers of a fenced append and
// nothing else.
func rawSingles(b *testing.B) {
	n := streamtest.Provisioned(b, 1)
	js, err := jetstream.New(n.Conn, jetstream.WithPublishAsyncMaxPending(512))
	if err != nil {
		b.Fatal(err)
	}
	fence, err := js.Publish(b.Context(), streams.FenceSubject(0), nil)
	if err != nil {
		b.Fatal(err)
	}
	e := &streams.Event{Group: "g", Channel: "c", V: 1, N: 1, Epoch: 1, User: "alice", ClientID: newID(), Answer: true,
		Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: make([]byte, 100)}}}
	data, err := streams.MarshalEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	subject := streams.LogSubject(0, "g", "c")
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{
			"Nats-Expected-Last-Subject-Sequence":         {strconv.FormatUint(fence.Sequence, 10)},
			"Nats-Expected-Last-Subject-Sequence-Subject": {streams.FenceSubject(0)},
		}}
		if _, err := js.PublishMsgAsync(msg); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

// throughSequencer sends b.N messages as requests of batch commands each, with
// as many in flight as there are senders.
func throughSequencer(b *testing.B, senders, batch int) {
	n := streamtest.Provisioned(b, 1)
	serve(b, n, nil)
	newGroup(b, n.Conn)
	client := n.Connection(b)
	work := make(chan []byte, senders)
	var wait sync.WaitGroup
	failed := make(chan error, senders)
	b.ReportAllocs()
	b.ResetTimer()
	for range senders {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for data := range work {
				msg, err := client.Request(streams.CommandSubject(0), data, 10*time.Second)
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					continue
				}
				_ = msg
			}
		}()
	}
	body := string(make([]byte, 100))
	for sent := 0; sent < b.N; sent += batch {
		request := &streampb.CommandBatch{}
		for range min(batch, b.N-sent) {
			request.Commands = append(request.Commands, send(newID(), body))
		}
		data, err := proto.Marshal(request)
		if err != nil {
			b.Fatal(err)
		}
		work <- data
	}
	close(work)
	wait.Wait()
	if len(failed) > 0 {
		b.Fatal(<-failed)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
