//go:build unix

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine"
)

// parentArgument makes this test binary a parent to be killed: it runs an engine and prints its pid.
const parentArgument = "@parent"

// libPath is the library, fetched by TestMain.
var libPath string

func TestMain(m *testing.M) {
	engine.Main()
	if len(os.Args) == 5 && os.Args[1] == parentArgument {
		fmt.Fprintln(os.Stderr, runParent(os.Args[2], os.Args[3], os.Args[4]))
		os.Exit(1)
	}
	var err error
	if libPath, err = engine.Fetch(context.Background(), engine.FetchConfig{Progress: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runParent is a stand-in for throng dev. It never ends by itself.
func runParent(libPath, dataDir, listen string) error {
	e, err := engine.New(engine.Config{LibPath: libPath, DataDir: dataDir, Listen: listen})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	if err := e.WaitReady(context.Background()); err != nil {
		return err
	}
	fmt.Println(e.PID())
	return <-ended
}

// startParent starts this binary as runParent and returns it together with the pid of its engine.
func startParent(t testing.TB, dataDir, listen string) (parent *exec.Cmd, enginePID int) {
	t.Helper()
	parent = exec.Command(os.Args[0], parentArgument, libPath, dataDir, listen)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
	})
	if _, err := fmt.Fscan(stdout, &enginePID); err != nil {
		t.Fatalf("read the engine's pid from the parent: %v", err)
	}
	return parent, enginePID
}

// start runs an engine until the test ends or stop is called, and waits for it to be ready. stop returns Run's error.
func start(t testing.TB, dataDir, listen string) (e *engine.Engine, stop func() error) {
	t.Helper()
	e = newEngine(t, dataDir, listen)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop the engine: %v", err)
		}
	})
	waitReady(t, e)
	return e, stop
}

func newEngine(t testing.TB, dataDir, listen string) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{LibPath: libPath, DataDir: dataDir, Listen: listen,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func waitReady(t testing.TB, e *engine.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// runOnce runs an engine that is expected not to start and returns Run's error.
func runOnce(t testing.TB, e *engine.Engine) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return e.Run(ctx)
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// gone reports whether the process runs no more. One that nobody reaps counts as gone.
func gone(t testing.TB, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	} else if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// eventually polls a condition until it holds or limit has passed.
func eventually(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", limit, what)
		case <-ticker.C:
		}
	}
}
