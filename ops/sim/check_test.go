package sim

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// checkRecord looks at every snapshot record the moment it is stored: it may
// reflect nothing that is not stored.
func (w *world) checkRecord(m message) {
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

// dedupKeep is how long a command is remembered at least.
const dedupKeep = streams.DedupWindow + streams.MaxClockAhead

type entityKey struct {
	group  streams.Group
	entity group.Entity
}

// fullLog is the log as it is to be read: every event of it, since nothing
// that does not belong may ever have been stored.
type fullLog struct {
	events   []*streams.Event
	channels map[channelKey][]*streams.Event
	groups   map[streams.Group]*group.State
	entities map[entityKey]bool
	answers  map[commandKey][]*streams.Event // by command, those that carry the answer
}

type commandKey struct {
	user streams.User
	id   streams.ClientID
}

// check compares what everybody saw with the log.
func (w *world) check() {
	w.quiet = true
	h := w.readHistory()
	if len(w.problems) > 0 {
		return
	}
	w.checkCommands(h)
	w.checkOwner(h)
	w.checkSink(h)
	for _, e := range w.edges {
		w.checkEdge(h, e)
	}
}

// checkPurge looks at a purge the moment before it is done: what goes is in the
// sink and in the snapshot, and the fence that stands is not touched.
func (w *world) checkPurge(before streams.Seq) {
	w.trace("the log is purged before %d", before)
	w.purges++
	checkpoint := &streampb.Checkpoint{}
	if last := w.state.lastOf[streams.StateCheckpoint(0)]; last > 0 {
		if err := proto.Unmarshal(w.state.messages[last-1].data, checkpoint); err != nil {
			w.problem("the checkpoint: %v", err)
		}
	}
	if streams.Seq(checkpoint.GetSeq()) < before-1 {
		w.problem("the log is purged before %d, the checkpoint is %d", before, checkpoint.GetSeq())
	}
	if fence := w.log.lastOf[streams.FenceSubject(0)]; fence < before {
		w.problem("the log is purged before %d, and so the fence at %d", before, fence)
	}
	for seq := w.log.first; seq < before; seq++ {
		token, _ := streams.ParseLog(w.log.messages[seq-1].subject)
		if token.Group != "" && w.sink.events[seq] == nil {
			w.problem("the log is purged before %d, and %d is not projected", before, seq)
			return
		}
	}
}

// readHistory folds the log from nothing and decides every event anew.
func (w *world) readHistory() *fullLog {
	h := &fullLog{
		channels: map[channelKey][]*streams.Event{}, groups: map[streams.Group]*group.State{},
		entities: map[entityKey]bool{}, answers: map[commandKey][]*streams.Event{},
	}
	ops := map[commandKey]*op{}
	for _, c := range w.clients {
		for _, o := range c.ops {
			ops[commandKey{c.user, o.id}] = o
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
		op := ops[commandKey{e.User, e.ClientID}]
		if op == nil {
			w.problem("at %d an event nobody asked for", m.seq)
			continue
		}
		if e.Answer {
			w.decideAnew(h, op, e)
			h.answers[commandKey{e.User, e.ClientID}] = append(h.answers[commandKey{e.User, e.ClientID}], e)
		}
		h.fold(e)
		h.events = append(h.events, e)
		h.channels[key] = append(h.channels[key], e)
	}
	return h
}

func (h *fullLog) fold(e *streams.Event) {
	if h.groups[e.Group] == nil {
		h.groups[e.Group] = group.New(e.Group)
	}
	h.groups[e.Group].Apply(e)
	for _, entity := range h.groups[e.Group].TakeDirty() {
		h.entities[entityKey{e.Group, entity}] = true
	}
}

// decideAnew holds the rules against the log alone.
func (w *world) decideAnew(h *fullLog, op *op, e *streams.Event) {
	r := group.Request{User: e.User, Body: op.body}
	if target, ok := op.target(); ok {
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
func (w *world) checkCommands(h *fullLog) {
	for _, c := range w.clients {
		last, lastOp := streams.Seq(0), (*op)(nil)
		for _, op := range c.ops {
			events := h.answers[commandKey{c.user, op.id}]
			if len(events) > 1 {
				w.problem("%v is in the log %d times", op, len(events))
				continue
			}
			switch told := op.told; {
			case told == nil:
			case told.GetRejection() != nil:
				// Of an id as old as the window nothing can be said.
				code := streams.Code(told.GetRejection().GetCode())
				if len(events) > 0 && code != streams.StaleClientID && code != streams.Unavailable {
					w.problem("%v was refused (%s) and is in the log at %d", op, code, events[0].Seq)
				}
			case told.GetAlready():
				if len(events) > 0 {
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
func (w *world) checkOwner(h *fullLog) {
	i := w.instances[w.leader]
	next := &instance{world: w, name: "next"}
	next.start()
	if err := next.seq.TakeOver(context.Background(), 1); err != nil {
		w.problem("recover: %v", err)
		return
	}
	w.checkMemory(h, "the owner's memory", i.seq.Memory())
	w.checkMemory(h, "the recovered state", next.seq.Memory())
}

func (w *world) checkMemory(h *fullLog, what string, m sequencer.Memory) {
	groups := m.Groups()
	for key := range h.entities {
		want := record(h.groups[key.group], key.entity)
		if groups[key.group] == nil {
			w.problem("%s lacks the group %s", what, key.group)
			continue
		}
		if a, ok := h.groups[key.group].Record(key.entity).(*streampb.AttributeRecord); ok && a.GetDeleted() && a.GetSeq() <= uint64(m.Checkpoint()) {
			continue // of which nothing need be kept
		}
		if got := w.recordOf(groups[key.group], key); got != want {
			w.problem("%s of %v is %s, the log says %s", what, key, got, want)
		}
	}
	for g, st := range groups {
		if st.Exists() && h.groups[g] == nil {
			w.problem("%s has a group %s the log does not know", what, g)
		}
	}
	for key, events := range h.answers {
		e := events[0]
		o, known := m.Answered(key.user, key.id)
		if young := w.now.UnixMilli()-e.TS < dedupKeep.Milliseconds()-1000; !known && young {
			w.problem("%s does not know that %s %s is done at %d", what, key.user, key.id, e.Seq)
		}
		if known && (o.GetV() != uint64(e.V) || o.GetN() != uint64(e.N) || o.GetSeq() != uint64(e.Seq) || o.GetTs() != e.TS) {
			w.problem("%s has %v for the command at %d", what, o, e.Seq)
		}
	}
	if m.Checkpoint() > w.log.last() {
		w.problem("the checkpoint %d is ahead of the log's %d", m.Checkpoint(), w.log.last())
	}
}

// recordOf is an entity as an owner has it, in memory or stored.
func (w *world) recordOf(st *group.State, key entityKey) string {
	if st.Record(key.entity) == nil {
		var stored []byte
		if seq := w.state.lastOf[subjectOf(key)]; seq != 0 {
			stored = w.state.messages[seq-1].data
		}
		if err := st.Restore(key.entity, stored); err != nil {
			w.problem("restore %v: %v", key, err)
		}
	}
	return record(st, key.entity)
}

// subjectOf is where an entity that is not always in memory is stored.
func subjectOf(key entityKey) string {
	switch e := key.entity; {
	case e.Attribute != "":
		return streams.StateAttribute(0, key.group, e.Channel, e.Attribute)
	case e.Card != 0:
		return streams.StateCard(0, key.group, e.Channel, e.Card)
	default:
		return streams.StateMember(0, key.group, e.Member)
	}
}

func record(st *group.State, entity group.Entity) string {
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

// checkSink compares the sink with the log.
func (w *world) checkSink(h *fullLog) {
	for key, events := range h.channels {
		have := w.sink.byV[key]
		if len(have) != len(events) {
			w.problem("the sink has %d events of %v, the log has %d", len(have), key, len(events))
			continue
		}
		for i, e := range events {
			if have[i].Seq != e.Seq {
				w.problem("the sink has %v v %d at %d, the log at %d", key, e.V, have[i].Seq, e.Seq)
			}
			if about, ok := about(e); ok && w.sink.states[about] < e.V {
				w.problem("the sink's message %v is of v %d, the log's of %d", about, w.sink.states[about], e.V)
			}
		}
	}
	if w.sabotage.keepsRepeated && w.sink.rows != len(h.events) {
		w.problem("the sink has %d rows for %d events", w.sink.rows, len(h.events))
	}
}

// checkEdge compares what an edge follows and its readers have seen with the log.
func (w *world) checkEdge(h *fullLog, e *edge) {
	for key, events := range h.channels {
		c := e.view(key.group).channels[key.channel]
		if c == nil {
			w.problem("%s never heard of %v", e.name, key)
			continue
		}
		if c.head != streams.Version(len(events)) || c.log.At() != c.head || c.log.Seq() != events[len(events)-1].Seq {
			w.problem("%s has come to v %d of %v at %d, the log to %d at %d",
				e.name, c.head, key, c.log.Seq(), len(events), events[len(events)-1].Seq)
		}
		for _, r := range e.readers {
			if f := r.feeds[key]; f != nil {
				w.checkFeed(r.name, events, f)
			} else {
				w.problem("%s never heard of %v", r.name, key)
			}
		}
	}
}

// checkFeed compares a reader's events of a channel with the log's: each once,
// delivered in order or pulled.
func (w *world) checkFeed(who string, want []*streams.Event, f *feed) {
	delivered := 0
	for v := f.start + 1; v <= streams.Version(len(want)); v++ {
		have := f.pulled[v]
		if have != nil && delivered < len(f.events) && f.events[delivered].V == v {
			w.problem("%s was delivered and pulled %v v %d", who, f.key, v)
		}
		if have == nil && delivered < len(f.events) {
			have = f.events[delivered]
			delivered++
		}
		if have == nil {
			w.problem("%s lacks %v v %d of %d", who, f.key, v, len(want))
			return
		}
		if expected := want[v-1]; have.V != expected.V || have.Seq != expected.Seq || have.N != expected.N {
			w.problem("%s has v %d seq %d in place of v %d seq %d of %v", who, have.V, have.Seq, expected.V, expected.Seq, f.key)
			return
		}
	}
	if delivered != len(f.events) {
		w.problem("%s has %d events of %v too many", who, len(f.events)-delivered, f.key)
	}
}
