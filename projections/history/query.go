package history

import (
	"context"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/groups"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// maxLimit is the largest page. A page is also cut where it would not fit into
// one NATS message, so a page that is shorter than asked for is not the end;
// an empty one is.
const maxLimit = 1000

func clampLimit(limit uint32) uint32 {
	if limit == 0 || limit > maxLimit {
		return maxLimit
	}
	return limit
}

// channelOf validates what a query names. NATS may hold other clients than
// edges.
func channelOf(group, channel string) (channelKey, error) {
	g, err := streams.ParseGroup(group)
	if err != nil {
		return channelKey{}, err
	}
	c, err := streams.ParseChannel(channel)
	if err != nil {
		return channelKey{}, err
	}
	return channelKey{g, c}, nil
}

func (k channelKey) params() clickhouse.Params {
	return clickhouse.Params{"group": string(k.group), "channel": string(k.channel)}
}

// onOneThread ends queries that read a page: there is too little of it to share,
// and sharing it costs a page of 50 a fifth of its time.
const onOneThread = " SETTINGS max_threads = 1"

const ofChannel = " WHERE `group` = {group:String} AND channel = {channel:String}"

func (s *Service) answerEvents(ctx context.Context, data []byte) ([]byte, error) {
	query := &streampb.EventQuery{}
	if err := proto.Unmarshal(data, query); err != nil {
		return nil, streams.Reject(streams.BadRequest, "the query cannot be read")
	}
	page, err := s.events(ctx, query)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(page)
}

// events reads after < v <= upto, oldest first; upto 0 is no limit.
func (s *Service) events(ctx context.Context, query *streampb.EventQuery) (*streampb.EventPage, error) {
	key, err := channelOf(query.GetGroup(), query.GetChannel())
	if err != nil {
		return nil, err
	}
	params := key.params()
	params["after"], params["upto"], params["limit"] = query.GetAfter(), query.GetUpto(), clampLimit(query.GetLimit())
	if query.GetUpto() == 0 {
		params["upto"] = uint64(math.MaxUint64)
	}
	const text = "SELECT seq, kind, n, target, payload FROM events FINAL" + ofChannel +
		" AND v > {after:UInt64} AND v <= {upto:UInt64} ORDER BY v LIMIT {limit:UInt32}"
	page := &streampb.EventPage{}
	var numbers []uint64 // per event: the message whose body it carries, or 0
	left := s.room()
	err = s.db.Query(ctx, text, params, func(scan func(...any) error) error {
		var kind string
		var n, target uint64
		stored := &streampb.StoredEvent{}
		if err := scan(&stored.Seq, &kind, &n, &target, &stored.Event); err != nil {
			return err
		}
		if left -= proto.Size(stored) + 8; left < 0 && len(page.Events) > 0 {
			return clickhouse.ErrStop
		}
		number := uint64(0)
		switch streams.Kind(kind) {
		case streams.KindMessage:
			number = n
		case streams.KindEdit:
			number = target
		}
		page.Events = append(page.Events, stored)
		numbers = append(numbers, number)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return page, s.blank(ctx, key, page, numbers)
}

// blank takes the bodies of recalled messages out of a page of events.
func (s *Service) blank(ctx context.Context, key channelKey, page *streampb.EventPage, numbers []uint64) error {
	asked := slices.DeleteFunc(slices.Clone(numbers), func(n uint64) bool { return n == 0 })
	if len(asked) == 0 {
		return nil
	}
	params := key.params()
	params["numbers"] = asked
	const text = "SELECT n FROM messages FINAL" + ofChannel + " AND n IN {numbers:Array(UInt64)} AND recalled = 1"
	recalled := map[uint64]bool{}
	err := s.db.Query(ctx, text, params, func(scan func(...any) error) error {
		var n uint64
		if err := scan(&n); err != nil {
			return err
		}
		recalled[n] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what was recalled: %w", err)
	}
	for i, n := range numbers {
		if n == 0 || !recalled[n] {
			continue
		}
		if page.Events[i].Event, err = withoutBody(page.Events[i].Event); err != nil {
			return err
		}
	}
	return nil
}

func withoutBody(data []byte) ([]byte, error) {
	e := &streampb.Event{}
	if err := proto.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("read a stored event: %w", err)
	}
	switch p := e.GetPayload().(type) {
	case *streampb.Event_Message:
		p.Message.Body = nil
	case *streampb.Event_Edit:
		p.Edit.Body = nil
	}
	return proto.Marshal(e)
}

func (s *Service) answerMembers(ctx context.Context, data []byte) ([]byte, error) {
	query := &streampb.MemberQuery{}
	if err := proto.Unmarshal(data, query); err != nil {
		return nil, streams.Reject(streams.BadRequest, "the query cannot be read")
	}
	list, err := groups.Members(ctx, s.db, query, s.room())
	if err != nil {
		return nil, err
	}
	return proto.Marshal(list)
}

func (s *Service) answerHistory(ctx context.Context, data []byte) ([]byte, error) {
	query := &streampb.HistoryQuery{}
	if err := proto.Unmarshal(data, query); err != nil {
		return nil, streams.Reject(streams.BadRequest, "the query cannot be read")
	}
	page, err := s.history(ctx, query)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(page)
}

// history reads messages with their reactions as they are now: newest first
// below before where that is set, else oldest first above after.
func (s *Service) history(ctx context.Context, query *streampb.HistoryQuery) (*streampb.HistoryPage, error) {
	key, err := channelOf(query.GetGroup(), query.GetChannel())
	if err != nil {
		return nil, err
	}
	if query.GetUser() != "" {
		if _, err := streams.ParseUser(query.GetUser()); err != nil {
			return nil, err
		}
	}
	page, err := s.messages(ctx, key, query, s.room())
	if err != nil {
		return nil, err
	}
	return page, s.react(ctx, key, query.GetUser(), page, s.room())
}

// messages is the same without the reactions; room is how large the page may be, in bytes.
func (s *Service) messages(ctx context.Context, key channelKey, query *streampb.HistoryQuery, room int) (*streampb.HistoryPage, error) {
	page := &streampb.HistoryPage{}
	// First how far the channel is stored, then the messages and reactions: those
	// are stored before their events, so they hold at least this.
	const newest = "SELECT v FROM events" + ofChannel + " ORDER BY `group` DESC, channel DESC, v DESC LIMIT 1"
	err := s.db.Query(ctx, newest, key.params(), func(scan func(...any) error) error { return scan(&page.Through) })
	if err != nil {
		return nil, fmt.Errorf("read how far a channel is stored: %w", err)
	}
	const (
		down = "SELECT " + messageFields + " FROM messages FINAL" + ofChannel +
			" AND n < {bound:UInt64} ORDER BY n DESC LIMIT {limit:UInt32}" + onOneThread
		up = "SELECT " + messageFields + " FROM messages FINAL" + ofChannel +
			" AND n > {bound:UInt64} ORDER BY n LIMIT {limit:UInt32}" + onOneThread
	)
	text, bound := up, query.GetAfter()
	if query.GetBefore() > 0 {
		text, bound = down, query.GetBefore()
	}
	params := key.params()
	params["bound"], params["limit"] = bound, clampLimit(query.GetLimit())
	err = s.db.Query(ctx, text, params, func(scan func(...any) error) error {
		m, err := scanMessage(scan)
		if err != nil {
			return err
		}
		state := m.state()
		if room -= proto.Size(state) + 8; room < 0 && len(page.Messages) > 0 {
			return clickhouse.ErrStop
		}
		page.Messages = append(page.Messages, state)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return page, nil
}
