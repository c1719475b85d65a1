package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/topology"
)

type repairCommand struct {
	NATS       natsURL `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse dsn     `name:"clickhouse" help:"ClickHouse's native protocol: it has what the snapshots lack." required:"" placeholder:"DSN"`
	Discard    bool    `help:"Give up what is only in a log that was rolled back, and was written after that."`
	DryRun     bool    `help:"Only show what is lost and what would be done."`
}

// repairWithin bounds the repair of one partition.
const repairWithin = 30 * time.Minute

func (c *repairCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "repair", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	db, err := clickhouse.Open(clickhouse.Config{DSN: string(c.ClickHouse)})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	r := repair{link: l, program: p, sink: history.NewSink(db), discard: c.Discard, dryRun: c.DryRun}
	heads, err := r.sink.Heads(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for partition := range streams.Partition(l.deployment.Partitions) {
		ctx, cancel := context.WithTimeout(ctx, repairWithin)
		if err := r.partition(ctx, partition, heads[partition].Seq); err != nil {
			problems = append(problems, fmt.Errorf("repair partition %d: %w", partition, err))
		}
		cancel()
	}
	return errors.Join(problems...)
}

// repair makes logs anew that were lost or rolled back. It goes from what can
// be repeated to what cannot, and each step keeps the partition from being
// served until the last is done:
//
//	state from snapshot and ClickHouse ─▶ stand-ins for what is in neither's history
//	─▶ snapshot up to the new log's start ─▶ new log, new name, higher sequences
type repair struct {
	*link
	*program
	sink            *history.Sink
	discard, dryRun bool
}

func (r *repair) say(p streams.Partition, format string, args ...any) {
	_, _ = fmt.Fprintf(r.stdout, "partition %d: %s\n", p, fmt.Sprintf(format, args...))
}

func (r *repair) partition(ctx context.Context, p streams.Partition, stored streams.Seq) error {
	end, err := endOf(ctx, r.conn, r.js, p, stored)
	if err != nil {
		return err
	}
	how := end.lost()
	if how == "" {
		r.say(p, "its log is well")
		return nil
	}
	r.say(p, "%s", how)
	if canary(ctx, r.conn, p) == nil {
		return errors.New("it is served all the same: stop all «throng services» and repair again")
	}
	if err := r.onlyInTheLog(ctx, p, end); err != nil {
		return err
	}
	rebuild, err := sequencer.NewRebuild(ctx, sequencer.RebuildConfig{
		Conn: r.conn, Partition: p, Deployment: r.deployment, Instance: instance(), Logger: r.logger, DryRun: r.dryRun,
		Stored: func(ctx context.Context, after streams.Seq, visit func(*streams.Event) error) error {
			return r.sink.Stored(ctx, p, after, visit)
		},
	})
	if err != nil {
		return err
	}
	defer rebuild.Close()
	high := max(rebuild.Newest(), end.last, end.stored, end.snapshot)
	first := topology.FirstAfter(high)
	if err := r.standIn(ctx, p, rebuild, high); err != nil {
		return err
	}
	if r.dryRun {
		r.say(p, "would begin its log anew at %d", first)
		return nil
	}
	if err := rebuild.Write(ctx, first-1); err != nil {
		return err
	}
	if err := topology.RenewLog(ctx, r.js, r.deployment, p, first); err != nil {
		return err
	}
	r.say(p, "its log begins anew at %d", first)
	return nil
}

// tail is how far back from its end a log is compared with ClickHouse,
// sequences.
const tail = 100_000

// onlyInTheLog refuses to remove a log that has what ClickHouse does not.
func (r *repair) onlyInTheLog(ctx context.Context, p streams.Partition, end logEnd) error {
	if end.missing {
		return nil
	}
	type mark struct {
		group   streams.Group
		channel streams.Channel
		v       streams.Version
		ts      int64
	}
	from, known := max(end.last, tail)-tail, map[streams.Seq]mark{}
	err := r.sink.Stored(ctx, p, from, func(e *streams.Event) error {
		known[e.Seq] = mark{e.Group, e.Channel, e.V, e.TS}
		return nil
	})
	if err != nil {
		return err
	}
	behind, others := 0, 0
	err = eventlog.NewReader(r.conn, streams.LogStream(p)).Scan(ctx, streams.LogFilter(p), from+1, 0, func(m eventlog.Message) error {
		if token, ok := streams.ParseLog(m.Subject); !ok || token.Fence || token.Canary {
			return nil
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		switch have, ok := known[m.Seq]; {
		case err != nil: // was set aside when it was projected
		case m.Seq > end.stored:
			behind++
		case !ok || have != mark{e.Group, e.Channel, e.V, e.TS}:
			others++
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("compare the log with ClickHouse: %w", err)
	case behind > 0:
		return fmt.Errorf("ClickHouse lacks %d events of its log: run «throng projections» until doctor says it has them, then repair again", behind)
	case others > 0 && !r.discard:
		return fmt.Errorf("%d events of its log are not in ClickHouse: it was written to after it was rolled back; --discard gives them up", others)
	}
	return nil
}

// standIn gives ClickHouse stand-ins for events it did not have yet when the
// log was lost, of which the snapshot tells that they were there.
func (r *repair) standIn(ctx context.Context, p streams.Partition, rebuild *sequencer.Rebuild, high streams.Seq) error {
	heads, err := r.sink.ChannelHeads(ctx, p)
	if err != nil {
		return err
	}
	const page = 10_000 // events
	lost, now, batch := 0, time.Now().UnixMilli(), history.Batch{}
	write := func(least int) error {
		if r.dryRun || len(batch.Records) < least {
			return nil
		}
		_, err := r.sink.Write(ctx, batch)
		batch.Records = nil
		return err
	}
	var failed error
	rebuild.Channels(func(g streams.Group, to group.Position) {
		place := history.Place{Group: g, Channel: to.Channel}
		from := heads[place]
		if failed != nil || from.V >= to.V {
			return
		}
		r.say(p, "lost: %s/%s v %d to %d, %d messages", g, to.Channel, from.V+1, to.V, to.N-from.N)
		for _, e := range history.StandIns(place, from, history.ChannelHead{V: to.V, N: to.N}, high+1+streams.Seq(lost), now) {
			data, err := streams.MarshalEvent(e)
			if err != nil {
				failed = fmt.Errorf("encode a stand-in: %w", err)
				return
			}
			batch.Records = append(batch.Records, history.Record{Partition: p, Event: e, Data: data})
			lost++
		}
		failed = write(page)
	})
	if failed != nil {
		return failed
	}
	r.say(p, "%d events were acknowledged and are lost; stand-ins take their numbers", lost)
	return write(1)
}
