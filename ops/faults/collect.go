//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
)

// sources reads what the edges and ClickHouse say.
func (r *run) sources(ctx context.Context, h *History, newest map[Channel]uint64) error {
	waiting, waited := context.WithTimeout(ctx, rowsWithin)
	defer waited()
	rows, err := r.rows(waiting, newest)
	if err != nil {
		return err
	}
	h.Sources = rows
	for _, f := range r.report.Faults {
		if r.EngineAway > 0 {
			r.report.CaughtUp = r.clock() - f.Ended
		}
	}
	for i, listen := range r.listen {
		conn, err := dial(ctx, listen, "reader", nil)
		if err != nil {
			return err
		}
		defer conn.close()
		for _, g := range r.groups {
			at := Channel{g, "general"}
			began := r.clock()
			pulled, err := pulledFrom(r.asking, conn, at)
			if err != nil {
				return fmt.Errorf("pull %v at edge %d: %w", at, i, err)
			}
			if len(pulled) > 0 {
				h.Heads = append(h.Heads, Head{Channel: at, V: pulled[len(pulled)-1].V, Began: began, Ended: r.clock()})
			}
			messages, err := historyFrom(r.asking, conn, at)
			if err != nil {
				return fmt.Errorf("history %v at edge %d: %w", at, i, err)
			}
			h.Sources = append(h.Sources,
				Source{Channel: at, Name: fmt.Sprintf("pull at edge %d", i), Entries: pulled},
				Source{Channel: at, Name: fmt.Sprintf("history at edge %d", i), Messages: true, Entries: messages})
		}
	}
	return nil
}

// replicas reads every partition on every NATS node.
func (d *deployment) replicas(ctx context.Context) (all []Replica, err error) {
	for p := range partitions {
		stream, err := d.js.Stream(ctx, streams.LogStream(streams.Partition(p)))
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		if err := until(ctx, fmt.Sprintf("the replicas of partition %d are current", p), func() bool {
			info, err := stream.Info(ctx)
			return err == nil && current(info.Cluster)
		}); err != nil {
			return nil, err
		}
		info, err := stream.Info(ctx)
		if err != nil {
			return nil, err
		}
		byNode, err := d.copies(ctx, stream, p, info.State.LastSeq)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		for _, node := range slices.Sorted(maps.Keys(byNode)) {
			all = append(all, Replica{Node: node, Partition: p, Records: byNode[node]})
		}
	}
	return all, nil
}

// remains reads what there is of every partition, on whichever node answers; a
// stream that is not there any more has nothing.
func (d *deployment) remains(ctx context.Context) (all []Replica, err error) {
	for p := range partitions {
		r := Replica{Node: "any", Partition: p}
		var stream jetstream.Stream
		looking, cancel := context.WithTimeout(ctx, lazyWithin)
		err := until(looking, fmt.Sprintf("partition %d answers", p), func() bool {
			var err error
			attempt, done := context.WithTimeout(looking, time.Second)
			defer done()
			stream, err = d.js.Stream(attempt, streams.LogStream(streams.Partition(p)))
			return err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
		})
		cancel()
		if err == nil && stream != nil {
			consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
			if err != nil {
				return nil, err
			}
			if r.Records, err = read(ctx, consumer, p, stream.CachedInfo().State.LastSeq); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, nil
}

func current(c *jetstream.ClusterInfo) bool {
	if c == nil || c.Leader == "" || len(c.Replicas) != nodes-1 {
		return false
	}
	for _, r := range c.Replicas {
		if !r.Current || r.Offline || r.Lag > 0 {
			return false
		}
	}
	return true
}

// copies reads a stream on each node. A consumer without copies lives on one
// node, chosen at random, and reads what that node has: so consumers are made
// until each node was met.
func (d *deployment) copies(ctx context.Context, stream jetstream.Stream, p int, upto uint64) (map[string][]Record, error) {
	byNode := map[string][]Record{}
	for range 60 {
		if len(byNode) == nodes {
			return byNode, nil
		}
		consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: 30 * time.Second,
		})
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		info := consumer.CachedInfo()
		if info.Cluster != nil && byNode[info.Cluster.Leader] == nil {
			records, err := read(ctx, consumer, p, upto)
			if err != nil {
				return nil, err
			}
			byNode[info.Cluster.Leader] = records
		}
		_ = stream.DeleteConsumer(ctx, info.Name) // else it expires
	}
	return nil, errors.New("not every node was met")
}

// copyWithin is how long a copy may stand still while it is read.
const copyWithin = 15 * time.Second

func read(ctx context.Context, consumer jetstream.Consumer, p int, upto uint64) (records []Record, err error) {
	moved := time.Now()
	for last := uint64(0); last < upto; {
		batch, err := consumer.FetchNoWait(1000)
		if err != nil {
			return nil, err
		}
		count := 0
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return nil, err
			}
			if last = meta.Sequence.Stream; last > upto {
				return records, nil
			}
			record, err := decode(msg, last)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
			count++
			moved = time.Now()
		}
		if time.Since(moved) > copyWithin {
			return records, nil // the copy has no more, or cannot read it: the checker sees what is missing
		}
		if count == 0 && last < upto && !pause(ctx, 20*time.Millisecond) {
			return nil, fmt.Errorf("the copy ends at %d, the stream at %d: %w", last, upto, ctx.Err())
		}
	}
	return records, nil
}

func decode(msg jetstream.Msg, seq uint64) (Record, error) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(msg.Subject() + "\x00"))
	_, _ = hash.Write(msg.Data())
	r := Record{Seq: seq, Digest: hash.Sum64()}
	token, ok := streams.ParseLog(msg.Subject())
	switch {
	case !ok:
		return r, fmt.Errorf("unknown subject %q at %d", msg.Subject(), seq)
	case token.Fence:
		r.Fence = true
		return r, nil
	case token.Canary:
		r.Other = true
		return r, nil
	}
	e, err := streams.UnmarshalEvent(msg.Data(), streams.Seq(seq))
	if err != nil {
		return r, fmt.Errorf("event at %d: %w", seq, err)
	}
	r.Epoch = uint64(e.Epoch)
	r.Event = Entry{
		Channel: Channel{string(e.Group), string(e.Channel)}, V: uint64(e.V), N: uint64(e.N), Seq: seq,
		Kind: string(e.Kind()), User: string(e.User),
	}
	if !e.ClientID.IsZero() {
		r.Event.ID = e.ClientID.String()
	}
	if m, ok := e.Payload.(streams.MessagePosted); ok {
		r.Event.Body = string(m.Body)
	}
	return r, nil
}

// heads are the newest v of each channel of a log.
func heads(replicas []Replica) map[Channel]uint64 {
	newest := map[Channel]uint64{}
	for _, r := range replicas {
		for _, record := range r.Records {
			if !record.Fence && !record.Other {
				newest[record.Event.Channel] = max(newest[record.Event.Channel], record.Event.V)
			}
		}
	}
	return newest
}

// asker calls a command, and again where that may help.
type asker func(conn *connection, command string, arguments map[string]any, ok any) error

// pulledFrom reads a channel from v 1 on at an edge.
func pulledFrom(ask asker, conn *connection, at Channel) (list []Entry, err error) {
	for after := uint64(0); ; {
		var p page
		if err := ask(conn, "pull", map[string]any{"group": at.Group, "channel": at.Name, "after": after, "limit": 1000}, &p); err != nil {
			return nil, err
		}
		list = append(list, entries(p.Events)...)
		if after = p.Through; !p.More {
			return list, nil
		}
	}
}

// historyFrom reads a channel's messages from n 1 on at an edge.
func historyFrom(ask asker, conn *connection, at Channel) (list []Entry, err error) {
	for after := uint64(0); ; {
		var p struct {
			Messages []wireEvent `json:"messages"`
			More     bool        `json:"more"`
		}
		if err := ask(conn, "history", map[string]any{"group": at.Group, "channel": at.Name, "after": after, "limit": 1000}, &p); err != nil {
			return nil, err
		}
		for _, m := range p.Messages {
			m.Group, m.Channel, m.Kind = at.Group, at.Name, string(streams.KindMessage)
			list = append(list, m.entry())
			after = m.N
		}
		if !p.More || len(p.Messages) == 0 {
			return list, nil
		}
	}
}

// insist calls until it is not refused as unavailable, for a while.
func insist(conn *connection, command string, arguments map[string]any, ok any) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := conn.call(command, arguments, ok, answerWithin)
		var r *refusal
		if !errors.As(err, &r) || !r.away() || time.Now().After(deadline) {
			return err
		}
		pause(context.Background(), 200*time.Millisecond) // bounded by the deadline
	}
}

// rows reads what ClickHouse has, once it has as much as the log.
func (d *deployment) rows(ctx context.Context, newest map[Channel]uint64) (sources []Source, err error) {
	var want uint64
	for _, v := range newest {
		want += v
	}
	var got uint64
	_ = until(ctx, "clickhouse has every event", func() bool { // what is missing the checker finds
		_ = d.db.Query(ctx, "SELECT count() FROM events FINAL", nil, func(scan func(...any) error) error { return scan(&got) })
		return got >= want
	})
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for name, query := range map[string]string{
		"events":   "SELECT `group`, channel, v, n, seq, toString(kind), user, client_id, if(kind = 'message', body, '') FROM events FINAL ORDER BY `group`, channel, v",
		"messages": "SELECT `group`, channel, v, n, seq, 'message', user, client_id, body FROM messages FINAL ORDER BY `group`, channel, n",
	} {
		byChannel := map[Channel][]Entry{}
		err := d.db.Query(reading, query, nil, func(scan func(...any) error) error {
			var e Entry
			var id clickhouse.UUID
			if err := scan(&e.Group, &e.Name, &e.V, &e.N, &e.Seq, &e.Kind, &e.User, &id, &e.Body); err != nil {
				return err
			}
			if id != (clickhouse.UUID{}) {
				e.ID = id.String()
			}
			byChannel[e.Channel] = append(byChannel[e.Channel], e)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for at := range newest {
			sources = append(sources, Source{Channel: at, Name: "clickhouse " + name, Messages: name == "messages", Entries: byChannel[at]})
			delete(byChannel, at)
		}
		for at, list := range byChannel {
			sources = append(sources, Source{Channel: at, Name: "clickhouse " + name, Messages: name == "messages", Entries: list})
		}
	}
	return sources, nil
}
