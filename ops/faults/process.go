//go:build linux

package faults

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one program that is kept running: when it ends by itself it is
// started again, as a service manager would; when the nemesis ends it, it stays
// down until it is told to start.
type process struct {
	// Static after newProcess.
	name   string
	path   string
	args   []string
	output string // file its output is appended to

	mu      sync.Mutex
	cmd     *exec.Cmd     // guarded by mu; nil while it is down
	ended   chan struct{} // guarded by mu; closed when cmd was reaped
	held    bool          // guarded by mu: the nemesis wants it down
	crashes int           // guarded by mu: how often it ended by itself
	wait    sync.WaitGroup
}

func newProcess(dir, name, path string, args ...string) *process {
	return &process{name: name, path: path, args: args, output: filepath.Join(dir, name+".log")}
}

// restartPause is how long a program that ended by itself stays down.
const restartPause = 300 * time.Millisecond

// start starts the program and keeps it running until ctx ends or kill.
func (p *process) start(ctx context.Context) error {
	_, err := p.launch(ctx)
	return err
}

// startOnce is start with more in the environment, which is gone when the
// program is started again. What it returns is closed when this one ends; nil if
// the program was not started.
func (p *process) startOnce(ctx context.Context, variable string) (ended <-chan struct{}) {
	ended, _ = p.launch(ctx, variable)
	return ended
}

func (p *process) launch(ctx context.Context, variables ...string) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	output, err := os.OpenFile(p.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the program has its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(environment(), variables...)
	cmd.Stdout, cmd.Stderr = output, output
	// A group of its own, so that Ctrl-C reaches the driver only; and the kernel
	// kills it when the driver dies, however that dies.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.held = cmd, ended, false
	p.wait.Go(func() {
		_ = cmd.Wait() // that it ended is all that counts
		close(ended)
		p.mu.Lock()
		p.cmd = nil
		again := !p.held && ctx.Err() == nil
		if again {
			p.crashes++
		}
		p.mu.Unlock()
		if again && pause(ctx, restartPause) {
			_ = p.start(ctx) // fails only if ctx ended meanwhile
		}
	})
	return ended, nil
}

// environment is ours without what the program would read.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "THRONG_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// kill ends the program as a crash does; it stays down until start.
func (p *process) kill() {
	p.mu.Lock()
	p.held = true
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // fails if it has just ended
	<-ended
}

// terminate asks the program to end, and kills it if it does not within d.
func (p *process) terminate(d time.Duration) {
	p.mu.Lock()
	p.held = true
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(d):
		p.kill()
	}
}

// signal sends a signal, if the program runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // fails if it has just ended
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// stop kills the program for good.
func (p *process) stop() {
	p.kill()
	p.wait.Wait()
}

// panicked returns what the program printed if it panicked.
func (p *process) panicked() string {
	data, err := os.ReadFile(p.output)
	if err != nil {
		return ""
	}
	for _, mark := range []string{"\npanic: ", "WARNING: DATA RACE", "\nfatal error: "} {
		if at := bytes.Index(data, []byte(mark)); at >= 0 {
			return p.name + ": " + string(data[at:min(len(data), at+2000)])
		}
	}
	return ""
}

// pause waits for d or until ctx ends, and tells which.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// until polls a condition until it holds or ctx ends.
func until(ctx context.Context, what string, condition func() bool) error {
	for !condition() {
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
	return nil
}
