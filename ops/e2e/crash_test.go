//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throng/throng/streams/streamtest"
)

// A message as its sender knows it.
type sent struct {
	id      string
	v, n    uint64 // as acknowledged; 0: not yet
	refused bool   // an attempt was answered unavailable
}

// sender writes messages to a channel, each until it is acknowledged,
// through any number of connections.
type sender struct {
	listen, user, token, group, channel string
	window                              int // messages under way at once
	pace                                time.Duration
	acked                               *atomic.Int64 // of all senders
	slowest                             time.Duration // answer so far
	messages                            []*sent       // in the order they were first sent
}

// errVerdict is an answer no sender may get.
var errVerdict = errors.New("the server is wrong")

// run sends new messages until stop is closed, and ends when all are
// acknowledged or ctx ends.
func (s *sender) run(ctx context.Context, stop <-chan struct{}) error {
	var pending []*sent
	for {
		c, err := dial(ctx, s.listen, s.token)
		if err == nil {
			pending, err = s.session(ctx, c, pending, stop)
			c.close()
			if len(c.problems) > 0 {
				return fmt.Errorf("%w: %w", errVerdict, errors.Join(c.problems...))
			}
		}
		switch {
		case errors.Is(err, errVerdict):
			return err
		case err == nil:
			return nil
		case !pause(ctx, 20*time.Millisecond+rand.N(30*time.Millisecond)):
			return fmt.Errorf("%s has %d messages that nobody acknowledged: %w", s.user, len(pending), err)
		}
	}
}

// session sends what is pending, in order, and then new messages, through one
// connection. It returns what is left when the connection breaks; with no
// error nothing is.
func (s *sender) session(ctx context.Context, c *client, pending []*sent, stop <-chan struct{}) ([]*sent, error) {
	type flight struct {
		message *sent
		answer  *waiter
		began   time.Time
	}
	var flights []flight
	send := func(m *sent) error {
		w, err := c.begin("send", object{
			"group": s.group, "channel": s.channel, "client_id": m.id, "body": s.user + " " + m.id,
		}, nil)
		if err == nil {
			flights = append(flights, flight{m, w, time.Now()})
		}
		return err
	}
	rest := func() (left []*sent) {
		for _, m := range s.messages {
			if m.v == 0 {
				left = append(left, m)
			}
		}
		return left
	}
	for _, m := range pending {
		if err := send(m); err != nil {
			return rest(), err
		}
	}
	for {
		stopping := false
		select {
		case <-stop:
			stopping = true
		default:
		}
		for !stopping && len(flights) < s.window {
			m := &sent{id: newID()}
			s.messages = append(s.messages, m)
			if err := send(m); err != nil {
				return rest(), err
			}
		}
		if len(flights) == 0 {
			return rest(), nil
		}
		f := flights[0]
		flights = flights[1:]
		var ok object
		var r *refusal
		switch err := c.end(f.answer, &ok); {
		case errors.As(err, &r) && r.Code == "unavailable":
			f.message.refused = true
			if !pause(ctx, time.Duration(min(r.RetryMS, 100))*time.Millisecond) {
				return rest(), ctx.Err()
			}
			if err := send(f.message); err != nil {
				return rest(), err
			}
		case errors.As(err, &r):
			return rest(), fmt.Errorf("%w: send was refused: %w", errVerdict, err)
		case err != nil:
			return rest(), err
		default:
			f.message.v, f.message.n = ok.number("v"), ok.number("n")
			s.slowest = max(s.slowest, time.Since(f.began))
			s.acked.Add(1)
		}
		if s.pace > 0 && !pause(ctx, s.pace) {
			return rest(), ctx.Err()
		}
	}
}

// crowd is many senders at work in one channel.
type crowd struct {
	senders []*sender
	acked   atomic.Int64
	stop    chan struct{} // closed by end
	ended   chan error    // one of each sender
	cancel  context.CancelFunc
}

// startCrowd lets users, who must be members, send.
func startCrowd(t testing.TB, listen, group, channel string, users []string, pace time.Duration) *crowd {
	t.Helper()
	tokens := map[string]string{}
	for _, user := range users {
		tokens[user] = "dev:" + user
	}
	return startCrowdWith(t, listen, group, channel, users, tokens, pace)
}

// startCrowdWith is startCrowd with tokens by user.
func startCrowdWith(t testing.TB, listen, group, channel string, users []string, tokens map[string]string, pace time.Duration) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{stop: make(chan struct{}), ended: make(chan error, len(users)), cancel: cancel}
	var all sync.WaitGroup
	for i, user := range users {
		s := &sender{
			listen: listen, user: user, token: tokens[user], group: group, channel: channel,
			window: 1 + 3*(i%2), pace: pace, acked: &c.acked,
		}
		c.senders = append(c.senders, s)
		all.Go(func() { c.ended <- s.run(ctx, c.stop) })
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return c
}

// awaitAcks waits until so many more messages are acknowledged.
func (c *crowd) awaitAcks(t testing.TB, more int64) {
	t.Helper()
	want := c.acked.Load() + more
	streamtest.Eventually(t, readyWithin, fmt.Sprintf("%d more messages are acknowledged", more), func() bool {
		return c.acked.Load() >= want || len(c.ended) > 0
	})
}

// end stops the senders and waits until everything is acknowledged.
func (c *crowd) end(t testing.TB) {
	t.Helper()
	close(c.stop)
	timeout := time.NewTimer(60 * time.Second)
	defer timeout.Stop()
	for range c.senders {
		select {
		case err := <-c.ended:
			if err != nil {
				t.Fatal(err)
			}
		case <-timeout.C:
			t.Fatal("not all messages are acknowledged within 60 s")
		}
	}
}

// verdict is what a crowd's channel holds compared with what was acknowledged.
type verdict struct {
	messages                           int // in the channel
	lost, moved, doubled, out, unknown int
}

func (v verdict) String() string {
	return fmt.Sprintf("%d messages: %d lost, %d not at their numbers, %d doubled, %d out of order, %d unknown",
		v.messages, v.lost, v.moved, v.doubled, v.out, v.unknown)
}

// judge compares. events are all of the channel, from v 1, without holes.
func (c *crowd) judge(events []*event) (v verdict) {
	first := map[string]*event{} // by client id
	for _, e := range events {
		if e.Kind != "message" {
			continue
		}
		v.messages++
		if first[e.ClientID] != nil {
			v.doubled++
			continue
		}
		first[e.ClientID] = e
	}
	known := 0
	for _, s := range c.senders {
		var last uint64
		for _, m := range s.messages {
			e := first[m.id]
			if e == nil {
				v.lost++
				continue
			}
			known++
			if e.V != m.v || e.N != m.n || e.User != s.user || e.text() != s.user+" "+m.id {
				v.moved++
			}
			switch {
			case m.refused: // it counts from the attempt that was accepted
			case e.V < last:
				v.out++
			default:
				last = e.V
			}
		}
	}
	v.unknown = len(first) - known
	return v
}

func users(count int) (names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("u%02d", i))
	}
	return names
}

// crash lets 50 senders work while the server is killed and started again, and
// returns the senders with all of the channel's events.
func crash(t *testing.T, s *server, rounds int) (*crowd, []*event) {
	t.Helper()
	members := users(50)
	newGroup(t, s.listen, "storm", "general", "owner", members...)
	crowd := startCrowd(t, s.listen, "storm", "general", members, 0)
	var slowest time.Duration
	for round := range rounds {
		crowd.awaitAcks(t, 100+rand.Int64N(900))
		s.kill9()
		if round%4 == 1 { // once more while it starts
			s.launch()
			pause(t.Context(), rand.N(time.Second))
			s.kill9()
		}
		s.restart()
		slowest = max(slowest, s.ready)
	}
	crowd.awaitAcks(t, 100)
	crowd.end(t)
	t.Logf("killed %d times, ready again within %.1f s at most; %d messages acknowledged", rounds, slowest.Seconds(), crowd.acked.Load())

	reader := connect(t, s.listen, "dev:owner")
	head := reader.mustSubscribe(t, "storm", "general", nil)
	events := reader.mustPull(t, "storm", "general", 0, head.V)
	for i, e := range events {
		if e.V != uint64(i+1) || e.N != uint64(i+1) || e.Kind != "message" {
			t.Fatalf("event %d is a %s with v %d and n %d", i+1, e.Kind, e.V, e.N)
		}
	}
	return crowd, events
}

// It proves guarantees 1 to 3 over kill -9 of the whole process, 20 times and
// now and then again while it starts, while 50 users send: what was acknowledged is in the channel exactly once,
// at the numbers that were acknowledged; v and n are dense; each user's
// messages stand in the order they were sent; and every client_id, sent once
// more, is answered with its first numbers.
func TestKillingTheProcessLosesAndDoublesNothing(t *testing.T) {
	s := startServer(t)
	follower := follow(t, s.listen, "dev:owner", "storm", "general")
	crowd, events := crash(t, s, 20)
	v := crowd.judge(events)
	t.Log(v)
	if v.lost+v.moved+v.doubled+v.out+v.unknown > 0 || v.messages != int(crowd.acked.Load()) {
		t.Errorf("%v, %d acknowledged", v, crowd.acked.Load())
	}
	follower.end(t, events)
	for _, sender := range crowd.senders {
		c := connect(t, s.listen, "dev:"+sender.user)
		for _, m := range sender.messages[max(0, len(sender.messages)-20):] {
			answer := c.must(t, "send", object{"group": "storm", "channel": "general", "client_id": m.id, "body": "again"})
			if answer.number("v") != m.v || answer.number("n") != m.n || answer["duplicate"] != true {
				t.Errorf("%s sent again: %v, want v %d, n %d and duplicate", m.id, answer, m.v, m.n)
			}
		}
		c.close()
	}
	if now := connect(t, s.listen, "dev:owner").mustSubscribe(t, "storm", "general", nil); now.V != uint64(len(events)) {
		t.Errorf("after repeating: v %d, want %d", now.V, len(events))
	}
}

// It is the negative control: without the duplicate window the same storm
// must find doubles, or the test above could not.
func TestWithoutTheDuplicateWindowTheCrashDoubles(t *testing.T) {
	s := startServer(t, "--unsafe-without-dedup")
	for round := 0; ; round++ {
		crowd, events := crash(t, s, 4)
		v := crowd.judge(events)
		t.Log(v)
		if v.lost > 0 {
			t.Errorf("%v: the switch must only double", v)
		}
		if v.doubled > 0 {
			return
		}
		t.Fatal("nothing doubled without the duplicate window: the checker can't find doubles")
	}
}
