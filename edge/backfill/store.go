package backfill

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// askPatience is how long one question to the query service may take.
const askPatience = 3 * time.Second

func unavailable() *streams.Rejection {
	return streams.RejectRetry(streams.HistoryUnavailable, 2*time.Second, "what is older cannot be read at the moment")
}

// ask puts one question to the projections.
func (l *Loader) ask(ctx context.Context, subject string, question, answer proto.Message) error {
	l.metrics.loaded(fromStore)
	data, err := proto.Marshal(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	msg, err := l.transport.Request(ctx, subject, data)
	if err != nil {
		return unavailable()
	}
	if err := proto.Unmarshal(msg.Data, answer); err != nil {
		return unavailable()
	}
	return nil
}

// stored reads events that are no longer in the log.
func (l *Loader) stored(ctx context.Context, t Target, after, upto streams.Version, out *collector) error {
	place := streams.Place{V: after}
	for place.V < upto && !out.full {
		answer := &streampb.EventPage{}
		err := l.ask(ctx, streams.QueryEvents, &streampb.EventQuery{
			Group: string(t.Group), Channel: string(t.Channel),
			After: uint64(place.V), Upto: uint64(upto), Limit: uint32(min(out.limit-len(out.entries), 1000)),
		}, answer)
		if err != nil {
			return err
		}
		if answer.GetError() != nil || len(answer.GetEvents()) == 0 {
			return unavailable()
		}
		before := place.V
		for _, s := range answer.GetEvents() {
			e, err := streams.UnmarshalEvent(s.GetEvent(), streams.Seq(s.GetSeq()))
			if err != nil {
				return err
			}
			switch streams.Judge(place, e) {
			case streams.Belongs:
				if place = place.After(e); !out.full {
					out.add(e)
				}
			case streams.Ahead:
				return unavailable()
			}
		}
		if place.V == before {
			return unavailable()
		}
	}
	return nil
}

// states reads messages in their current state from the query service.
func (l *Loader) states(ctx context.Context, t Target, w *fold) (*streampb.HistoryPage, error) {
	question := &streampb.HistoryQuery{
		Group: string(t.Group), Channel: string(t.Channel), Limit: uint32(w.hi - w.lo + 1), User: string(w.reader),
	}
	if w.newest {
		question.Before = uint64(w.hi) + 1
	} else {
		question.After = uint64(w.lo) - 1
	}
	answer := &streampb.HistoryPage{}
	if err := l.ask(ctx, streams.QueryHistory, question, answer); err != nil {
		return nil, err
	}
	if answer.GetError() != nil {
		return nil, unavailable()
	}
	return answer, nil
}

func fromState(s *streampb.MessageState) (*wire.Message, error) {
	id, err := streams.ClientIDFromBytes(s.GetClientId())
	if err != nil {
		return nil, err
	}
	m := &wire.Message{
		N: streams.Number(s.GetN()), V: streams.Version(s.GetV()), Seq: streams.Seq(s.GetSeq()), TS: s.GetTs(),
		User: streams.User(s.GetUser()), ClientID: id, Posted: s.GetMessage(), EditedTS: s.GetEditedTs(), Recalled: s.GetRecalled(),
	}
	for _, r := range s.GetReactions() {
		if r.GetCount() > 0 && !m.Recalled {
			m.Reactions = append(m.Reactions, wire.Reaction{Emoji: r.GetEmoji(), Count: r.GetCount(), Mine: r.GetMine()})
		}
	}
	slices.SortFunc(m.Reactions, func(a, b wire.Reaction) int { return strings.Compare(a.Emoji, b.Emoji) })
	return m, nil
}

// Members reads a page of the members of a group that is too large for its
// owner to list: by name, behind after. Errors are [*streams.Rejection] with
// history_unavailable.
func (l *Loader) Members(ctx context.Context, q *streampb.MemberQuery) (*streampb.MemberList, error) {
	answer := &streampb.MemberList{}
	if err := l.ask(ctx, streams.QueryMembers, q, answer); err != nil {
		return nil, err
	}
	if answer.GetError() != nil {
		return nil, unavailable()
	}
	return answer, nil
}
