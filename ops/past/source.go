package past

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// Source is where a group's events are read.
type Source struct {
	Conn       *nats.Conn          // required
	JS         jetstream.JetStream // on Conn; required
	Partitions uint32              // of the deployment; required
	// DB is asked for what was purged from the log; nil: then that is an error.
	DB *clickhouse.DB
}

// ErrStop ends a reading early, without an error.
var ErrStop = errors.New("stop")

// rowsPerQuery bounds one question to ClickHouse.
const rowsPerQuery = 5000

// Events calls visit with each event of a group up to a sequence (0: all), in the
// order of the log, those of [streams.Stale] left out. It stops when visit
// returns an error, and returns that unless it is [ErrStop].
func (s Source) Events(ctx context.Context, g streams.Group, upto streams.Seq, visit func(*streams.Event) error) error {
	p := streams.PartitionOf(g, s.Partitions)
	stream, err := s.JS.Stream(ctx, streams.LogStream(p))
	if err != nil {
		return fmt.Errorf("look at the log of partition %d: %w", p, err)
	}
	j := &judging{places: map[streams.Channel]streams.Place{}, visit: visit}
	first := streams.Seq(stream.CachedInfo().State.FirstSeq)
	if first > 1 {
		if err = s.stored(ctx, p, g, min(first, after(upto)), j); err != nil {
			return stopped(err)
		}
	}
	reader := eventlog.NewReader(s.Conn, streams.LogStream(p))
	if j.fences, err = fences(ctx, reader, p); err != nil {
		return err
	}
	return stopped(reader.Scan(ctx, streams.GroupLogFilter(p, g), first, upto, func(m eventlog.Message) error {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		return j.take(e)
	}))
}

// after is the sequence behind upto; 0 stands for no end.
func after(upto streams.Seq) streams.Seq {
	if upto == 0 {
		return streams.Seq(streams.MaxInteger)
	}
	return upto + 1
}

func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// judging passes on what belongs to the group's history.
type judging struct {
	places map[streams.Channel]streams.Place
	fences []streams.Seq // not passed yet, ascending
	epoch  streams.Epoch // newest fence passed
	visit  func(*streams.Event) error
}

// ErrHole: events are missing that neither ClickHouse nor the log has.
var ErrHole = errors.New("the history has a hole")

func (j *judging) take(e *streams.Event) error {
	for len(j.fences) > 0 && j.fences[0] < e.Seq {
		j.epoch, j.fences = streams.Epoch(j.fences[0]), j.fences[1:]
	}
	place := j.places[e.Channel]
	place.Epoch = max(place.Epoch, j.epoch)
	switch streams.Judge(place, e) {
	case streams.Belongs:
		j.places[e.Channel] = place.After(e)
		return j.visit(e)
	case streams.Ahead:
		return fmt.Errorf("%w: channel %s goes from %d to %d", ErrHole, e.Channel, place.V, e.V)
	}
	return nil
}

// fences lists the sequences at which terms began.
func fences(ctx context.Context, reader *eventlog.Reader, p streams.Partition) (list []streams.Seq, err error) {
	err = reader.Scan(ctx, streams.FenceSubject(p), 1, 0, func(m eventlog.Message) error {
		list = append(list, m.Seq)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the fences of partition %d: %w", p, err)
	}
	return list, nil
}

// stored reads from ClickHouse what lies before a sequence.
func (s Source) stored(ctx context.Context, p streams.Partition, g streams.Group, before streams.Seq, j *judging) error {
	if s.DB == nil {
		return fmt.Errorf("%w: the log of partition %d begins at %d and no ClickHouse is given for what lies before", ErrHole, p, before)
	}
	const query = "SELECT seq, payload FROM events FINAL WHERE `group` = {group:String}" +
		" AND seq > {from:UInt64} AND seq < {before:UInt64} ORDER BY seq LIMIT {limit:UInt32}"
	from := uint64(0)
	for {
		var page []*streams.Event
		params := clickhouse.Params{"group": string(g), "from": from, "before": uint64(before), "limit": uint32(rowsPerQuery)}
		err := s.DB.Query(ctx, query, params, func(scan func(...any) error) error {
			var seq uint64
			var data []byte
			if err := scan(&seq, &data); err != nil {
				return err
			}
			e, err := streams.UnmarshalEvent(data, streams.Seq(seq))
			if err != nil {
				return err
			}
			from, page = seq, append(page, e)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read what ClickHouse has of group %s: %w", g, err)
		}
		for _, e := range page {
			if err := j.take(e); err != nil {
				return err
			}
		}
		if len(page) < rowsPerQuery {
			return nil
		}
	}
}
