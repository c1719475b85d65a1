//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
)

const (
	coldFor     = 3 * time.Second // in which what only ClickHouse will have is sent
	snapshotsIn = 5 * time.Second // every partition has written one
	askEvery    = 500 * time.Millisecond
)

// coldStart sends for a while, and takes what was sent out of JetStream as the
// retention does in half an hour: once the projections and the snapshots have
// it and the fence stands behind it. Edges start anew, so that they hold none.
// What was purged is kept for the checker.
func (r *run) coldStart(ctx context.Context) error {
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for _, one := range r.senders {
		senders.Go(func() { one.run(ctx, stop) })
	}
	pause(ctx, coldFor)
	close(stop)
	senders.Wait()
	for _, p := range r.services {
		p.kill()
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	if err := until(ctx, "new terms", func() bool { return r.fenced(ctx, 2) }); err != nil {
		return err
	}
	var err error
	if r.purged, err = r.replicas(ctx); err != nil {
		return err
	}
	if _, err := r.rows(ctx, heads(r.purged)); err != nil {
		return err
	}
	pause(ctx, snapshotsIn)
	for p := range partitions {
		stream, fence, err := r.fence(ctx, p)
		if err != nil {
			return err
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSequence(fence)); err != nil {
			return fmt.Errorf("purge partition %d: %w", p, err)
		}
	}
	for i, p := range r.edges {
		p.kill()
		if err := p.start(ctx); err != nil {
			return err
		}
		if err := until(ctx, "edge is ready", func() bool { return answers(ctx, "http://"+r.listen[i]+"/readyz") }); err != nil {
			return err
		}
	}
	return nil
}

// fence is the newest fence of a partition.
func (d *deployment) fence(ctx context.Context, p int) (jetstream.Stream, uint64, error) {
	stream, err := d.js.Stream(ctx, streams.LogStream(streams.Partition(p)))
	if err != nil {
		return nil, 0, fmt.Errorf("partition %d: %w", p, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, streams.FenceSubject(streams.Partition(p)))
	if err != nil {
		return nil, 0, fmt.Errorf("the fence of partition %d: %w", p, err)
	}
	return stream, msg.Sequence, nil
}

// fenced reports whether every partition has a fence behind its first messages.
func (d *deployment) fenced(ctx context.Context, above uint64) bool {
	for p := range partitions {
		if _, fence, err := d.fence(ctx, p); err != nil || fence <= above {
			return false
		}
	}
	return true
}

// engineAway takes ClickHouse away: frozen, or with every connection reset.
// Meanwhile it asks both edges for what only ClickHouse has.
func (r *run) engineAway(ctx context.Context) {
	one := Injected{Fault: Fault{Target: "engine", Action: Freeze, For: r.EngineAway}, Began: r.clock()}
	pid := r.engine.PID()
	back := func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	if r.Seed%2 == 0 {
		one.Target, one.Action = "projections-0~clickhouse", Reset
		set := func(w weather) {
			for _, e := range r.links.of(one.Target) {
				e.set(w)
			}
		}
		set(weatherOf(Reset))
		back = func() { set(weather{}) }
	} else {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	asking, enough := context.WithTimeout(ctx, r.EngineAway)
	var all sync.WaitGroup
	lists := make([][]Asked, len(r.listen))
	for edge, listen := range r.listen {
		all.Go(func() { lists[edge] = r.ask(asking, edge, listen) })
	}
	all.Wait()
	enough()
	for _, list := range lists {
		r.asked = append(r.asked, list...)
	}
	back()
	one.Ended = r.clock()
	r.report.Faults = []Injected{one}
}

// ask asks an edge for the oldest events and messages of the groups in turn.
func (r *run) ask(ctx context.Context, edge int, listen string) (list []Asked) {
	conn, err := dial(ctx, listen, "reader", nil)
	if err != nil {
		return []Asked{{Edge: edge, Outcome: Broken}}
	}
	defer conn.close()
	for i := 0; pause(ctx, askEvery); i++ {
		one := Asked{Edge: edge, Command: "pull", At: r.clock(), Outcome: Acked}
		arguments := map[string]any{"group": r.groups[i%len(r.groups)], "channel": "general", "after": 0, "limit": 10}
		if i%2 == 1 {
			one.Command = "history"
		} else {
			arguments["upto"] = 10
		}
		err := conn.call(one.Command, arguments, nil, answerWithin)
		one.Took = r.clock() - one.At
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			one.Outcome, one.Code = Refused, refused.Code
		case errors.Is(err, errSilent):
			one.Outcome = Silent
		case err != nil:
			one.Outcome = Broken
		}
		list = append(list, one)
		if one.Outcome == Broken {
			return list
		}
	}
	return list
}

// withPurged puts what was purged in front of what is left.
func withPurged(purged, left []Replica) []Replica {
	for i := range left {
		for _, old := range purged {
			if old.Node != left[i].Node || old.Partition != left[i].Partition {
				continue
			}
			var records []Record
			for _, record := range old.Records {
				if len(left[i].Records) == 0 || record.Seq < left[i].Records[0].Seq {
					records = append(records, record)
				}
			}
			left[i].Records = append(records, left[i].Records...)
		}
	}
	return left
}
