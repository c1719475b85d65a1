package limit

import (
	"errors"
	"testing"
	"time"

	"github.com/throng/throng/streams"
)

// clock is a time that moves when it is told to.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func refused(t *testing.T, err error) *streams.Rejection {
	t.Helper()
	var r *streams.Rejection
	if !errors.As(err, &r) || r.Code != streams.RateLimited || r.RetryAfter <= 0 {
		t.Fatalf("got %v, want rate_limited with a time", err)
	}
	return r
}

// It proves that exactly the burst is taken at once, and that the time told is
// the time after which one more is.
func TestTheTimeToldIsTheTimeItTakes(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	a := newAdmission(Limits{User: Rate{PerSecond: 10, Burst: 3}}, c.now)
	for i := range 3 {
		if err := a.Write("alice", "g"); err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	r := refused(t, a.Write("alice", "g"))
	if r.RetryAfter != 100*time.Millisecond {
		t.Errorf("told to wait %v, want 100ms", r.RetryAfter)
	}
	if err := a.Write("bob", "g"); err != nil {
		t.Errorf("another user: %v", err)
	}
	c.at = c.at.Add(r.RetryAfter - time.Millisecond)
	_ = refused(t, a.Write("alice", "g"))
	c.at = c.at.Add(time.Millisecond)
	if err := a.Write("alice", "g"); err != nil {
		t.Errorf("after the time told: %v", err)
	}
	_ = refused(t, a.Write("alice", "g"))
}

// It proves that a refusal by the group costs the user nothing.
func TestARefusalCostsNothing(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	a := newAdmission(Limits{User: Rate{PerSecond: 1, Burst: 2}, Group: Rate{PerSecond: 1, Burst: 1}}, c.now)
	if err := a.Write("alice", "busy"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_ = refused(t, a.Write("alice", "busy"))
	}
	if err := a.Write("alice", "quiet"); err != nil {
		t.Errorf("the second of two: %v", err)
	}
}

func TestNothingIsLimitedByDefault(t *testing.T) {
	a := New(Limits{})
	b := a.Connection()
	for range 10_000 {
		if err := errors.Join(a.Write("alice", "g"), a.Signal("alice"), b.Take()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSignalsHaveABucketOfTheirOwn(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	a := newAdmission(Limits{User: Rate{PerSecond: 1, Burst: 1}, Signals: Rate{PerSecond: 10, Burst: 2}}, c.now)
	for range 2 {
		if err := a.Signal("alice"); err != nil {
			t.Fatal(err)
		}
	}
	if r := refused(t, a.Signal("alice")); r.RetryAfter != 100*time.Millisecond {
		t.Errorf("told to wait %v", r.RetryAfter)
	}
	if err := errors.Join(a.Signal("bob"), a.Write("alice", "g")); err != nil {
		t.Error(err)
	}
}

func TestAConnectionHasABucketOfItsOwn(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	a := newAdmission(Limits{Connection: Rate{PerSecond: 5}}, c.now)
	one, other := a.Connection(), a.Connection()
	for range 10 { // twice the rate
		if err := one.Take(); err != nil {
			t.Fatal(err)
		}
	}
	_ = refused(t, one.Take())
	if err := other.Take(); err != nil {
		t.Error(err)
	}
}
