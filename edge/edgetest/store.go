package edgetest

import (
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Store answers the projections' queries from what an owner wrote.
type Store struct {
	// Static after NewStore.
	t     testing.TB
	owner *Owner

	// Lag is how many of a channel's newest events it does not have yet.
	Lag atomic.Int64
	// Away makes it answer nothing but errors.
	Away atomic.Bool
	// Asked counts questions about events and history.
	Asked atomic.Int32
}

// NewStore starts the query service; it ends with the test.
func NewStore(t testing.TB, conn *nats.Conn, owner *Owner) *Store {
	t.Helper()
	s := &Store{t: t, owner: owner}
	for subject, answer := range map[string]func(*nats.Msg) ([]byte, error){
		streams.QueryEvents: s.events, streams.QueryHistory: s.history, streams.QueryHealth: s.health,
	} {
		sub, err := conn.Subscribe(subject, func(msg *nats.Msg) {
			data, err := answer(msg)
			if err == nil {
				err = msg.Respond(data)
			}
			if err != nil {
				t.Log(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Store) health(*nats.Msg) ([]byte, error) {
	if s.Away.Load() {
		return []byte(`{"ok":false,"error":"away"}`), nil
	}
	return []byte(`{"ok":true}`), nil
}

// has is the events of a channel that have arrived here.
func (s *Store) has(g, c string) []*streams.Event {
	events := s.owner.Events(streams.Group(g), streams.Channel(c))
	return events[:max(0, len(events)-int(s.Lag.Load()))]
}

var away = &streampb.QueryError{Code: string(streams.HistoryUnavailable), Message: "away"}

func (s *Store) events(msg *nats.Msg) ([]byte, error) {
	s.Asked.Add(1)
	q, page := &streampb.EventQuery{}, &streampb.EventPage{}
	if err := proto.Unmarshal(msg.Data, q); err != nil {
		return nil, err
	}
	if s.Away.Load() {
		page.Error = away
		return proto.Marshal(page)
	}
	for _, e := range s.has(q.GetGroup(), q.GetChannel()) {
		if uint64(e.V) > q.GetAfter() && uint64(e.V) <= q.GetUpto() && len(page.Events) < int(q.GetLimit()) {
			data, err := streams.MarshalEvent(e)
			if err != nil {
				return nil, err
			}
			page.Events = append(page.Events, &streampb.StoredEvent{Seq: uint64(e.Seq), Event: data})
		}
	}
	return proto.Marshal(page)
}

func (s *Store) history(msg *nats.Msg) ([]byte, error) {
	s.Asked.Add(1)
	q, page := &streampb.HistoryQuery{}, &streampb.HistoryPage{}
	if err := proto.Unmarshal(msg.Data, q); err != nil {
		return nil, err
	}
	if s.Away.Load() {
		page.Error = away
		return proto.Marshal(page)
	}
	states := Fold(s.has(q.GetGroup(), q.GetChannel()), q.GetUser())
	page.Through = uint64(len(s.has(q.GetGroup(), q.GetChannel())))
	for i := range states {
		m := states[i]
		if q.GetBefore() > 0 {
			m = states[len(states)-1-i]
		}
		inside := m.GetN() > q.GetAfter()
		if q.GetBefore() > 0 {
			inside = m.GetN() < q.GetBefore()
		}
		if inside && len(page.Messages) < int(q.GetLimit()) {
			page.Messages = append(page.Messages, m)
		}
	}
	return proto.Marshal(page)
}

// Fold is the slow obvious fold of a channel's events into its messages, as a
// user reads them.
func Fold(events []*streams.Event, reader string) []*streampb.MessageState {
	var states []*streampb.MessageState
	users := map[reaction]map[string]bool{}
	for _, e := range events {
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			states = append(states, &streampb.MessageState{
				V: uint64(e.V), N: uint64(e.N), Seq: uint64(e.Seq), Ts: e.TS, User: string(e.User), ClientId: e.ClientID.Bytes(),
				Message: proto.Clone(p.MessagePosted).(*streampb.MessagePosted),
			})
		case streams.MessageEdited:
			if m := states[p.GetTarget()-1]; !m.GetRecalled() {
				m.Message.Body, m.Message.BodyJson, m.EditedTs = p.GetBody(), p.GetBodyJson(), e.TS
			}
		case streams.MessageRecalled:
			states[p.GetTarget()-1] = &streampb.MessageState{N: p.GetTarget(), Seq: states[p.GetTarget()-1].GetSeq(), Recalled: true}
		case streams.Reacted:
			key := reaction{n: p.GetTarget(), emoji: p.GetEmoji()}
			if users[key] == nil {
				users[key] = map[string]bool{}
			}
			users[key][string(e.User)] = true
		case streams.Unreacted:
			delete(users[reaction{n: p.GetTarget(), emoji: p.GetEmoji()}], string(e.User))
		}
	}
	for key, who := range users {
		if m := states[key.n-1]; !m.GetRecalled() && len(who) > 0 {
			m.Reactions = append(m.Reactions, &streampb.Reaction{Emoji: key.emoji, Count: uint64(len(who)), Mine: who[reader]})
		}
	}
	return states
}
