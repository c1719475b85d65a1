package sequencer

import (
	"context"
	"fmt"
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// Batch is commands that are decided in order and answered together.
type Batch struct {
	Commands []Command
	// Respond is called once with a result for each command.
	Respond func([]*streampb.Result)

	submitted time.Time
	results   []*streampb.Result
	wait      streams.Seq // everything up to here must be stored before the answer
	laneKeys  []laneKey   // whose commands these are; see load.go
	own       bool        // the term's own; nobody waits for the answer, and the next term does not decide it again

	prefetched bool // what it needs was asked for ahead of its turn
}

// Command is one command of a batch; exactly one of Invalid and Request.Body
// is set.
type Command struct {
	Group    streams.Group
	ClientID streams.ClientID // set on every writing command
	Attempt  uint32           // the same in each copy of the command that nobody but the edge repeats; 0: unknown
	Request  group.Request
	Invalid  *streams.Rejection // refused before it came here
}

// refuse answers every command the same.
func (b *Batch) refuse(r *streams.Rejection) {
	results := make([]*streampb.Result, len(b.Commands))
	for i := range results {
		results[i] = rejected(r)
	}
	b.Respond(results)
}

func rejected(r *streams.Rejection) *streampb.Result {
	return &streampb.Result{Rejection: r.Proto()}
}

// take decides a batch, after what it needs is fetched where that is needed.
func (t *term) take(ctx context.Context, b *Batch) error {
	if t.tooLate(b) {
		return nil
	}
	t.touch(b)
	if t.load(ctx, b) {
		return nil // comes back through fetched, or from behind
	}
	return t.decide(b)
}

// tooLate refuses a batch that has waited too long: its sender was told long
// ago that it failed, and doing it now would surprise.
func (t *term) tooLate(b *Batch) bool {
	if t.sequencer.config.Now().Sub(b.submitted) <= batchPatience {
		return false
	}
	b.refuse(streams.RejectRetry(streams.Unavailable, time.Second, "the command waited too long"))
	return true
}

// decide decides all commands of a batch and queues it for its answer: that of
// a batch without events is read from the state, which must be the newest.
func (t *term) decide(b *Batch) error {
	b.results = make([]*streampb.Result, len(b.Commands))
	now, done, first := t.now(), t.lastDone(b), t.log.Next()
	for i := range b.Commands {
		result := t.decideOne(b, i, now, done)
		b.results[i] = result
		t.sequencer.config.Metrics.Commands.WithLabelValues(outcomeLabel(result)).Inc()
	}
	b.wait = t.log.Next() - 1
	if b.wait < first && !t.trusted() {
		// Another may have taken over and written, and what was decided here be
		// of old. The fence knows: an append of ours that comes behind tells.
		b.wait = t.prove()
	}
	t.waiting = append(t.waiting, b)
	if err := t.log.Err(); err != nil {
		return err
	}
	t.answer()
	return nil
}

func outcomeLabel(r *streampb.Result) string {
	switch {
	case r.GetRejection() != nil:
		return r.GetRejection().GetCode()
	case r.GetDuplicate():
		return "duplicate"
	}
	return "ok"
}

// lastDone is the last command of a batch that is in the log already, -1 for
// none.
func (t *term) lastDone(b *Batch) int {
	for i := len(b.Commands) - 1; i > 0; i-- { // before the first there is nothing
		c := &b.Commands[i]
		if _, known := t.fold.dedup.find(c.Request.User, c.ClientID); known && !t.sequencer.config.WithoutDedup {
			return i
		}
	}
	return -1
}

func (t *term) decideOne(b *Batch, i int, now int64, done int) *streampb.Result {
	c := &b.Commands[i]
	if c.Invalid != nil {
		return rejected(c.Invalid)
	}
	if _, ok := c.Request.Body.(*streampb.Canary); ok {
		return &streampb.Result{Seq: uint64(t.prove())}
	}
	if dup := t.duplicate(c, now); dup != nil {
		if _, join := c.Request.Body.(*streampb.Join); join && dup.GetRejection() == nil {
			dup.Waiting = t.fold.existing(c.Group).Waits(c.Request.User) // as it is now
		}
		return dup
	}
	if c.Request.TS > now {
		return rejected(streams.Reject(streams.BadRequest, "ts lies in the future"))
	}
	st := t.fold.existing(c.Group)
	t.target(c)
	if len(st.Missing(c.Request)) > 0 { // could not be loaded
		return rejected(streams.RejectRetry(streams.Unavailable, time.Second, "what the command is about can't be looked up now"))
	}
	decision, err := st.Decide(c.Request, now)
	if err != nil {
		return rejected(streams.AsRejection(err))
	}
	if decision.Enters {
		t.enters(c)
	}
	if decision.Events == nil {
		return t.finishAnswer(decision.Answer)
	}
	if i < done && c.Request.User == b.Commands[done].Request.User {
		// The batch may have been decided before, and this command refused without
		// its sender hearing of it: done now it would stand behind what was sent
		// after it. Or its sender repeats what came in another batch: then it may
		// do so again, and what is in the log already is not sent with it.
		return rejected(streams.RejectRetry(streams.Unavailable, 100*time.Millisecond, "what was sent after this command is done already"))
	}
	if t.log.Unsettled() > eventlog.MaxInFlight-streams.MaxAdded {
		// A few commands of many events each have filled it, but for one that
		// leads to as many as any does. All that follow in this batch are refused
		// as well, small ones too: nothing is overtaken.
		return rejected(streams.RejectRetry(streams.Unavailable, 100*time.Millisecond, "too much is waiting to be stored"))
	}
	return t.append(c, decision, now)
}

// duplicate returns the first answer to a command that is repeated, or the
// refusal of an id that can't be told from one, or nil.
func (t *term) duplicate(c *Command, now int64) *streampb.Result {
	if c.ClientID.IsZero() || t.sequencer.config.WithoutDedup {
		return nil
	}
	if o, known := t.fold.dedup.find(c.Request.User, c.ClientID); known {
		return &streampb.Result{V: uint64(o.v), N: uint64(o.n), Seq: uint64(o.seq), Ts: o.ts, Duplicate: o.attempt != c.Attempt || c.Attempt == 0}
	}
	reference := now
	if c.Request.TS != 0 {
		reference = c.Request.TS // an import's ids are of the imported time
	}
	if err := checkAge(c.ClientID, now, reference); err != nil {
		return rejected(streams.AsRejection(err))
	}
	if t.fold.dedup.full() {
		return rejected(streams.RejectRetry(streams.Unavailable, time.Second, "too many commands within the duplicate window"))
	}
	return nil
}

// finishAnswer adds what only the term knows to an answer without events.
func (t *term) finishAnswer(result *streampb.Result) *streampb.Result {
	result.Seq = uint64(t.log.Next() - 1)
	if snap := result.GetSnapshot(); snap != nil {
		snap.Seq, snap.Epoch, snap.Log = result.Seq, uint64(t.log.Epoch()), t.logName
	}
	if a := result.GetAccess(); a.GetRole() != streampb.Role_ROLE_NONE && a.GetJoinedSeq() == 0 {
		a.JoinedSeq = result.Seq + 1 // in a large room no event says when
	}
	if page := result.GetAttributes(); page != nil {
		page.Seq = result.Seq
	}
	return result
}

// append numbers, folds and hands in the events of one command.
func (t *term) append(c *Command, decision group.Decision, now int64) *streampb.Result {
	events := decision.Events
	ts := now
	if c.Request.TS != 0 {
		ts = c.Request.TS
	}
	st := t.fold.group(c.Group)
	records := make([]eventlog.Record, len(events))
	result := &streampb.Result{}
	for i, e := range events {
		st.Number(e)
		e.Seq, e.Epoch = t.log.Next()+streams.Seq(i), t.log.Epoch()
		replayed := e.TS != 0
		if !replayed {
			e.TS, e.ClientID, e.Attempt = ts, c.ClientID, c.Attempt
		}
		data, err := streams.MarshalEvent(e)
		if err != nil {
			panic(fmt.Sprintf("an event that was decided can't be encoded: %v", err))
		}
		records[i] = eventlog.Record{Subject: streams.LogSubject(t.sequencer.config.Partition, e.Group, e.Channel), Data: data}
		t.fold.apply(e)
		t.note(c, e)
		if !replayed {
			t.fold.dedup.add(e, now)
		}
		t.fold.moved[channelKey{e.Group, e.Channel}] = beaconTimes
		if e.Kind() == streams.KindMessage {
			t.authors.add(e)
		}
		if e.Answer {
			result = &streampb.Result{V: uint64(e.V), N: uint64(e.N), Seq: uint64(e.Seq), Ts: e.TS}
			_, result.Waiting = e.Payload.(streams.JoinRequested)
			if counted, ok := e.Payload.(interface{ GetCount() uint64 }); ok { // reactions
				result.Count = counted.GetCount()
			}
		}
	}
	// A reader that has seen the last event has seen them all.
	result.Seq = max(result.Seq, uint64(events[0].Seq))
	failpoint("before-append")
	if decision.Apart {
		for i := range records {
			t.log.Append(records[i : i+1 : i+1]...)
		}
	} else {
		t.log.Append(records...)
	}
	failpoint("after-append")
	t.sequencer.config.Metrics.Events.Add(float64(len(records)))
	return result
}

// settle takes what the log says became of appends.
func (t *term) settle(acks []eventlog.Ack) error {
	for _, ack := range acks {
		if ack.Err != nil {
			return ack.Err
		}
		t.committed = ack.First + streams.Seq(ack.Count) - 1
	}
	if len(acks) > 0 {
		t.answer()
	}
	return nil
}

// answer answers the batches that are stored.
func (t *term) answer() {
	done := 0
	for done < len(t.waiting) && t.waiting[done].wait <= t.committed {
		b := t.waiting[done]
		t.sequencer.config.Metrics.CommitTime.Observe(t.sequencer.config.Now().Sub(b.submitted).Seconds())
		failpoint("before-answer")
		b.Respond(b.results)
		t.waiting[done] = nil
		done++
	}
	t.waiting = t.waiting[done:]
}
