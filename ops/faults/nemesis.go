//go:build linux

package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/throng/throng/streams"
)

// Injected is a fault as it was carried out. Times are since the start of the
// run.
type Injected struct {
	Fault
	Began   time.Duration `json:"began"`
	Ended   time.Duration `json:"ended"`
	Skipped string        `json:"skipped,omitempty"` // why
	Owned   []int         `json:"owned,omitempty"`   // partitions the services process had
	Detail  []string      `json:"detail,omitempty"`  // what was harmed
}

// nemesis carries out a plan.
type nemesis struct {
	deployment *deployment
	clock      func() time.Duration

	mu   sync.Mutex
	done []Injected // guarded by mu
	wait sync.WaitGroup
}

// run carries out the plan and returns when everything is started again.
func (n *nemesis) run(ctx context.Context, plan []Fault) {
	began := time.Now()
	for _, f := range plan {
		if !pause(ctx, f.At-time.Since(began)) {
			break
		}
		n.wait.Go(func() {
			i := n.inject(ctx, f)
			n.mu.Lock()
			defer n.mu.Unlock()
			n.done = append(n.done, i)
		})
	}
	n.wait.Wait()
}

func (n *nemesis) inject(ctx context.Context, f Fault) Injected {
	i := Injected{Fault: f, Began: n.clock()}
	if f.Target == "engine" {
		n.engine(ctx, f)
		i.Ended = n.clock()
		return i
	}
	p := n.find(f.part())
	if f.isNATS() && !n.othersWell(ctx, f) {
		i.Skipped, i.Ended = "the other nodes are not well yet", n.clock()
		return i
	}
	if strings.HasPrefix(f.Target, "services-") {
		i.Owned = n.owned(ctx, p.pid())
	}
	i.Began = n.clock()
	if strings.Contains(f.Target, "~") {
		n.network(ctx, f)
		i.Ended = n.clock()
		return i
	}
	switch f.Action {
	case Failpoint:
		i.Skipped = n.failpoint(ctx, f, p)
		i.Ended = n.clock()
		return i
	case Freeze:
		p.signal(syscall.SIGSTOP)
		pause(ctx, f.For)
		p.signal(syscall.SIGCONT)
	case Restart:
		p.terminate(10 * time.Second)
	case Kill:
		p.kill()
	}
	if f.Action != Freeze {
		pause(ctx, f.For)
		_ = p.start(ctx) // fails only where the driver is at its end
	}
	i.Ended = n.clock()
	return i
}

// othersWell reports whether a NATS node may go: the log needs two of three.
// The second of a pair that goes down together is not asked for.
func (n *nemesis) othersWell(ctx context.Context, f Fault) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pair(f) || n.deployment.healthy(ctx, int(f.Target[5]-'0'))
}

// pair reports whether a NATS node is down already by the plan's own wish; mu
// is held.
func (n *nemesis) pair(f Fault) bool {
	for i, p := range n.deployment.nats {
		if p.pid() == 0 && fmt.Sprintf("nats-%d", i) != f.part() {
			return true
		}
	}
	return false
}

func (n *nemesis) find(name string) *process {
	for _, p := range n.deployment.processes() {
		if p.name == name {
			return p
		}
	}
	panic("the plan names no process: " + name)
}

// engine breaks ClickHouse; its supervisor starts it again.
func (n *nemesis) engine(ctx context.Context, f Fault) {
	pid := n.deployment.engine.PID()
	if pid == 0 {
		return
	}
	if f.Action == Kill {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return
	}
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	pause(ctx, f.For)
	_ = syscall.Kill(pid, syscall.SIGCONT)
}

// owned are the partitions a services process has; none if NATS does not say.
func (n *nemesis) owned(ctx context.Context, pid int) (owned []int) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	leases, err := n.deployment.js.KeyValue(ctx, streams.LeaseBucket)
	if err != nil {
		return nil
	}
	for p := range partitions {
		lease, err := leases.Get(ctx, fmt.Sprintf("partition.%d", p))
		if err == nil && strings.HasSuffix(string(lease.Value()), fmt.Sprintf("-%d", pid)) {
			owned = append(owned, p)
		}
	}
	return owned
}
