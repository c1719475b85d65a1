//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/throng/throng/streams"
)

const (
	activeGroups  = 1000
	makers        = 32 // commands under way while groups are made
	activeWorkers = 16 // senders over all groups
	activePause   = 20 * time.Millisecond
	probePause    = 5 * time.Millisecond
	takenWithin   = 60 * time.Second
	calmFor       = 2 * time.Second // between the return of an instance and the next kill
)

// Measured is what a measurement of takeovers found.
type Measured struct {
	Took    []time.Duration // from the kill to the first accepted send, for each partition of the killed
	Kills   int
	Groups  int
	Sent    int // by the senders over all groups, acknowledged
	Longest time.Duration
}

func (m Measured) String() string {
	return fmt.Sprintf("%d kills -9 of an owner with %d groups in use (%d sends acknowledged meanwhile): takeovers %s",
		m.Kills, m.Groups, m.Sent, spread(m.Took))
}

// probe is one channel of a partition to which somebody sends all the time.
type probe struct {
	at Channel

	mu   sync.Mutex
	acks []ack // guarded by mu: when, and in epoch the sequence
}

// MeasureTakeovers kills the owners of partitions in turn, runs times, in one
// deployment, and tells after each kill how long it took until each of its
// partitions accepted a send: the first acknowledged one behind the new fence.
func MeasureTakeovers(ctx context.Context, c Config, runs int, told func(string)) (m Measured, err error) {
	dir := filepath.Join(c.Dir, "takeover")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return m, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	starting, started := context.WithTimeout(ctx, startWithin+takenWithin)
	defer started()
	d, err := begin(starting, ctx, c, dir, dir)
	defer func() { err = errors.Join(err, d.stop()) }()
	if err != nil {
		return m, fmt.Errorf("start: %w", err)
	}
	groups, probes, err := d.activate(starting)
	if err != nil {
		return m, fmt.Errorf("make groups: %w", err)
	}
	m.Groups = len(groups)
	began := time.Now()
	clock := func() time.Duration { return time.Since(began) }
	working, stopWorking := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stopWorking()
	var mu sync.Mutex
	for i := range activeWorkers {
		workers.Go(func() {
			d.keepSending(working, i, activePause, func() string { return groups[rand.IntN(len(groups))] },
				func(acknowledgement) { mu.Lock(); m.Sent++; mu.Unlock() })
		})
	}
	for i, p := range probes {
		workers.Go(func() {
			d.keepSending(working, i, probePause, func() string { return p.at.Group }, func(a acknowledgement) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.acks = append(p.acks, ack{clock(), a.Seq})
			})
		})
	}
	n := &nemesis{deployment: d, clock: clock}
	for run := 0; run < runs; run++ {
		victim := d.services[run%2]
		var owned []int
		if err := until(ctx, "both own partitions", func() bool {
			owned = n.owned(ctx, victim.pid())
			other := n.owned(ctx, d.services[(run+1)%2].pid())
			return len(owned) > 0 && len(owned)+len(other) == partitions
		}); err != nil {
			return m, err
		}
		pause(ctx, calmFor)
		took, err := d.takeovers(ctx, victim, n, probes, clock)
		if err != nil {
			return m, err
		}
		m.Kills++
		m.Took = append(m.Took, took...)
		told(fmt.Sprintf("kill %d of %s: %v", run+1, victim.name, took))
	}
	stopWorking()
	workers.Wait()
	mu.Lock()
	defer mu.Unlock()
	return m, nil
}

// takeovers kills an owner and waits until all its partitions took a send.
func (d *deployment) takeovers(ctx context.Context, victim *process, n *nemesis, probes []*probe, clock func() time.Duration) (took []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	owned := n.owned(ctx, victim.pid())
	before := map[int]uint64{}
	for _, p := range owned {
		if _, before[p], err = d.fence(ctx, p); err != nil {
			return nil, err
		}
	}
	killed := clock()
	victim.kill()
	for _, p := range owned {
		var fence uint64
		err := until(ctx, fmt.Sprintf("a new fence of partition %d", p), func() bool {
			_, newest, err := d.fence(ctx, p)
			fence = newest
			return err == nil && newest > before[p]
		})
		if err != nil {
			return nil, err
		}
		err = until(ctx, fmt.Sprintf("a send in partition %d", p), func() bool {
			probes[p].mu.Lock()
			defer probes[p].mu.Unlock()
			i := slices.IndexFunc(probes[p].acks, func(a ack) bool { return a.epoch > fence })
			if i >= 0 {
				took = append(took, (probes[p].acks[i].at - killed).Round(time.Millisecond))
				probes[p].acks = nil
			}
			return i >= 0
		})
		if err != nil {
			return nil, err
		}
	}
	return took, victim.start(context.WithoutCancel(ctx)) // stop ends it
}

// activate makes the groups, and finds one of each partition to probe.
func (d *deployment) activate(ctx context.Context) (groups []string, probes []*probe, err error) {
	probes = make([]*probe, partitions)
	for i := range activeGroups {
		name := fmt.Sprintf("g%d", i)
		groups = append(groups, name)
		if p := streams.PartitionOf(streams.Group(name), partitions); probes[p] == nil {
			probes[p] = &probe{at: Channel{name, "general"}}
		}
	}
	conn, err := dial(ctx, d.listen[0], "owner", nil)
	if err != nil {
		return nil, nil, err
	}
	defer conn.close()
	var all sync.WaitGroup
	errs := make([]error, makers)
	for m := range makers {
		all.Go(func() {
			for i := m; i < len(groups) && errs[m] == nil; i += makers {
				errs[m] = errors.Join(
					insist(conn, "create_group", map[string]any{"group": groups[i], "kind": "community", "name": groups[i]}, nil),
					insist(conn, "create_channel", map[string]any{"group": groups[i], "channel": "general", "kind": "public", "name": "general"}, nil))
			}
		})
	}
	all.Wait()
	return groups, probes, errors.Join(errs...)
}

// keepSending sends one message after the other until ctx ends, each until it
// is acknowledged.
func (d *deployment) keepSending(ctx context.Context, edge int, every time.Duration, group func() string, acked func(acknowledgement)) {
	for ctx.Err() == nil {
		conn, err := dial(ctx, d.listen[edge%len(d.listen)], "owner", nil)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		for alive := true; alive && ctx.Err() == nil; {
			id, to := newID(), group()
			for ctx.Err() == nil {
				var ok acknowledgement
				err := conn.call("send", map[string]any{"group": to, "channel": "general", "client_id": id, "body": id}, &ok, answerWithin)
				if err == nil {
					acked(ok)
					break
				}
				if alive = errors.As(err, new(*refusal)); !alive {
					break
				}
				pause(ctx, 10*time.Millisecond)
			}
			pause(ctx, every)
		}
		conn.close()
	}
}
