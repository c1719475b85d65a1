// Package limit bounds how fast one connection, one user and one group may ask
// of an edge. What is above a rate is refused with rate_limited and the time
// after which it would have been taken; nothing waits here and nothing is
// counted against who was refused.
//
// Each edge counts for itself: behind three edges a user who spreads over them
// gets three times the rate.
package limit

import (
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/throng/throng/streams"
)

// Rate is a token bucket. The zero value is no limit.
type Rate struct {
	PerSecond float64 // commands a second in the long run
	Burst     int     // commands at once; 0: twice PerSecond, at least 1
}

func (r Rate) limited() bool { return r.PerSecond > 0 }

func (r Rate) bucket() *rate.Limiter {
	burst := r.Burst
	if burst == 0 {
		burst = max(1, int(2*r.PerSecond))
	}
	return rate.NewLimiter(rate.Limit(r.PerSecond), burst)
}

// Limits of an edge. The zero value limits nothing.
type Limits struct {
	Connection Rate // commands of any sort on one WebSocket
	User       Rate // writing commands of one user, over all connections
	Group      Rate // writing commands in one group, of all users
	Signals    Rate // signals of one user, over HTTP and NATS; a WebSocket's are dropped beyond a rate of its own

	// Connections is how many WebSockets one user may have; 0: any number.
	Connections int
}

// Default is what holds where nothing else is configured, except in `dev`. It
// is far above what people do and below what a loop does.
func Default() Limits {
	return Limits{
		Connection:  Rate{PerSecond: 500},
		User:        Rate{PerSecond: 250},
		Group:       Rate{PerSecond: 5000},
		Signals:     Rate{PerSecond: 100},
		Connections: 100,
	}
}

// remembered is how many users and how many groups have a bucket. Beyond it the
// least used start over with a full one.
const remembered = 100_000

// Admission holds the buckets of users and groups. It may be used from any
// goroutine. A nil one limits nothing.
type Admission struct {
	limits Limits
	now    func() time.Time
	users  *otter.Cache[streams.User, *rate.Limiter]
	groups *otter.Cache[streams.Group, *rate.Limiter]
	signal *otter.Cache[streams.User, *rate.Limiter]
}

// New returns the admission of an edge.
func New(limits Limits) *Admission { return newAdmission(limits, time.Now) }

func newAdmission(limits Limits, now func() time.Time) *Admission {
	return &Admission{
		limits: limits, now: now,
		users:  buckets[streams.User](),
		groups: buckets[streams.Group](),
		signal: buckets[streams.User](),
	}
}

func buckets[K comparable]() *otter.Cache[K, *rate.Limiter] {
	return otter.Must(&otter.Options[K, *rate.Limiter]{MaximumSize: remembered})
}

// Write admits a writing command of a user in a group, or returns a
// [*streams.Rejection] with rate_limited.
func (a *Admission) Write(user streams.User, group streams.Group) error {
	if a == nil {
		return nil
	}
	now := a.now()
	taken, err := a.user(user, now)
	if err != nil {
		return err
	}
	if r := a.limits.Group; r.limited() {
		b, _ := a.groups.SetIfAbsent(group, r.bucket())
		if _, err := take(b, now, "too much is written in this group"); err != nil {
			if taken != nil {
				taken.CancelAt(now) // who is refused has used nothing up
			}
			return err
		}
	}
	return nil
}

// Own admits a command that writes what is the user's alone, and so counts for no
// group, or returns a [*streams.Rejection] with rate_limited.
func (a *Admission) Own(user streams.User) error {
	if a == nil {
		return nil
	}
	_, err := a.user(user, a.now())
	return err
}

// Signal admits a signal of a user, or returns a [*streams.Rejection] with
// rate_limited.
func (a *Admission) Signal(user streams.User) error {
	if a == nil || !a.limits.Signals.limited() {
		return nil
	}
	b, _ := a.signal.SetIfAbsent(user, a.limits.Signals.bucket())
	_, err := take(b, a.now(), "you signal too fast")
	return err
}

// user takes from a user's bucket; nil where there is no limit.
func (a *Admission) user(user streams.User, now time.Time) (*rate.Reservation, error) {
	r := a.limits.User
	if !r.limited() {
		return nil, nil
	}
	b, _ := a.users.SetIfAbsent(user, r.bucket())
	return take(b, now, "you write too fast")
}

// Connection returns the bucket of a new connection, nil for no limit.
func (a *Admission) Connection() *Bucket {
	if a == nil || !a.limits.Connection.limited() {
		return nil
	}
	return &Bucket{limiter: a.limits.Connection.bucket(), now: a.now}
}

// Connections is how many connections a user may have, 0 for any number.
func (a *Admission) Connections() int {
	if a == nil {
		return 0
	}
	return a.limits.Connections
}

// Bucket limits one connection. A nil one limits nothing.
type Bucket struct {
	limiter *rate.Limiter
	now     func() time.Time
}

// Take admits a command, or returns a [*streams.Rejection] with rate_limited.
func (b *Bucket) Take() error {
	if b == nil {
		return nil
	}
	_, err := take(b.limiter, b.now(), "this connection asks too fast")
	return err
}

func take(b *rate.Limiter, now time.Time, why string) (*rate.Reservation, error) {
	reservation := b.ReserveN(now, 1)
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		// Clients are told whole milliseconds: never too few.
		return nil, streams.RejectRetry(streams.RateLimited, (wait + time.Millisecond - 1).Truncate(time.Millisecond), "%s", why)
	}
	return reservation, nil
}
