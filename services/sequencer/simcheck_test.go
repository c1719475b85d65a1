package sequencer

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// checkRecord looks at every snapshot record the moment it is stored: it may
// reflect nothing that is not stored.
func (w *simWorld) checkRecord(m simMessage) {
	token, ok := streams.ParseState(m.subject)
	var seq uint64
	var err error
	switch {
	case !ok:
		w.problem("a record on %s", m.subject)
	case token.Fence:
	case token.Checkpoint:
		r := &streampb.Checkpoint{}
		err = proto.Unmarshal(m.data, r)
		seq = r.GetSeq()
	case token.Dedup:
		r := &streampb.DedupChunk{}
		err = proto.Unmarshal(m.data, r)
		for _, e := range r.GetEntries() {
			seq = max(seq, e.GetSeq())
		}
	case token.Attribute != "":
		r := &streampb.AttributeRecord{}
		err = proto.Unmarshal(m.data, r)
		seq = r.GetSeq()
	case token.Card != 0:
		r := &streampb.CardRecord{}
		err = proto.Unmarshal(m.data, r)
		seq = r.GetSeq()
	case token.Channel != "":
		r := &streampb.ChannelRecord{}
		err = proto.Unmarshal(m.data, r)
		seq = max(r.GetSeq(), r.GetInfoSeq())
	case token.Member != "":
		r := &streampb.MemberRecord{}
		err = proto.Unmarshal(m.data, r)
		seq = r.GetSeq()
	default:
		r := &streampb.GroupRecord{}
		err = proto.Unmarshal(m.data, r)
		seq = r.GetSeq()
	}
	if err != nil {
		w.problem("the record at %d: %v", m.seq, err)
	}
	if streams.Seq(seq) > w.log.last() {
		w.problem("the record %s says %d, the log ends at %d", m.subject, seq, w.log.last())
	}
}

// history is the log as it is to be read: every event of it, since nothing
// that does not belong may ever have been stored.
type history struct {
	events   []*streams.Event
	channels map[channelKey][]*streams.Event
	groups   map[streams.Group]*group.State
	entities map[entityKey]bool
	answers  map[simKey][]*streams.Event // by command, those that carry the answer
}

type simKey struct {
	user streams.User
	id   streams.ClientID
}

// check compares what everybody saw with the log.
func (w *simWorld) check() {
	h := w.readHistory()
	if len(w.problems) > 0 {
		return
	}
	w.checkCommands(h)
	w.checkOwner(h)
	for _, r := range w.readers {
		for _, key := range r.order {
			w.checkView(r.conn.name, h.channels[key], r.channels[key])
		}
		for key := range h.channels {
			if r.channels[key] == nil {
				w.problem("%s never heard of %v", r.conn.name, key)
			}
		}
	}
	count := 0
	for key, records := range w.projector.records {
		count += len(records)
		for _, e := range h.channels[key] {
			if have := records[e.V]; have == nil || have.Seq != e.Seq {
				w.problem("the sink lacks %s/%s v %d", e.Group, e.Channel, e.V)
			}
		}
	}
	if count != len(h.events) {
		w.problem("the sink has %d events of %d", count, len(h.events))
	}
}

// readHistory folds the log from nothing and decides every event anew.
func (w *simWorld) readHistory() *history {
	h := &history{
		channels: map[channelKey][]*streams.Event{}, groups: map[streams.Group]*group.State{},
		entities: map[entityKey]bool{}, answers: map[simKey][]*streams.Event{},
	}
	ops := map[simKey]*simOp{}
	for _, c := range w.clients {
		for _, op := range c.ops {
			ops[simKey{c.user, op.id}] = op
		}
	}
	var epoch streams.Epoch
	for _, m := range w.log.messages {
		token, ok := streams.ParseLog(m.subject)
		if token.Fence {
			epoch = streams.Epoch(m.seq)
		}
		if !ok || token.Group == "" {
			continue
		}
		e, err := streams.UnmarshalEvent(m.data, m.seq)
		if err != nil {
			w.problem("the log at %d: %v", m.seq, err)
			continue
		}
		key := channelKey{e.Group, e.Channel}
		before := &streams.Event{}
		if n := len(h.channels[key]); n > 0 {
			before = h.channels[key][n-1]
		}
		n := before.N
		if e.Kind() == streams.KindMessage {
			n++
		}
		if e.Epoch != epoch || e.V != before.V+1 || e.Prev != before.Seq || e.N != n || key != (channelKey{token.Group, token.Channel}) {
			w.problem("at %d in epoch %d: %s/%s v %d n %d epoch %d prev %d follows v %d n %d seq %d",
				m.seq, epoch, e.Group, e.Channel, e.V, e.N, e.Epoch, e.Prev, before.V, before.N, before.Seq)
		}
		op := ops[simKey{e.User, e.ClientID}]
		if op == nil {
			w.problem("at %d an event nobody asked for", m.seq)
			continue
		}
		if e.Answer {
			w.decideAnew(h, op, e)
			h.answers[simKey{e.User, e.ClientID}] = append(h.answers[simKey{e.User, e.ClientID}], e)
		}
		h.fold(e)
		h.events = append(h.events, e)
		h.channels[key] = append(h.channels[key], e)
	}
	return h
}

func (h *history) fold(e *streams.Event) {
	if h.groups[e.Group] == nil {
		h.groups[e.Group] = group.New(e.Group)
	}
	h.groups[e.Group].Apply(e)
	for _, entity := range h.groups[e.Group].TakeDirty() {
		h.entities[entityKey{e.Group, entity}] = true
	}
}

// decideAnew holds the rules against the log alone.
func (w *simWorld) decideAnew(h *history, op *simOp, e *streams.Event) {
	r := group.Request{User: e.User, Body: op.body}
	command := &Command{Group: op.group, Request: r}
	if target, ok := targetOf(command); ok {
		for _, m := range h.channels[target.channelKey] {
			if m.N == target.n && m.Kind() == streams.KindMessage {
				r.Target = &group.Target{Author: m.User, TS: m.TS}
			}
		}
	}
	st := h.groups[op.group]
	if st == nil {
		st = group.New(op.group)
	}
	for missing := st.Missing(r); len(missing) > 0; missing = st.Missing(r) {
		for _, entity := range missing { // all that is known is in the log
			if err := st.Restore(entity, nil); err != nil {
				w.problem("restore %v: %v", entity, err)
				return
			}
		}
	}
	decision, err := st.Decide(r, e.TS)
	switch {
	case err != nil && streams.AsRejection(err).Code == streams.SlowMode:
		// A takeover may forget when somebody wrote last, if slow mode was
		// switched shortly before: they wait once less.
	case err != nil:
		w.problem("%v at %d should have been refused: %v", op, e.Seq, err)
	case len(decision.Events) == 0:
		w.problem("%v at %d should have changed nothing", op, e.Seq)
	case decision.Events[0].Channel != e.Channel || decision.Events[0].Kind() != e.Kind():
		w.problem("%v at %d became %s in %s", op, e.Seq, e.Kind(), e.Channel)
	}
}

// checkCommands compares what senders were told with the log.
func (w *simWorld) checkCommands(h *history) {
	for _, c := range w.clients {
		last, lastOp := streams.Seq(0), (*simOp)(nil)
		for _, op := range c.ops {
			events := h.answers[simKey{c.user, op.id}]
			if len(events) > 1 {
				w.problem("%v is in the log %d times", op, len(events))
				continue
			}
			switch told := op.told; {
			case told == nil:
			case told.GetRejection() != nil:
				// Of an id as old as the window nothing can be said. And two who both
				// believe that they own the partition are both asked: the one behind
				// whose back a fence stands refuses by what it knows, as it reads.
				code := streams.Code(told.GetRejection().GetCode())
				if len(events) > 0 && !op.zombie && code != streams.StaleClientID && code != streams.Unavailable {
					w.problem("%v was refused (%s) and is in the log at %d", op, code, events[0].Seq)
				}
			case told.GetAlready():
				if len(events) > 0 && !op.zombie {
					w.problem("%v was nothing new and is in the log at %d", op, events[0].Seq)
				}
			case len(events) == 0:
				w.problem("%v was acknowledged at %d and is not in the log", op, told.GetSeq())
			default:
				e := events[0]
				if told.GetV() != uint64(e.V) || told.GetN() != uint64(e.N) || told.GetSeq() != uint64(e.Seq) {
					w.problem("%v was told v %d n %d seq %d and is v %d n %d seq %d",
						op, told.GetV(), told.GetN(), told.GetSeq(), e.V, e.N, e.Seq)
				}
			}
			if len(events) == 0 {
				continue
			}
			if _, message := op.body.(*streampb.Send); message {
				if events[0].Seq < last {
					w.problem("%v at %d stands before %v at %d (given up: %v)", op, events[0].Seq, lastOp, last, lastOp.giveUp)
				}
				last, lastOp = events[0].Seq, op
			}
		}
	}
}

// checkOwner compares the owner's memory, and what a next owner would recover,
// with the log.
func (w *simWorld) checkOwner(h *history) {
	owner := w.instances[w.leader]
	next := newSequencer(owner.seq.config, w.connect("next"), nil)
	w.depth = 3 // nothing goes on meanwhile
	ctx := context.Background()
	log, err := next.fence(ctx, streams.LogStream(0), streams.FenceSubject(0))
	if err != nil {
		w.problem("fence: %v", err)
		return
	}
	state, err := next.fence(ctx, streams.StateStream(0), streams.StateFence(0))
	if err != nil {
		w.problem("fence: %v", err)
		return
	}
	recovered, err := next.recoverFold(ctx, streams.Seq(log.Epoch()), streams.Seq(state.Epoch()))
	if err != nil {
		w.problem("recover: %v", err)
		return
	}
	for what, f := range map[string]*fold{"the owner's memory": owner.term.fold, "the recovered state": recovered} {
		for key := range h.entities {
			want := simRecord(h.groups[key.group], key.entity)
			if f.groups[key.group] == nil {
				w.problem("%s lacks the group %s", what, key.group)
				continue
			}
			if got := w.simRecordOf(f.groups[key.group], key); got != want {
				w.problem("%s of %v is %s, the log says %s", what, key, got, want)
			}
		}
		for g, st := range f.groups {
			if st.Exists() && h.groups[g] == nil {
				w.problem("%s has a group %s the log does not know", what, g)
			}
		}
		for key, events := range h.answers {
			e := events[0]
			o, known := f.dedup.find(key.user, key.id)
			if young := w.now.UnixMilli()-e.TS < dedupKeep.Milliseconds()-1000; !known && young {
				w.problem("%s does not know that %s %s is done at %d", what, key.user, key.id, e.Seq)
			}
			if known && (o.v != e.V || o.n != e.N || o.seq != e.Seq || o.ts != e.TS) {
				w.problem("%s has %v for the command at %d", what, o, e.Seq)
			}
		}
	}
	if owner.term.fold.checkpoint > w.log.last() {
		w.problem("the checkpoint %d is ahead of the log's %d", owner.term.fold.checkpoint, w.log.last())
	}
}

// simRecordOf is an entity as the owner has it, in memory or stored.
func (w *simWorld) simRecordOf(st *group.State, key entityKey) string {
	var stored []byte
	if seq := w.state.lastOf[entitySubject(0, key)]; seq != 0 {
		stored = w.state.messages[seq-1].data
	}
	if st.Record(key.entity) == nil {
		if err := st.Restore(key.entity, stored); err != nil {
			w.problem("restore %v: %v", key, err)
		}
	}
	return simRecord(st, key.entity)
}

func simRecord(st *group.State, entity group.Entity) string {
	m := st.Record(entity)
	if channel, ok := m.(*streampb.ChannelRecord); ok {
		channel.LastSends = nil // see decideAnew
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", data)
}

// checkView compares a reader's events of a channel with the log's.
func (w *simWorld) checkView(who string, want []*streams.Event, f *simFeed) {
	if int(f.start)+len(f.events) != len(want) {
		w.problem("%s has %d events after %d of %d", who, len(f.events), f.start, len(want))
		return
	}
	for i, e := range f.events {
		if expected := want[int(f.start)+i]; e.V != expected.V || e.Seq != expected.Seq || e.N != expected.N {
			w.problem("%s has v %d seq %d in place of v %d seq %d", who, e.V, e.Seq, expected.V, expected.Seq)
			return
		}
	}
}
