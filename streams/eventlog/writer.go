package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/throng/throng/streams"
)

// Headers JetStream reads on an append.
const (
	headerExpectSeq     = "Nats-Expected-Last-Sequence"
	headerExpectSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerExpectSubjSeq = "Nats-Expected-Last-Subject-Sequence"
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSeq      = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

const (
	// MaxInFlight bounds the records that are sent and not acknowledged, and
	// so the memory of a term. The sequencer takes no command beyond it.
	MaxInFlight = 4096
	// maxBatch is the largest atomic batch; the server's own limit is 1,000.
	maxBatch = 1000
	// minHalf is from how many records on what is unsettled goes in two halves,
	// so that one is decided and answered while the other is stored.
	minHalf = 128
	// maxBatchBytes keeps a batch's staging on the server small.
	maxBatchBytes = 4 << 20 // bytes
)

// WriterConfig says what a [Writer] writes to.
type WriterConfig struct {
	Conn   *nats.Conn // required, unless Transport is set
	Stream string     // its name; required
	Fence  string     // the literal subject of its fence; required
	// Transport carries the appends. Default is Conn.
	Transport Transport
	// Now is the clock of [Term.Overdue]. Default time.Now.
	Now func() time.Time
	// Batches makes every append an atomic batch. Set for replicated streams
	// and where the server syncs each write ([UseBatches]).
	Batches bool
	// WithoutFence leaves the fence off every append. Only tests set it, to
	// show that their checker notices.
	WithoutFence bool
}

// Writer starts terms on one stream.
type Writer struct{ config WriterConfig }

// NewWriter returns a writer; it touches no network.
func NewWriter(config WriterConfig) *Writer {
	if config.Transport == nil {
		config.Transport = OverNATS(config.Conn)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Writer{config: config}
}

// UseBatches is the append policy. On one node without syncing, an atomic
// batch costs 5 to 10 ms and single appends pipeline; on a replicated stream
// the server admits one unapplied proposal per fence, so singles are refused
// and batches carry; where each write is synced, a batch pays for one sync.
func UseBatches(replicas int, syncAlways bool) bool { return replicas > 1 || syncAlways }

// Record is one message to append.
type Record struct {
	Subject string
	Data    []byte
}

// Ack tells what became of one call of [Term.Append].
type Ack struct {
	First streams.Seq // of its first record
	Count int         // records
	Err   error       // nil: stored. Else ErrFenced, ErrFull or ErrUnknown, and the term is over
}

// Term is the right to append between one fence and the next. It is owned by
// one goroutine, which calls Append, Settle and Close. For an owner that goes
// on without one, a nil term has nothing unsettled, overdue or to be replied.
type Term struct {
	// Static after Fence.
	epoch   streams.Epoch
	config  WriterConfig
	replies chan *nats.Msg // never closed; holds MaxInFlight, more is not waited for
	stop    func()         // ends the subscription to replies
	inbox   string
	stored  []byte // how the usual acknowledgement begins, before its sequence
	// The values of headers that are the same for every append of the term.
	epochValue, fenceValue []string

	// Owned by the caller's goroutine.
	next    streams.Seq // sequence of the next record handed in
	queue   []group     // handed in, not sent
	flight  []group     // sent, not settled, oldest first
	records int         // in queue and flight
	peak    int         // about the most records of late
	held    bool        // more is about to be handed in
	batched bool        // nothing may follow before flight is settled
	err     error
}

// group is the records of one Append.
type group struct {
	first   streams.Seq
	records []Record
	sent    time.Time
}

func (g group) last() streams.Seq { return g.first + streams.Seq(len(g.records)) - 1 }

type reply struct {
	last streams.Seq // of the records it answers
	seq  streams.Seq // what the server says
	err  error
}

type pubAck struct {
	Seq   uint64    `json:"seq"`
	Error *apiError `json:"error"`
}

// Fence appends body to the fence subject without condition, which ends every
// other term of the stream, and starts one. The error wraps [ErrUnknown] where
// the fence may stand: fencing again is always safe.
func (w *Writer) Fence(ctx context.Context, body []byte) (*Term, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	answer, err := w.config.Transport.Request(ctx, w.config.Fence, body)
	if err != nil {
		return nil, fmt.Errorf("put up a fence on %s: %w: %w", w.config.Stream, ErrUnknown, err)
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return nil, fmt.Errorf("put up a fence on %s: %w: %w", w.config.Stream, ErrUnknown, err)
	}
	if ack.Error != nil {
		return nil, fmt.Errorf("put up a fence on %s: %w", w.config.Stream, ack.Error.asError())
	}
	t := &Term{
		epoch:   streams.Epoch(ack.Seq),
		config:  w.config,
		replies: make(chan *nats.Msg, MaxInFlight),
		inbox:   nats.NewInbox(),
		stored:  fmt.Appendf(nil, `{"stream":%q,"seq":`, w.config.Stream),
		next:    streams.Seq(ack.Seq) + 1,

		epochValue: []string{strconv.FormatUint(ack.Seq, 10)},
		fenceValue: []string{w.config.Fence},
	}
	t.stop, err = w.config.Transport.Subscribe(t.inbox+".*", t.replies)
	if err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements of %s: %w", w.config.Stream, err)
	}
	return t, nil
}

// Epoch is the sequence of the term's fence.
func (t *Term) Epoch() streams.Epoch { return t.epoch }

// Next is the sequence the next record will have.
func (t *Term) Next() streams.Seq { return t.next }

// Unsettled is how many records are handed in and not settled. The caller
// keeps it at or below [MaxInFlight].
func (t *Term) Unsettled() int {
	if t == nil {
		return 0
	}
	return t.records
}

// Append hands in records that are stored together or not at all, at the
// sequences from the returned one on. It does not wait; [Term.Settle] tells
// the outcome, in the order of the appends.
func (t *Term) Append(records ...Record) streams.Seq {
	first := t.next
	t.next += streams.Seq(len(records))
	t.records += len(records)
	t.queue = append(t.queue, group{first: first, records: records})
	t.pump()
	return first
}

// Hold says that more is handed in at once, up to the next [Term.Flush]: where
// appends are batches, the first would otherwise go alone and the rest wait for
// it. Holding twice is holding once.
func (t *Term) Hold() { t.held = t.config.Batches }

// Flush ends [Term.Hold].
func (t *Term) Flush() {
	t.held = false
	t.pump()
}

// pump sends what may be sent now.
func (t *Term) pump() {
	if t.held {
		return
	}
	for t.err == nil && len(t.queue) > 0 && !t.batched {
		single := len(t.queue[0].records) == 1
		if single && !t.config.Batches {
			t.sendSingle()
			continue
		}
		if len(t.flight) > 0 {
			return // a batch goes alone
		}
		if single && len(t.queue) == 1 {
			// Alone it travels cheaper as what it is: a batch of one takes three
			// to ten times as long. What comes meanwhile is the next batch.
			t.sendSingle()
			t.batched = true
			return
		}
		t.sendBatch()
	}
}

func (t *Term) fenceHeader(first streams.Seq) nats.Header {
	header := nats.Header{}
	if t.config.WithoutFence {
		return header
	}
	// The first keeps holes out: it refuses all that follow a refused one.
	// The second is what a newer fence breaks, on replicated streams too.
	header[headerExpectSeq] = []string{strconv.FormatUint(uint64(first-1), 10)}
	header[headerExpectSubjSeq] = t.epochValue
	header[headerExpectSubject] = t.fenceValue
	return header
}

func (t *Term) sendSingle() {
	g := t.queue[0]
	t.queue = t.queue[1:]
	g.sent = t.config.Now()
	t.flight = append(t.flight, g)
	t.publish(g.records[0], t.fenceHeader(g.first), g.first)
}

func (t *Term) sendBatch() {
	t.peak = max(t.records, t.peak-t.peak/8)
	count, size, limit := 0, 0, min(max(t.peak/2, minHalf), maxBatch)
	var groups []group
	for len(t.queue) > 0 {
		g := t.queue[0]
		for _, r := range g.records {
			size += len(r.Data)
		}
		if count > 0 && (count+len(g.records) > limit || size > maxBatchBytes) {
			break
		}
		count += len(g.records)
		g.sent = t.config.Now()
		groups = append(groups, g)
		t.queue = t.queue[1:]
		if !t.config.Batches {
			break // on a pipelining stream only what belongs together pays for a batch
		}
	}
	t.flight = append(t.flight, groups...)
	t.batched = true
	id, at := nuid.Next(), 0
	for _, g := range groups {
		for _, r := range g.records {
			header := nats.Header{}
			if at == 0 {
				header = t.fenceHeader(groups[0].first)
			}
			at++
			header[headerBatchID] = []string{id}
			header[headerBatchSeq] = []string{strconv.Itoa(at)}
			last := streams.Seq(0)
			if at == count {
				header[headerBatchCommit] = []string{"1"}
				last = g.last()
			}
			t.publish(r, header, last)
		}
	}
}

// publish sends one message; with last set the acknowledgement answers for
// all records up to that sequence.
func (t *Term) publish(r Record, header nats.Header, last streams.Seq) {
	msg := &nats.Msg{Subject: r.Subject, Data: r.Data, Header: header}
	if last != 0 {
		msg.Reply = t.inbox + "." + strconv.FormatUint(uint64(last), 10)
	}
	if err := t.config.Transport.Publish(msg); err != nil {
		t.fail(fmt.Errorf("append to %s at %d: %w: %w", t.config.Stream, last, ErrUnknown, err))
	}
}

// Replies wakes the owner: after a receive it calls [Term.Settle] with it. A nil
// term has none, so that a select may stand on a term that may be missing.
func (t *Term) Replies() <-chan *nats.Msg {
	if t == nil {
		return nil
	}
	return t.replies
}

// parse reads an acknowledgement; false if it is none.
func (t *Term) parse(msg *nats.Msg) (r reply, ok bool) {
	last, err := strconv.ParseUint(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:], 10, 64)
	if err != nil {
		return reply{}, false
	}
	r.last = streams.Seq(last)
	if len(msg.Data) == 0 {
		r.err = fmt.Errorf("%w: status %s", ErrUnknown, msg.Header.Get("Status"))
		return r, true
	}
	if digits, usual := bytes.CutPrefix(msg.Data, t.stored); usual {
		// The decoder would cost as much as the rest of settling.
		if seq, err := strconv.ParseUint(string(bytes.TrimSuffix(digits, []byte("}"))), 10, 64); err == nil {
			r.seq = streams.Seq(seq)
			return r, true
		}
	}
	var ack pubAck
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		r.err = fmt.Errorf("%w: %w", ErrUnknown, err)
		return r, true
	}
	if ack.Error != nil {
		r.err = ack.Error.asError()
	}
	r.seq = streams.Seq(ack.Seq)
	return r, true
}

// Settle takes a reply and returns the appends it settles, oldest first. After
// an Ack with an error every later append of the term is settled with an error
// as well, at once: first the refused, then those whose outcome is unknown.
func (t *Term) Settle(msg *nats.Msg) []Ack {
	if t.err != nil {
		return nil
	}
	r, ok := t.parse(msg)
	if !ok || len(t.flight) == 0 || r.last < t.flight[0].first {
		return nil
	}
	if r.err == nil && r.seq != r.last {
		r.err = fmt.Errorf("%w: stored at %d instead of %d", ErrUnknown, r.seq, r.last)
	}
	if r.err != nil {
		t.fail(fmt.Errorf("append to %s at %d: %w", t.config.Stream, r.last, r.err))
		return t.failed()
	}
	var acks []Ack
	for len(t.flight) > 0 && t.flight[0].last() <= r.last {
		g := t.flight[0]
		t.flight[0] = group{}
		t.flight = t.flight[1:]
		t.records -= len(g.records)
		acks = append(acks, Ack{First: g.first, Count: len(g.records)})
	}
	if len(t.flight) == 0 {
		t.flight, t.batched = nil, false
	}
	t.pump()
	if t.err != nil {
		acks = append(acks, t.failed()...)
	}
	return acks
}

// Overdue ends the term if the oldest append has waited longer than patience:
// its outcome is unknown then. It returns what that settles.
func (t *Term) Overdue(patience time.Duration) []Ack {
	if t == nil || t.err != nil || len(t.flight) == 0 || t.config.Now().Sub(t.flight[0].sent) < patience {
		return nil
	}
	t.fail(fmt.Errorf("append to %s at %d: %w: no answer in %v", t.config.Stream, t.flight[0].first, ErrUnknown, patience))
	return t.failed()
}

// Err is why the term is over, nil while it is not.
func (t *Term) Err() error { return t.err }

func (t *Term) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// failed settles everything outstanding with the term's error.
func (t *Term) failed() []Ack {
	var acks []Ack
	for _, g := range append(t.flight, t.queue...) {
		acks = append(acks, Ack{First: g.first, Count: len(g.records), Err: t.err})
	}
	t.flight, t.queue, t.records = nil, nil, 0
	return acks
}

// Close lets go of the term's subscription. What is still in flight may yet be
// stored.
func (t *Term) Close() {
	t.fail(fmt.Errorf("%w: the term was closed", ErrUnknown))
	t.stop()
}
