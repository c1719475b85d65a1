//go:build linux

package million

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// stride makes members follow each other that were not brought in together; it
// shares no factor with a million.
const stride = 499_979

// takeOver kills the owner while another instance stands by.
func (m *measurement) takeOver(ctx context.Context) error {
	if err := m.deployment.startServices(); err != nil {
		return err
	}
	// Nobody outside sees when it is on the watch.
	if err := rest(ctx, 3*time.Second); err != nil {
		return err
	}
	took, err := m.silence(ctx, 0, func(context.Context) error { m.deployment.killOwner(); return nil })
	if err == nil {
		m.told("kill -9 of the owner, a standby", "first accepted send after %v", took.Round(time.Millisecond))
	}
	return err
}

// restart kills the owner that is alone, and starts another at once.
func (m *measurement) restart(ctx context.Context) error {
	took, err := m.silence(ctx, 1, func(context.Context) error {
		m.deployment.killOwner()
		return m.deployment.startServices()
	})
	if err == nil {
		m.told("kill -9, started again at once", "first accepted send after %v", took.Round(time.Millisecond))
		m.memories("memory after it")
	}
	return err
}

// restartNATS kills nats-server, and starts it again at once.
func (m *measurement) restartNATS(ctx context.Context) error {
	took, err := m.silence(ctx, 2, func(ctx context.Context) error {
		m.deployment.nats.kill()
		return m.deployment.startNATS(ctx)
	})
	if err == nil {
		m.told("kill -9 of nats, started again", "first accepted send after %v", took.Round(time.Millisecond))
	}
	return err
}

// silence is how long nobody can send after something was done: from before it
// to the first send that is accepted of a member who was brought in.
func (m *measurement) silence(ctx context.Context, who int, do func(context.Context) error) (time.Duration, error) {
	begun := time.Now()
	if err := do(ctx); err != nil {
		return 0, err
	}
	token, err := token(member(who), false)
	if err != nil {
		return 0, err
	}
	err = m.insist(ctx, token, "send", m.message())
	return time.Since(begun), err
}

func (m *measurement) message() map[string]any {
	return map[string]any{"group": group, "channel": channel, "body": "hello to a million"}
}

// firstSends has members send who are in nobody's memory, and again once they
// are.
func (m *measurement) firstSends(ctx context.Context) error {
	for i, way := range []struct {
		name     string
		underWay int
	}{{"one at a time", 1}, {"16 under way", 16}} {
		tokens := make([]string, m.Sends)
		for j := range tokens {
			var err error
			if tokens[j], err = token(member((10+(i*m.Sends+j)*stride)%m.Members), false); err != nil {
				return err
			}
		}
		for _, when := range []string{"first sends", "second sends"} {
			took, err := m.sendAll(ctx, tokens, way.underWay)
			if err != nil {
				return err
			}
			m.told(when+", "+way.name, "%v", took)
		}
	}
	m.memories("memory after it")
	return nil
}

// sendAll sends once by each.
func (m *measurement) sendAll(ctx context.Context, tokens []string, underWay int) (times, error) {
	took, errs := make(times, len(tokens)), make([]error, underWay)
	var workers sync.WaitGroup
	for w := range underWay {
		workers.Go(func() {
			for i := w; i < len(tokens) && errs[w] == nil; i += underWay {
				asked := time.Now()
				errs[w] = m.client.do(ctx, tokens[i], "send", m.message(), nil)
				took[i] = time.Since(asked)
			}
		})
	}
	workers.Wait()
	return took, errors.Join(errs...)
}

// joinsAndLeaves has people come whom the group does not know, and go again.
func (m *measurement) joinsAndLeaves(ctx context.Context) error {
	var joins, leaves times
	for i := range m.Sends / 2 {
		token, err := token(fmt.Sprint("guest-", i), false)
		if err != nil {
			return err
		}
		if err := errors.Join(m.timed(ctx, token, "join", &joins), m.timed(ctx, token, "leave", &leaves)); err != nil {
			return err
		}
	}
	m.told("joins, one at a time", "%v", joins)
	m.told("leaves, one at a time", "%v", leaves)
	return nil
}

func (m *measurement) timed(ctx context.Context, token, command string, took *times) error {
	asked := time.Now()
	err := m.client.do(ctx, token, command, map[string]any{"group": group}, nil)
	*took = append(*took, time.Since(asked))
	return err
}

// rest waits, and says if ctx ended first.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
