//go:build linux

package million

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Config of a measurement. All fields but SyncAlways are required.
type Config struct {
	Throng, NATSServer string // the binaries
	Dir                string // of the run's data; what is in it goes
	Members            int    // brought in by the back end
	Sends              int    // first sends, and as many again, for each way in which they are made
	SyncAlways         bool   // NATS syncs each write
	Out                io.Writer
}

const (
	group   = "million"
	channel = "general"
)

// measurement is one run. Its fields are set by Run and only read then.
type measurement struct {
	Config
	deployment *deployment
	client     *client
	backend    string // its token
}

// Run measures everything, in this order, and prints each figure when it is
// known. It ends with ctx.
func Run(ctx context.Context, c Config) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	if err := errors.Join(os.RemoveAll(c.Dir), os.MkdirAll(c.Dir, 0o755)); err != nil {
		cancel()
		return err
	}
	m := &measurement{Config: c}
	if m.backend, err = token("backend", true); err != nil {
		cancel()
		return err
	}
	starting, started := context.WithTimeout(ctx, startWithin)
	m.deployment, err = begin(starting, c)
	started()
	defer func() {
		cancel()
		err = errors.Join(err, m.deployment.stop())
	}()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	m.client = newClient(m.deployment.listen)
	for _, phase := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"make the group", m.makeGroup},
		{"bring members in", m.bringIn},
		{"kill the owner beside a standby", m.takeOver},
		{"kill the only owner and start it again", m.restart},
		{"first sends", m.firstSends},
		{"joins and leaves", m.joinsAndLeaves},
		{"kill nats and start it again", m.restartNATS},
		{"list the members", m.list},
	} {
		if err := phase.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return nil
}

// told prints one figure.
func (m *measurement) told(what, format string, args ...any) {
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	_, _ = fmt.Fprintf(m.Out, "%-34s %s   [load %s]\n", what, fmt.Sprintf(format, args...), first)
}

func member(i int) string { return fmt.Sprint("member-", i) }

func (m *measurement) makeGroup(ctx context.Context) error {
	owner := func(object map[string]any) map[string]any {
		object["group"], object["as"] = group, "owner"
		return object
	}
	if err := m.insist(ctx, m.backend, "create_group", owner(map[string]any{"kind": "community", "name": "A million"})); err != nil {
		return err
	}
	return m.insist(ctx, m.backend, "create_channel", owner(map[string]any{"channel": channel, "kind": "public", "name": "General"}))
}

const (
	perCommand = 500 // as many as one command may name
	underWay   = 4   // commands: more would only wait in the owner, before what others send
)

// bringIn adds the members, as a back end does.
func (m *measurement) bringIn(ctx context.Context) error {
	d := m.deployment
	used := map[*process]time.Duration{}
	for _, p := range []*process{d.nats, d.owner(), d.edge} {
		used[p] = p.cpu()
	}
	work := make(chan int) // first members; closed when there are no more
	var mu sync.Mutex      // guards took and failed
	var took times
	var failed error
	var workers sync.WaitGroup
	begun := time.Now()
	for range underWay {
		workers.Go(func() {
			for first := range work {
				users := make([]string, 0, perCommand)
				for i := first; i < min(first+perCommand, m.Members); i++ {
					users = append(users, member(i))
				}
				asked := time.Now()
				err := m.insist(ctx, m.backend, "member", map[string]any{"group": group, "do": "add", "users": users})
				mu.Lock()
				took = append(took, time.Since(asked))
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	sent := make(chan sentBeside, 1)
	go func() { sent <- m.sendBeside(sending) }() // received below
	for first := 0; first < m.Members && ctx.Err() == nil; first += perCommand {
		work <- first
	}
	close(work)
	workers.Wait()
	elapsed := time.Since(begun)
	stopSending()
	beside := <-sent
	if err := errors.Join(failed, beside.err); err != nil {
		return err
	}
	m.told("members brought in", "%d in %.1f s: %.0f a second", m.Members, elapsed.Seconds(), float64(m.Members)/elapsed.Seconds())
	m.told("commands of 500, 4 under way", "%v", took)
	m.told("sends in the group meanwhile", "%v", beside.took)
	each := func(p *process) float64 {
		return float64((p.cpu() - used[p]).Nanoseconds()) / 1000 / float64(m.Members)
	}
	m.told("CPU a member", "nats %.1f µs, services %.1f µs, edge %.1f µs", each(d.nats), each(d.owner()), each(d.edge))
	m.memories("memory after it")
	return m.count(ctx, uint64(m.Members)+1)
}

// sentBeside is what became of the sends beside an import.
type sentBeside struct {
	took times
	err  error
}

// sendBeside has the owner send all the time, one message after the other with
// pauses, until ctx ends.
func (m *measurement) sendBeside(ctx context.Context) (s sentBeside) {
	token, err := token("owner", false)
	if err != nil {
		return sentBeside{err: err}
	}
	for rest(ctx, 50*time.Millisecond) == nil {
		asked := time.Now()
		if err := m.client.do(context.WithoutCancel(ctx), token, "send", m.message(), nil); err != nil {
			s.err = fmt.Errorf("send meanwhile: %w", err)
			return s
		}
		s.took = append(s.took, time.Since(asked))
	}
	return s
}

func (m *measurement) memories(when string) {
	m.told(when, "services %v; nats %v; edge %v", m.deployment.owner().memory(), m.deployment.nats.memory(), m.deployment.edge.memory())
}

// insist repeats a command that could not be done yet.
func (m *measurement) insist(ctx context.Context, token, command string, object any) error {
	var err error
	ended := until(ctx, command+" is done", 5*time.Millisecond, func() bool {
		err = m.client.do(ctx, token, command, object, nil)
		var refused *refusal
		return err == nil || errors.As(err, &refused) && refused.Code != "unavailable"
	})
	return errors.Join(ended, err)
}

// count compares the members the group says it has.
func (m *measurement) count(ctx context.Context, want uint64) error {
	var info struct{ Members uint64 }
	if err := m.client.do(ctx, m.backend, "group", map[string]any{"group": group}, &info); err != nil {
		return err
	}
	if info.Members != want {
		return fmt.Errorf("the group has %d members, want %d", info.Members, want)
	}
	return nil
}
