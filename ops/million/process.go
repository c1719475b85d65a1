//go:build linux

package million

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one program that runs until kill. It has one owner.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a program whose output goes to a file of its name in dir.
func start(dir, name, path string, args ...string) (*process, error) {
	output, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the program has its own
	cmd := exec.Command(path, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "THRONG_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Stdout, cmd.Stderr = output, output
	// A group of its own, so that Ctrl-C reaches only us; and the kernel kills it
	// when we die, however that is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the program, which kill waits for
		defer close(p.done)
		_ = cmd.Wait() // that it ended is all that counts
	}()
	return p, nil
}

// kill ends the program as kill -9 does; nil is none.
func (p *process) kill() {
	if p != nil {
		_ = p.cmd.Process.Kill() // fails where it has ended
		<-p.done
	}
}

// memory is what a process has in memory, and the most it ever had, in bytes.
type memory struct{ now, most int64 }

func (m memory) String() string { return fmt.Sprintf("%d MB, at most %d MB", m.now>>20, m.most>>20) }

func (p *process) memory() memory {
	var m memory
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return m
	}
	defer func() { _ = status.Close() }() // it was only read
	for lines := bufio.NewScanner(status); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			m.now = kilobytes << 10
		case "VmHWM":
			m.most = kilobytes << 10
		}
	}
	return m
}

// cpu is what a process has used, user and system.
func (p *process) cpu() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold spaces: count from behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// until polls a condition until it holds or ctx ends.
func until(ctx context.Context, what string, every time.Duration, condition func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// answers reports whether a GET is answered with 200.
func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := (&http.Client{Timeout: 2 * time.Second}).Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// freePort is a port of the loopback nobody listens on.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("not a TCP port"), listener.Close())
	}
	return address.Port, listener.Close()
}
