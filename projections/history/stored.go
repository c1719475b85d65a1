package history

import (
	"context"
	"fmt"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// ChannelHead is how far a channel is stored.
type ChannelHead struct {
	V   streams.Version
	N   streams.Number
	Seq streams.Seq // of its newest event
}

// Stored visits the stored events of a partition behind a sequence, in order of
// the log. It looks at all of the partition: it is for repairs.
func (s *Sink) Stored(ctx context.Context, p streams.Partition, after streams.Seq, visit func(*streams.Event) error) error {
	const query = "SELECT seq, payload FROM events FINAL WHERE `partition` = {partition:UInt32} AND seq > {after:UInt64} ORDER BY seq"
	err := s.db.Query(ctx, query, clickhouse.Params{"partition": uint32(p), "after": uint64(after)}, func(scan func(...any) error) error {
		var seq uint64
		var payload []byte
		if err := scan(&seq, &payload); err != nil {
			return err
		}
		e, err := streams.UnmarshalEvent(payload, streams.Seq(seq))
		if err != nil {
			return fmt.Errorf("event at %d: %w", seq, err)
		}
		return visit(e)
	})
	if err != nil {
		return fmt.Errorf("read the events of partition %d behind %d: %w", p, after, err)
	}
	return nil
}

// ChannelHeads returns how far the channels of a partition are stored.
func (s *Sink) ChannelHeads(ctx context.Context, p streams.Partition) (map[Place]ChannelHead, error) {
	heads := map[Place]ChannelHead{}
	const query = "SELECT `group`, channel, max(v), argMax(n, v), argMax(seq, v) FROM events" +
		" WHERE `partition` = {partition:UInt32} GROUP BY `group`, channel"
	err := s.db.Query(ctx, query, clickhouse.Params{"partition": uint32(p)}, func(scan func(...any) error) error {
		var group, channel string
		var v, n, seq uint64
		if err := scan(&group, &channel, &v, &n, &seq); err != nil {
			return err
		}
		heads[Place{streams.Group(group), streams.Channel(channel)}] = ChannelHead{V: streams.Version(v), N: streams.Number(n), Seq: streams.Seq(seq)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read how far the channels of partition %d are stored: %w", p, err)
	}
	return heads, nil
}

// TypeLost is the type of messages that stand for lost ones, and LostUser who
// is said to have written them.
const (
	TypeLost = "lost"
	LostUser = streams.User("@lost")
)

// StandIns are events for those of a channel that were lost behind from: as many
// empty messages as messages were lost, so that v and n have no holes, and for
// the rest recalls of nothing. They take the sequences from seq on.
func StandIns(c Place, from, to ChannelHead, seq streams.Seq, ts int64) []*streams.Event {
	var events []*streams.Event
	prev, n := from.Seq, from.N
	for v := from.V + 1; v <= to.V; v++ {
		e := &streams.Event{
			Group: c.Group, Channel: c.Channel, V: v, Seq: seq, Epoch: streams.Epoch(seq), Prev: prev, TS: ts, User: LostUser,
			Payload: streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{}},
		}
		if n < to.N {
			n++
			e.Payload = streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: TypeLost}}
		}
		e.N, prev = n, seq
		events, seq = append(events, e), seq+1
	}
	return events
}
