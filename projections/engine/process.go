package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/throng/throng/projections/engine/native"
)

const (
	// stopGrace is how long a child may take to end after its stdin was closed; then it is killed, which loses nothing
	// acknowledged. It takes 20 ms without clients and up to 1 s with idle ones; only for somebody's unfinished query
	// would it wait 5 s.
	stopGrace = 3 * time.Second
	// startLimit is how long a child may take to answer. 0.2 s is usual; the rest is for a cold disk with half a gigabyte
	// of library on it, and for large tables to be loaded.
	startLimit = 60 * time.Second
	// probeEvery is the pause between two attempts to greet a starting child, and probeLimit bounds one of them.
	probeEvery = 10 * time.Millisecond
	probeLimit = time.Second
)

// exitError is a child's end that nobody asked for.
type exitError struct {
	state *os.ProcessState
	said  string // the end of its log
}

func (e *exitError) Error() string {
	return fmt.Sprintf("the engine's process ended (%v) and said: %s", e.state, e.said)
}

// wasKilled reports whether err is the end of a child by a signal.
func wasKilled(err error) bool {
	var exit *exitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// process is one child, from its start to its end.
type process struct {
	// Static after startProcess.
	cmd   *exec.Cmd
	log   *logFile
	stdin *os.File      // write end; closing it asks the child to end
	ended chan struct{} // closed by the goroutine in startProcess when the child was reaped

	state *os.ProcessState // owned by that goroutine until ended is closed, by everybody afterwards
}

// startProcess starts this binary again as an engine. held is the child's lock, inherited so that it outlives us.
func startProcess(libPath, dir string, args []string, held *os.File) (*process, error) {
	log, err := openLog(filepath.Join(dir, "engine.log"))
	if err != nil {
		return nil, fmt.Errorf("open the engine's log: %w", err)
	}
	stdin, stdinWrite, err := os.Pipe()
	if err != nil {
		log.close()
		return nil, err
	}
	defer stdin.Close()

	p := &process{
		cmd: &exec.Cmd{
			// Not os.Executable: that name is gone or another program once an upgrade or `go run` replaced the file.
			Path:        "/proc/self/exe",
			Args:        append([]string{os.Args[0], childArgument, libPath}, args...),
			Dir:         dir,
			Env:         childEnvironment(dir),
			Stdin:       stdin,
			Stdout:      log.file,
			Stderr:      log.file,
			ExtraFiles:  []*os.File{held},
			SysProcAttr: childAttributes(),
		},
		log:   log,
		stdin: stdinWrite,
		ended: make(chan struct{}),
	}
	if err := p.cmd.Start(); err != nil {
		log.close()
		_ = stdinWrite.Close()
		return nil, fmt.Errorf("start the engine's process: %w", err)
	}
	go func() { // ends with the child; stop waits for it
		defer close(p.ended)
		_ = p.cmd.Wait() // state tells more than the error
		p.state = p.cmd.ProcessState
	}()
	return p, nil
}

// childEnvironment leaves out everything the engine has no business with, such as the parent's secrets. HOME is the
// data directory because a .clickhouse-local in the user's would be read as configuration; times are in UTC everywhere.
func childEnvironment(dir string) []string {
	env := []string{
		"HOME=" + dir,
		"TZ=UTC",
		"GORACE=atexit_sleep_ms=0", // a test binary built with -race would otherwise end a second later
	}
	for _, name := range []string{"PATH", "TMPDIR", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// waitReady returns once the child answers at addr under its name. The error is an [*exitError] when the child
// ended first. A cancelled ctx comes back as its cause.
func (p *process) waitReady(ctx context.Context, addr, name string) error {
	deadline := time.NewTimer(startLimit)
	defer deadline.Stop()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		greeted, err := greet(ctx, addr)
		if err == nil && greeted == name {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ended:
			return p.exit()
		case <-deadline.C:
			return fmt.Errorf("no answer at %s within %v (%w); the engine said: %s", addr, startLimit, err, p.log.said())
		case <-ticker.C:
		}
	}
}

// exit describes the end of a child that has ended.
func (p *process) exit() error { return &exitError{state: p.state, said: p.log.said()} }

// stop ends the child and returns when it is gone. It reports whether the child had to be killed.
func (p *process) stop() (killed bool) {
	_ = p.stdin.Close()
	defer p.log.close()
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.ended:
		return false
	case <-grace.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
		return true
	}
}

// greet asks who answers at addr.
func greet(ctx context.Context, addr string) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return native.Hello(ctx, addr)
}
