//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/throng/throng/streams/streamtest"
)

// follower keeps all events of a channel from v 1, through any number of
// connections: it subscribes after what it has and pulls what gaps announce.
type follower struct {
	listen, token, group, channel string
	cancel                        context.CancelFunc
	ended                         chan struct{}

	mu       sync.Mutex
	events   []*event // guarded by mu: v 1, 2, 3 …
	log      string   // guarded by mu
	connects int      // guarded by mu
	wrong    error    // guarded by mu
}

// follow starts a follower that ends with the test.
func follow(t testing.TB, listen, token, group, channel string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{listen: listen, token: token, group: group, channel: channel, cancel: cancel, ended: make(chan struct{})}
	go f.run(ctx)
	t.Cleanup(f.stop)
	return f
}

func (f *follower) stop() {
	f.cancel()
	<-f.ended
}

func (f *follower) run(ctx context.Context) {
	defer close(f.ended)
	for ctx.Err() == nil {
		c, err := dial(ctx, f.listen, f.token)
		if err == nil {
			err = f.session(ctx, c)
			c.close()
			err = errors.Join(err, errors.Join(c.problems...))
		}
		if errors.Is(err, errVerdict) || c != nil && len(c.problems) > 0 {
			f.mu.Lock()
			f.wrong = err
			f.mu.Unlock()
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// session follows through one connection until it breaks.
func (f *follower) session(ctx context.Context, c *client) error {
	f.mu.Lock()
	have, log := uint64(len(f.events)), f.log
	f.mu.Unlock()
	arguments := object{"after": have}
	if log != "" {
		arguments["log"] = log
	}
	answer, err := c.subscribe(f.group, f.channel, arguments)
	if err != nil {
		return err
	}
	if log != "" && answer.Log != log {
		return fmt.Errorf("%w: the log was %q and is %q", errVerdict, log, answer.Log)
	}
	if answer.V < have {
		return fmt.Errorf("%w: the channel was at v %d and is at v %d", errVerdict, have, answer.V)
	}
	f.mu.Lock()
	f.log = answer.Log
	f.connects++
	f.mu.Unlock()
	if answer.Gap != nil {
		if err := f.fill(c, *answer.Gap); err != nil {
			return err
		}
	}
	if err := f.add(answer.Events); err != nil {
		return err
	}
	taken, gaps := 0, 0
	for pause(ctx, 5*time.Millisecond) {
		d := c.delivered(f.group, f.channel)
		for taken < len(d.events) || gaps < len(d.gaps) {
			f.mu.Lock()
			have := uint64(len(f.events))
			f.mu.Unlock()
			if gaps < len(d.gaps) && d.gaps[gaps].After == have {
				if err := f.fill(c, d.gaps[gaps]); err != nil {
					return err
				}
				gaps++
				continue
			}
			if taken == len(d.events) {
				return fmt.Errorf("%w: a gap after v %d, and the follower is at v %d", errVerdict, d.gaps[gaps].After, have)
			}
			if err := f.add(d.events[taken : taken+1]); err != nil {
				return err
			}
			taken++
		}
		select {
		case <-c.ended:
			return c.why
		default:
		}
	}
	return nil
}

func (f *follower) fill(c *client, m missing) error {
	events, err := c.pull(f.group, f.channel, m.After, m.Upto)
	if err != nil {
		return err
	}
	return f.add(events)
}

func (f *follower) add(events []*event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		if e.V != uint64(len(f.events))+1 {
			return fmt.Errorf("%w: v %d follows v %d", errVerdict, e.V, len(f.events))
		}
		f.events = append(f.events, e)
	}
	return nil
}

// end waits until the follower has come as far as want and compares.
func (f *follower) end(t testing.TB, want []*event) {
	t.Helper()
	streamtest.Eventually(t, patience, fmt.Sprintf("the follower comes to v %d", len(want)), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.events) >= len(want) || f.wrong != nil
	})
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong != nil {
		t.Fatalf("the follower: %v", f.wrong)
	}
	t.Logf("the follower connected %d times", f.connects)
	sameEvents(t, "what the follower got", f.events, want)
}

// sameEvents wants two readers to have seen the same, byte for byte.
func sameEvents(t testing.TB, what string, got, want []*event) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d events, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if got[i].raw != want[i].raw {
			t.Errorf("%s: event %d is\n%s\nwant\n%s", what, i+1, got[i].raw, want[i].raw)
			return
		}
	}
}
