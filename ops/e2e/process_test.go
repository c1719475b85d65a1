//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine"
	"github.com/throng/throng/streams/streamtest"
)

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	engine.Main() // one test runs an engine of its own, which is this binary again
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "throng-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "throng")
	started := time.Now()
	build := exec.Command("go", "build", "-race", "-o", binary, "github.com/throng/throng/ops/cmd/throng")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build the binary:", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "e2e: built the binary in %.1f s\n", time.Since(started).Seconds())
	return m.Run()
}

// terminateWithin is how long SIGTERM may take, by contract.
const terminateWithin = 10 * time.Second

// process is one running program that a test started.
type process struct {
	t              testing.TB
	name           string
	cmd            *exec.Cmd
	stdout, stderr transcript
	ended          chan struct{} // closed when the process was reaped
}

// start runs the binary. What it printed is shown when the test fails, and a
// race it reports fails the test. It ends with the test.
func start(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: "throng " + strings.Join(args[:min(1, len(args))], " "), ended: make(chan struct{})}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env = append(cleanEnvironment(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// Should this test binary be killed, its processes go too.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process; the cleanup waits for it
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says more than the error
	}()
	t.Cleanup(p.cleanup)
	return p
}

// cleanEnvironment is ours without what the program would read.
func cleanEnvironment() []string {
	// A program with the race detector otherwise ends a second later.
	environment := []string{"GORACE=atexit_sleep_ms=0"}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "THRONG_") && !strings.HasPrefix(variable, "GORACE=") {
			environment = append(environment, variable)
		}
	}
	return environment
}

func (p *process) cleanup() {
	if !p.exited() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // a test may have left it stopped
		select {
		case <-p.ended:
		case <-time.After(terminateWithin):
			p.t.Errorf("%s (pid %d) did not end within %v of SIGTERM", p.name, p.cmd.Process.Pid, terminateWithin)
			p.kill9()
		}
	}
	if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
		p.t.Errorf("%s (pid %d) has a data race", p.name, p.cmd.Process.Pid)
	}
	if strings.Contains(p.stderr.String(), "panic:") {
		p.t.Errorf("%s (pid %d) panicked", p.name, p.cmd.Process.Pid)
	}
	if p.t.Failed() {
		p.t.Logf("%s (pid %d), %v, stdout:\n%s\nstderr:\n%s",
			p.name, p.cmd.Process.Pid, p.cmd.ProcessState, p.stdout.Tail(4<<10), p.stderr.Tail(24<<10))
	}
}

func (p *process) exited() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill9 ends the process as a crash does.
func (p *process) kill9() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// terminate asks the process to end and returns how long it took. It fails the
// test if that was too long or not clean.
func (p *process) terminate() time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(terminateWithin):
		p.t.Fatalf("%s did not end within %v of SIGTERM", p.name, terminateWithin)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with %v after SIGTERM, want exit code 0", p.name, p.cmd.ProcessState)
	}
	return time.Since(began)
}

// wait returns the exit code of a process that ends by itself.
func (p *process) wait(patience time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s did not end within %v", p.name, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// children are the process's child processes: of `dev`, its ClickHouse engine.
func (p *process) children() []int {
	p.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var pids []int
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended since
		}
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// run runs the binary to its end and returns what it printed.
func run(t testing.TB, environment []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, environment, args...)
	code = p.wait(60 * time.Second)
	return code, p.stdout.String(), p.stderr.String()
}

// transcript keeps what a process prints.
type transcript struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

// Write implements [io.Writer].
func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(b)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// Tail is the end of what was printed, at most so many bytes.
func (w *transcript) Tail(size int) string {
	s := w.String()
	if len(s) <= size {
		return s
	}
	return "…" + s[len(s)-size:]
}

// freeAddress returns a loopback address nobody listens on. Its port lies below
// those the system gives to outgoing connections: while a server is down its
// clients dial all the time, and one of them would take the port.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		_ = listener.Close()
		return address
	}
	t.Fatal("no free port")
	return ""
}

// dataDir is a folder that goes with the test. [testing.T.TempDir] fails a
// test whose killed server left an engine behind that is still ending.
func dataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "throng-e2e-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		streamtest.Eventually(t, 15*time.Second, "the data folder can be removed", func() bool {
			return os.RemoveAll(dir) == nil
		})
	})
	return dir
}

// pause waits for d or until ctx ends, and tells which. It paces load; nothing
// is waited for with it.
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

func contains(s, part string) bool { return strings.Contains(s, part) }
