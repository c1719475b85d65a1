package sim

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// sink stands in ClickHouse's place: rows of events, one for each sequence
// however often it is written, and the messages' states, the newest of each.
// One insert is stored as a whole or not at all.
type sink struct {
	world  *world
	events map[streams.Seq]*streams.Event
	data   map[streams.Seq][]byte
	byV    map[channelKey][]*streams.Event // index v - 1
	states map[messageKey]streams.Version  // up to where a message's state is folded
	head   history.Head
	rows   int // written, repeated ones included
}

type messageKey struct {
	channelKey
	n streams.Number
}

func newSink(w *world) *sink {
	return &sink{
		world: w, events: map[streams.Seq]*streams.Event{}, data: map[streams.Seq][]byte{},
		byV: map[channelKey][]*streams.Event{}, states: map[messageKey]streams.Version{},
	}
}

// sinkClient is a projector's connection to the sink.
type sinkClient struct {
	sink *sink
	conn *conn
}

var _ projections.Sink = sinkClient{}

func sinkAsk[T any](s sinkClient, what string, handle func() T) (T, error) {
	answer, err := s.sink.world.ask(s.conn, what, func() any { return handle() })
	if err != nil {
		var none T
		return none, err
	}
	return answer.(T), nil
}

func (s sinkClient) Heads(context.Context) (map[streams.Partition]history.Head, error) {
	return sinkAsk(s, "heads", func() map[streams.Partition]history.Head {
		return map[streams.Partition]history.Head{0: s.sink.head}
	})
}

func (s sinkClient) Places(_ context.Context, channels []history.Place) (map[history.Place]streams.Place, error) {
	return sinkAsk(s, "places", func() map[history.Place]streams.Place {
		places := map[history.Place]streams.Place{}
		for _, c := range channels {
			if have := s.sink.byV[channelKey{c.Group, c.Channel}]; len(have) > 0 {
				last := have[len(have)-1]
				places[c] = streams.Place{V: last.V, Epoch: last.Epoch}
			}
		}
		return places
	})
}

func (s sinkClient) Refused(context.Context, streams.Partition, streams.Seq) (bool, error) {
	return sinkAsk(s, "refused", func() bool { return false })
}

func (s sinkClient) WriteState(_ context.Context, batch history.Batch) (history.Written, error) {
	return sinkAsk(s, "to write state", func() history.Written {
		s.sink.writeState(batch)
		return history.Written{}
	})
}

func (s sinkClient) WriteEvents(_ context.Context, batch history.Batch) error {
	_, err := sinkAsk(s, "to write events", func() bool {
		s.sink.writeEvents(batch)
		return true
	})
	return err
}

// message is the one an event says something about.
func about(e *streams.Event) (messageKey, bool) {
	key := messageKey{channelKey{e.Group, e.Channel}, e.N}
	switch p := e.Payload.(type) {
	case streams.MessagePosted:
	case streams.MessageEdited:
		key.n = streams.Number(p.GetTarget())
	case streams.MessageRecalled:
		key.n = streams.Number(p.GetTarget())
	default:
		return key, false
	}
	return key, true
}

func (s *sink) writeState(batch history.Batch) {
	for _, r := range batch.Records {
		if key, ok := about(r.Event); ok {
			s.states[key] = max(s.states[key], r.Event.V)
		}
	}
}

func (s *sink) writeEvents(batch history.Batch) {
	w := s.world
	if len(batch.Records) == 0 {
		return
	}
	w.trace("the sink stores %d events up to %d", len(batch.Records), batch.Records[len(batch.Records)-1].Event.Seq)
	for _, r := range batch.Records {
		e := r.Event
		key := channelKey{e.Group, e.Channel}
		s.rows++
		if len(s.byV[key]) >= int(e.V) {
			if have := s.byV[key][e.V-1]; have.Seq != e.Seq {
				w.problem("the sink has %s/%s v %d of seq %d and is given seq %d", e.Group, e.Channel, e.V, have.Seq, e.Seq)
			}
			w.repeated++
			continue
		}
		if len(s.byV[key])+1 != int(e.V) {
			w.problem("the sink is given %s/%s v %d behind v %d", e.Group, e.Channel, e.V, len(s.byV[key]))
			return
		}
		if about, ok := about(e); ok && s.states[about] < e.V {
			w.problem("the sink has the event %d before what it makes of message %d", e.Seq, about.n)
		}
		if e.Seq > w.log.last() || string(w.log.messages[e.Seq-1].data) != string(r.Data) {
			w.problem("the sink is given at %d what the log does not have there", e.Seq)
		}
		s.byV[key] = append(s.byV[key], e)
		s.events[e.Seq], s.data[e.Seq] = e, r.Data
		s.head = history.Head{Seq: max(s.head.Seq, e.Seq), Epoch: max(s.head.Epoch, e.Epoch)}
	}
}

// query answers as the projections' service does.
func (s *sink) query(subject string, body []byte) []*nats.Msg {
	var answer proto.Message
	switch subject {
	case streams.QueryEvents:
		q := &streampb.EventQuery{}
		if err := proto.Unmarshal(body, q); err != nil {
			panic(err)
		}
		have := s.byV[channelKey{streams.Group(q.GetGroup()), streams.Channel(q.GetChannel())}]
		page := &streampb.EventPage{}
		for v := q.GetAfter(); v < min(q.GetUpto(), uint64(len(have))) && len(page.Events) < int(q.GetLimit()); v++ {
			seq := have[v].Seq
			page.Events = append(page.Events, &streampb.StoredEvent{Seq: uint64(seq), Event: s.data[seq]})
		}
		s.world.trace("the projections are asked for %s/%s after %d: %d events", q.GetGroup(), q.GetChannel(), q.GetAfter(), len(page.Events))
		s.world.queried++
		answer = page
	case streams.QueryHistory:
		q := &streampb.HistoryQuery{}
		if err := proto.Unmarshal(body, q); err != nil {
			panic(err)
		}
		page := &streampb.HistoryPage{}
		have := s.byV[channelKey{streams.Group(q.GetGroup()), streams.Channel(q.GetChannel())}]
		if i := slices.IndexFunc(have, func(e *streams.Event) bool {
			return e.Kind() == streams.KindMessage && uint64(e.N) == q.GetAfter()+1
		}); i >= 0 {
			page.Messages = []*streampb.MessageState{{N: uint64(have[i].N), User: string(have[i].User)}}
		}
		answer = page
	}
	data, err := proto.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return []*nats.Msg{{Data: data}}
}
