package sequencer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

// errLeaseLost: another instance holds the lease.
var errLeaseLost = errors.New("lease lost")

// lease is the right to challenge for a partition: a key that vanishes when it
// is not renewed. It only decides who challenges; the fence decides who writes.
// So a renewal whose outcome is unknown, as while the bucket has no leader, ends
// nothing: it is tried again, and a key that has vanished meanwhile is made anew.
// Only another instance's key ends the term.
//
// What is unsure meanwhile is whether another has taken over and written:
// [lease.trusted] tells, and an answer that needs to know waits ([term.decide]).
// A lease is trusted for less long than the server keeps it, measured from
// before each renewal was sent.
type lease struct {
	// Static.
	bucket   jetstream.KeyValue
	key      string
	instance string
	now      func() time.Time

	revision uint64                    // owned by acquire, then keep, then release
	renewed  atomic.Pointer[time.Time] // when the last renewal that stands was sent
}

const (
	leaseRenew   = topology.LeaseTTL / 4
	leaseAttempt = topology.LeaseTTL / 2 // what one renewal may take
	leaseTrust   = topology.LeaseTTL * 3 / 4
	leaseLook    = 50 * time.Millisecond
)

// errHandover: the partition goes to an instance that has fewer.
var errHandover = errors.New("handed over")

// acquire waits until this instance holds the partition's lease or ctx ends.
func (c *Claims) acquire(ctx context.Context, p streams.Partition, now func() time.Time) (*lease, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l := &lease{bucket: c.bucket, key: partitionKey + p.String(), instance: c.instance, now: now}
	tick := time.NewTicker(leaseLook)
	defer tick.Stop()
	for {
		if c.mayTake(p) {
			sent := now()
			// Unanswered it may stand all the same, and then expires.
			attempt, cancel := context.WithTimeout(ctx, topology.LeaseTTL)
			revision, err := c.bucket.Create(attempt, l.key, []byte(c.instance))
			cancel()
			if err == nil {
				l.revision = revision
				l.renewed.Store(&sent)
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

// trusted reports whether nobody else can hold the lease at now.
func (l *lease) trusted() bool {
	now, renewed := l.now(), *l.renewed.Load()
	// A machine that was suspended may show it on one of its clocks only.
	elapsed := max(now.Sub(renewed), now.Round(0).Sub(renewed.Round(0)))
	return elapsed < leaseTrust
}

// keep renews the lease until another instance holds it (errLeaseLost) or ctx
// ends (nil).
func (l *lease) keep(ctx context.Context) error {
	next := time.NewTimer(leaseRenew)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
		err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLeaseLost):
			return err
		case err != nil:
			next.Reset(leaseLook) // others wait for us, not for long
		default:
			next.Reset(leaseRenew)
		}
	}
}

// renew tries once. Errors but errLeaseLost leave it unknown who holds the lease.
func (l *lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseAttempt)
	defer cancel()
	sent := l.now()
	revision, err := l.bucket.Update(ctx, l.key, []byte(l.instance), l.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		sent = l.now()
		revision, err = l.recover(ctx)
	}
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", l.key, err)
	}
	l.revision = revision
	l.renewed.Store(&sent)
	return nil
}

// recover renews a lease whose revision is another one now: it has expired, or a
// renewal stands whose answer was lost, or another instance has it.
func (l *lease) recover(ctx context.Context) (revision uint64, err error) {
	entry, err := l.bucket.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return l.bucket.Create(ctx, l.key, []byte(l.instance))
	case err != nil:
		return 0, err
	case entry.Revision() <= l.revision:
		return 0, errors.New("a replica answers that lags")
	case string(entry.Value()) != l.instance:
		return 0, fmt.Errorf("%w to %s", errLeaseLost, entry.Value())
	}
	return l.bucket.Update(ctx, l.key, []byte(l.instance), entry.Revision())
}

// release gives the lease back, so that the next owner need not wait.
func (l *lease) release(ctx context.Context) {
	_ = l.bucket.Delete(ctx, l.key, jetstream.LastRevision(l.revision))
}
