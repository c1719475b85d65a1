package sequencer

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

// Claims shares the partitions evenly among the instances that are alive. Each
// instance sees the same leases and heartbeats and comes to the same plan, so
// nobody has to be asked; where two see differently for a moment, the lease
// lets only one in, and the fence keeps the log right whatever they think.
//
//	free partition        goes to the live instance with the fewest
//	two or more too many  the instance with the most hands one over, one at a time
//
// So a joining instance takes only its share, and a leaving one's partitions
// are spread over the rest; nothing else moves.
type Claims struct {
	// Static after NewClaims.
	js         jetstream.JetStream
	instance   string
	partitions uint32
	ready      chan struct{} // closed by Run when the present leases are known

	bucket jetstream.KeyValue // set by Run before it closes ready, static after

	mu     sync.Mutex
	owners map[streams.Partition]sighting // guarded by mu
	nodes  map[string]time.Time           // when last seen; guarded by mu
	heard  time.Time                      // when the watch last showed this instance's own heartbeat; guarded by mu
	grace  time.Time                      // nothing is taken before; guarded by mu
}

// sighting is a lease as last seen.
type sighting struct {
	instance string
	at       time.Time
}

const (
	partitionKey = "partition."
	nodeKey      = "node."
)

// NewClaims returns the claims of one instance. It starts nothing.
func NewClaims(js jetstream.JetStream, instance string, partitions uint32) *Claims {
	return &Claims{
		js: js, instance: instance, partitions: partitions, ready: make(chan struct{}),
		owners: map[streams.Partition]sighting{}, nodes: map[string]time.Time{},
	}
}

// Run tells the others that this instance lives, and listens to them, until
// ctx ends. An interruption of the watch is begun anew.
func (c *Claims) Run(ctx context.Context) error {
	defer func() {
		if c.bucket == nil {
			return
		}
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.bucket.Delete(leave, nodeKey+c.instance) // else it expires
	}()
	for ctx.Err() == nil {
		if err := c.watch(ctx); err != nil && ctx.Err() == nil {
			select { // NATS is away: so are the leases
			case <-time.After(leaseRenew):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (c *Claims) watch(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, topology.LeaseTTL)
	bucket, err := topology.Leases(look, c.js) // each time: it may have been forgotten
	cancel()
	if err != nil {
		return err
	}
	if c.bucket == nil {
		c.bucket = bucket
	}
	if err := c.beat(ctx); err != nil {
		return err
	}
	began := time.Now()
	watcher, err := c.bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }()
	beat := time.NewTicker(leaseRenew)
	defer beat.Stop()
	for {
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			c.see(entry)
		case <-beat.C:
			if err := c.beat(ctx); err != nil {
				return err
			}
			if time.Since(began) > topology.LeaseTTL && c.blind(topology.LeaseTTL) {
				return errors.New("the watch fell silent")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// beat tells the others that this instance lives. While it waits the watch
// stands still, so it waits for no longer than a beat counts.
func (c *Claims) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, topology.LeaseTTL)
	defer cancel()
	_, err := c.bucket.Put(ctx, nodeKey+c.instance, nil)
	return err
}

// see takes a change of a key; nil marks the end of what was there before.
func (c *Claims) see(entry jetstream.KeyValueEntry) {
	if entry == nil {
		select {
		case <-c.ready:
		default:
			close(c.ready)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := entry.Operation() != jetstream.KeyValuePut
	if name, ok := strings.CutPrefix(entry.Key(), nodeKey); ok {
		now := time.Now()
		if c.nodes[name] = now; gone {
			delete(c.nodes, name)
		}
		if name == c.instance && !gone {
			if !c.heard.IsZero() && now.Sub(c.heard) > blindAfter {
				c.grace = now.Add(ownersFirst)
			}
			c.heard = now
		}
		return
	}
	number, ok := strings.CutPrefix(entry.Key(), partitionKey)
	p, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil {
		return
	}
	if c.owners[streams.Partition(p)] = (sighting{instance: string(entry.Value()), at: time.Now()}); gone {
		delete(c.owners, streams.Partition(p))
	}
}

// What is seen of leases goes bad while the bucket has no leader or the watch is
// interrupted: all keys age out though their owners live and serve. So nobody
// takes anything who has not seen its own heartbeat lately, and after such a
// time the present owners get to renew first.
const (
	blindAfter  = 3 * leaseRenew            // before the first of what is seen counts as run out
	ownersFirst = topology.LeaseTTL * 3 / 2 // a renewal that fails and the next one end well within
)

// blind reports whether the watch has shown nothing for that long.
func (c *Claims) blind(long time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.heard.IsZero() && time.Since(c.heard) > long
}

// mayChallenge reports whether what is seen of leases can be relied on.
func (c *Claims) mayChallenge() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return c.heard.IsZero() || now.Sub(c.heard) <= blindAfter && now.After(c.grace)
}

// plan is how the partitions are shared at this moment.
type plan struct {
	counts map[string]int               // by live instance, free partitions included
	owners map[streams.Partition]string // held now
	free   map[streams.Partition]string // and who is to take it
}

func (c *Claims) plan(now time.Time) plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := plan{counts: map[string]int{c.instance: 0}, owners: map[streams.Partition]string{}, free: map[streams.Partition]string{}}
	for name, at := range c.nodes {
		if now.Sub(at) < topology.LeaseTTL {
			p.counts[name] = 0
		}
	}
	for partition := range streams.Partition(c.partitions) {
		if s, held := c.owners[partition]; held && now.Sub(s.at) < topology.LeaseTTL {
			p.owners[partition] = s.instance
			if _, alive := p.counts[s.instance]; alive {
				p.counts[s.instance]++
			}
			continue
		}
		p.free[partition] = ""
	}
	for partition := range streams.Partition(c.partitions) {
		if _, free := p.free[partition]; free {
			taker := p.fewest(partition)
			p.free[partition] = taker
			p.counts[taker]++
		}
	}
	return p
}

// fewest is the live instance with the fewest partitions; of several the one
// that fits the partition best, so that it is the same for everybody.
func (p plan) fewest(partition streams.Partition) (name string) {
	for candidate, count := range p.counts {
		switch {
		case name == "" || count < p.counts[name]:
			name = candidate
		case count == p.counts[name] && fit(candidate, partition) > fit(name, partition):
			name = candidate
		}
	}
	return name
}

// fit ranks instances for a partition (rendezvous hashing).
func fit(instance string, partition streams.Partition) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(instance + "/" + partition.String()))
	x := h.Sum64()
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9 // spreads the last bytes over all (splitmix64)
	return x ^ x>>32
}

// mayTake reports whether a partition is free and this instance's to take;
// only once ready is closed.
func (c *Claims) mayTake(p streams.Partition) bool {
	return c.mayChallenge() && c.plan(time.Now()).free[p] == c.instance
}

// mustGive reports whether this instance should hand a partition over, because
// another has two or more fewer.
func (c *Claims) mustGive(p streams.Partition) bool {
	plan := c.plan(time.Now())
	if len(plan.free) > 0 || plan.owners[p] != c.instance {
		return false // one move at a time
	}
	most, least := c.instance, c.instance
	names := make([]string, 0, len(plan.counts))
	for name := range plan.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if plan.counts[name] > plan.counts[most] || plan.counts[name] == plan.counts[most] && name < most {
			most = name
		}
		if plan.counts[name] < plan.counts[least] {
			least = name
		}
	}
	if most != c.instance || plan.counts[most]-plan.counts[least] < 2 {
		return false
	}
	best := p
	for partition, owner := range plan.owners {
		if owner == c.instance && (fit(least, partition) > fit(least, best) || fit(least, partition) == fit(least, best) && partition < best) {
			best = partition
		}
	}
	return best == p
}
