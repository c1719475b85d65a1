package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

// errLeaseLost: somebody else holds the lease, or it could not be renewed in
// time.
var errLeaseLost = errors.New("lease lost")

// lease is the right to challenge for a partition: a key that vanishes when it
// is not renewed. It is trusted for less long than the server keeps it, measured
// from before each renewal was sent.
type lease struct {
	bucket   jetstream.KeyValue
	key      string
	instance string
	revision uint64
	renewed  time.Time
}

const (
	leaseRenew = topology.LeaseTTL / 4
	leaseTrust = topology.LeaseTTL * 3 / 4
	leaseLook  = 50 * time.Millisecond
)

// errHandover: the partition goes to an instance that has fewer.
var errHandover = errors.New("handed over")

// acquire waits until this instance holds the partition's lease or ctx ends.
func (c *Claims) acquire(ctx context.Context, p streams.Partition) (*lease, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l := &lease{bucket: c.bucket, key: partitionKey + p.String(), instance: c.instance}
	tick := time.NewTicker(leaseLook)
	defer tick.Stop()
	for {
		if c.mayTake(p) {
			sent := time.Now()
			// Unanswered it may stand all the same, and then expires.
			attempt, cancel := context.WithTimeout(ctx, topology.LeaseTTL)
			revision, err := c.bucket.Create(attempt, l.key, []byte(c.instance))
			cancel()
			if err == nil {
				l.revision, l.renewed = revision, sent
				return l, nil
			}
			if !errors.Is(err, jetstream.ErrKeyExists) {
				return nil, fmt.Errorf("take lease %s: %w", l.key, err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keep renews the lease until it is lost (errLeaseLost) or ctx ends (nil).
func (l *lease) keep(ctx context.Context) error {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		attempt, cancel := context.WithDeadline(ctx, l.renewed.Add(leaseTrust))
		sent := time.Now()
		revision, err := l.bucket.Update(attempt, l.key, []byte(l.instance), l.revision)
		cancel()
		switch {
		case err == nil:
			l.revision, l.renewed = revision, sent
		case ctx.Err() != nil:
			return nil
		case time.Since(l.renewed) >= leaseTrust || errors.Is(err, jetstream.ErrKeyExists):
			return fmt.Errorf("%w: %w", errLeaseLost, err)
		}
	}
}

// release gives the lease back, so that the next owner need not wait.
func (l *lease) release(ctx context.Context) {
	_ = l.bucket.Delete(ctx, l.key, jetstream.LastRevision(l.revision))
}
