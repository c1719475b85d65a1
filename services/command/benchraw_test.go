package command_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// rawPartition is where raw appends go. Its sequencer serves nothing and never
// notices the fences put up past it.
const rawPartition streams.Partition = 1

// raw is a turn of the best JetStream does for that many senders with fenced
// appends and nothing around: single messages on one node without syncing,
// atomic batches of all that waits elsewhere.
func (bed *bed) raw(b *testing.B, l load, t *tally) {
	if eventlog.UseBatches(bed.d.Replicas, bed.d.SyncAlways) {
		bed.rawBatches(b, l, t)
		return
	}
	turn(b, bed.rawSingles(b, l), t)
}

// rawSingles has each sender publish a fenced message and wait for it; a
// request of several commands is as many messages on their way.
func (bed *bed) rawSingles(b *testing.B, l load) []func() (int, error) {
	conn := bed.client.conn
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*l.senders*l.batch))
	if err != nil {
		b.Fatal(err)
	}
	fence, err := js.Publish(b.Context(), streams.FenceSubject(rawPartition), nil)
	if err != nil {
		b.Fatal(err)
	}
	header := nats.Header{
		"Nats-Expected-Last-Subject-Sequence":         {strconv.FormatUint(fence.Sequence, 10)},
		"Nats-Expected-Last-Subject-Sequence-Subject": {streams.FenceSubject(rawPartition)},
	}
	records := rawRecords(b, l.groups)
	var turns atomic.Uint64
	message := func() *nats.Msg {
		r := records[turns.Add(1)%uint64(len(records))]
		return &nats.Msg{Subject: r.Subject, Data: r.Data, Header: header}
	}
	senders := make([]func() (int, error), l.senders)
	for i := range senders {
		senders[i] = func() (int, error) {
			if l.batch == 1 {
				_, err := js.PublishMsg(b.Context(), message())
				return 1, err
			}
			futures := make([]jetstream.PubAckFuture, l.batch)
			for i := range futures {
				if futures[i], err = js.PublishMsgAsync(message()); err != nil {
					return 0, err
				}
			}
			for _, f := range futures {
				select {
				case <-f.Ok():
				case err := <-f.Err():
					return 0, err
				}
			}
			return l.batch, nil
		}
	}
	return senders
}

// rawBatches keeps as many records waiting as there are senders: what waits
// while a batch is under way is the next one.
func (bed *bed) rawBatches(b *testing.B, l load, t *tally) {
	w := eventlog.NewWriter(eventlog.WriterConfig{
		Conn: bed.n.Conn, Stream: streams.LogStream(rawPartition), Fence: streams.FenceSubject(rawPartition), Batches: true,
	})
	term, err := w.Fence(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer term.Close()
	records := rawRecords(b, l.groups)
	var sent []time.Time // of what is not settled, oldest first
	turns := 0
	add := func(count int) {
		for range count {
			sent = append(sent, time.Now())
			turns++
			term.Append(records[turns%len(records)])
		}
	}
	begun, before := time.Now(), t.count
	add(l.senders * l.batch)
	for term.Unsettled() > 0 {
		for _, ack := range term.Settle(<-term.Replies()) {
			if ack.Err != nil {
				b.Fatal(ack.Err)
			}
			t.add(ack.Count, time.Since(sent[0]))
			sent = sent[1:]
			if time.Since(begun) < turnTime {
				add(ack.Count)
			}
		}
	}
	t.end(before, begun)
}

// rawRecords returns an event for each group.
func rawRecords(b *testing.B, groups int) []eventlog.Record {
	b.Helper()
	var records []eventlog.Record
	for g := range groups {
		e := &streams.Event{Group: groupName(g), Channel: "c", V: 1, N: 1, Epoch: 1, User: "alice", ClientID: newID(), Answer: true,
			Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: make([]byte, 100)}}}
		data, err := streams.MarshalEvent(e)
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, eventlog.Record{Subject: streams.LogSubject(rawPartition, e.Group, e.Channel), Data: data})
	}
	return records
}
