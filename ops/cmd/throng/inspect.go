package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

type inspectCommand struct {
	Partitions inspectPartitions `cmd:"" help:"Who owns which partition, and how long its log is."`
	Group      inspectGroup      `cmd:"" help:"A group: members, roles, settings, channels and attributes, now or at any point of its log."`
	Log        inspectLog        `cmd:"" help:"The events of a group, oldest first, without their bodies."`
}

type inspectPartitions struct {
	NATS natsURL `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

func (c *inspectPartitions) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "inspect", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	leases, err := l.js.KeyValue(ctx, streams.LeaseBucket)
	if err != nil {
		return fmt.Errorf("look at the leases: %w", err)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "partition\towner\tepoch\tfirst\tlast\tbytes")
	for partition := range streams.Partition(l.deployment.Partitions) {
		owner := "nobody"
		if entry, err := leases.Get(ctx, "partition."+partition.String()); err == nil {
			owner = string(entry.Value())
		} else if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return fmt.Errorf("look at the lease of partition %d: %w", partition, err)
		}
		stream, err := l.js.Stream(ctx, streams.LogStream(partition))
		if err != nil {
			return fmt.Errorf("look at the log of partition %d: %w", partition, err)
		}
		epoch := streams.Seq(0)
		fence, err := eventlog.NewReader(l.conn, streams.LogStream(partition)).Last(ctx, streams.FenceSubject(partition))
		if err == nil {
			epoch = fence.Seq
		}
		state := stream.CachedInfo().State
		_, _ = fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%d\t%d\n", partition, owner, epoch, state.FirstSeq, state.LastSeq, state.Bytes)
	}
	return table.Flush()
}

type inspectLog struct {
	Group streams.Group `arg:"" help:"The group."`
	From  count         `help:"Sequence to begin at." default:"1"`
	Limit count         `help:"Most events to print." default:"100"`
	NATS  natsURL       `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

func (c *inspectLog) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "inspect", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	partition := streams.PartitionOf(c.Group, l.deployment.Partitions)
	reader := eventlog.NewReader(l.conn, streams.LogStream(partition))
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "seq\tepoch\tchannel\tv\tn\tkind\tuser\ttime\tclient_id")
	printed := count(0)
	err = reader.Scan(ctx, streams.GroupLogFilter(partition, c.Group), streams.Seq(c.From), 0, func(m eventlog.Message) error {
		if printed == c.Limit {
			return errEnough
		}
		printed++
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(table, "%d\t%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", e.Seq, e.Epoch, e.Channel, e.V, e.N, e.Kind(), e.User,
			time.UnixMilli(e.TS).UTC().Format(time.RFC3339Nano), e.ClientID)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("read the log of %s: %w", c.Group, err)
	}
	return table.Flush()
}
