package command_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// The append path beside the same appends without it, events of a 100-byte
// text, in one run for each kind of stream. The ratios are the figure; times
// depend on the machine and what else it does.
//
//	go test -run xxx -bench Append -benchtime 2s ./services/command
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(testing.TB) *streamtest.NATS
		d    topology.Deployment
	}{
		{"R1-lazy", streamtest.New, topology.Deployment{Partitions: 1, Replicas: 1}},
		{"R1-always", streamtest.Syncing, topology.Deployment{Partitions: 1, Replicas: 1, SyncAlways: true}},
		{"R3-lazy", first(streamtest.Three), topology.Deployment{Partitions: 1, Replicas: 3}},
		{"R3-always", first(streamtest.ThreeSyncing), topology.Deployment{Partitions: 1, Replicas: 3, SyncAlways: true}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			open := func(b *testing.B) *streamtest.NATS {
				n := kind.open(b)
				streamtest.Provision(b, n, kind.d)
				return n
			}
			b.Run("raw/one-at-a-time", func(b *testing.B) { rawOne(b, open(b)) })
			if kind.d.Replicas == 1 {
				b.Run("raw/singles-512", func(b *testing.B) { rawSingles(b, open(b)) })
			}
			b.Run("raw/batches-500", func(b *testing.B) { rawBatches(b, open(b)) })
			for _, senders := range []int{1, 64, 1024} {
				b.Run(fmt.Sprintf("throng/senders-%d", senders), func(b *testing.B) { throughSequencer(b, open(b), senders, 1) })
			}
			// As edges send: what came in while a request was under way goes together.
			b.Run("throng/lanes-16x64", func(b *testing.B) { throughSequencer(b, open(b), 16, 64) })
		})
	}
}

func first(open func(testing.TB) [3]*streamtest.NATS) func(testing.TB) *streamtest.NATS {
	return func(t testing.TB) *streamtest.NATS { return open(t)[0] }
}

func record(b *testing.B) eventlog.Record {
	b.Helper()
	e := &streams.Event{Group: "g", Channel: "c", V: 1, N: 1, Epoch: 1, User: "alice", ClientID: newID(), Answer: true,
		Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: make([]byte, 100)}}}
	data, err := streams.MarshalEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	return eventlog.Record{Subject: streams.LogSubject(0, "g", "c"), Data: data}
}

func rawFence(b *testing.B, n *streamtest.NATS) (js jetstream.JetStream, header nats.Header) {
	b.Helper()
	js, err := jetstream.New(n.Conn, jetstream.WithPublishAsyncMaxPending(512))
	if err != nil {
		b.Fatal(err)
	}
	fence, err := js.Publish(b.Context(), streams.FenceSubject(0), nil)
	if err != nil {
		b.Fatal(err)
	}
	return js, nats.Header{
		"Nats-Expected-Last-Subject-Sequence":         {strconv.FormatUint(fence.Sequence, 10)},
		"Nats-Expected-Last-Subject-Sequence-Subject": {streams.FenceSubject(0)},
	}
}

// rawOne waits for each append before the next.
func rawOne(b *testing.B, n *streamtest.NATS) {
	js, header := rawFence(b, n)
	r := record(b)
	latency := hdrhistogram.New(1, 10_000_000, 3)
	b.ResetTimer()
	for range b.N {
		begun := time.Now()
		if _, err := js.PublishMsg(b.Context(), &nats.Msg{Subject: r.Subject, Data: r.Data, Header: header}); err != nil {
			b.Fatal(err)
		}
		_ = latency.RecordValue(time.Since(begun).Microseconds())
	}
	report(b, latency)
}

// rawSingles keeps 512 single appends in flight.
func rawSingles(b *testing.B, n *streamtest.NATS) {
	js, header := rawFence(b, n)
	r := record(b)
	b.ResetTimer()
	for range b.N {
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: r.Subject, Data: r.Data, Header: header}, jetstream.WithStallWait(10*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	report(b, nil)
}

// rawBatches sends atomic batches of 500, one in flight, with nothing around.
func rawBatches(b *testing.B, n *streamtest.NATS) {
	w := eventlog.NewWriter(eventlog.WriterConfig{Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0), Batches: true})
	term, err := w.Fence(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer term.Close()
	r := record(b)
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		batch := make([]eventlog.Record, min(500, b.N-sent))
		for i := range batch {
			batch[i] = r
		}
		term.Append(batch...)
		sent += len(batch)
		for term.Unsettled() > 0 {
			for _, ack := range term.Settle(<-term.Replies()) {
				if ack.Err != nil {
					b.Fatal(ack.Err)
				}
			}
		}
	}
	report(b, nil)
}

func report(b *testing.B, latency *hdrhistogram.Histogram) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(0, "ns/op") // the rate says it
	if latency != nil {
		b.ReportMetric(float64(latency.ValueAtQuantile(50))/1000, "p50-ms")
		b.ReportMetric(float64(latency.ValueAtQuantile(99))/1000, "p99-ms")
	}
}

// throughSequencer sends b.N messages as requests of batch commands each, with
// as many in flight as there are senders. The latency is a request's, to the
// acknowledgement of all of it.
func throughSequencer(b *testing.B, n *streamtest.NATS, senders, batch int) {
	serve(b, n, nil)
	newGroup(b, n.Conn)
	client := n.Connection(b)
	work := make(chan []byte, senders)
	var wait sync.WaitGroup
	var mu sync.Mutex
	latency := hdrhistogram.New(1, 20_000_000, 3) // guarded by mu
	failed := make(chan error, senders)
	body := string(make([]byte, 100))
	b.ResetTimer()
	for range senders {
		wait.Go(func() {
			for data := range work {
				begun := time.Now()
				if _, err := client.Request(streams.CommandSubject(0), data, 10*time.Second); err != nil {
					select {
					case failed <- err:
					default:
					}
					continue
				}
				mu.Lock()
				_ = latency.RecordValue(time.Since(begun).Microseconds())
				mu.Unlock()
			}
		})
	}
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
	report(b, latency)
}
