package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// The pause before a dead child is replaced grows from firstPause to longestPause, which keeps the whole restart
	// within the promised 5 s. A child that lived for steadyAfter starts the series anew.
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	steadyAfter  = 10 * time.Second

	// firstAttempts is how often a child that is killed by a signal before it was ever ready is replaced. A child that
	// exits by itself has told its reason, and is not tried again.
	firstAttempts = 3

	// previousLimit is how long Run waits for the child of a supervisor that was killed. Exceeds orphanGrace.
	previousLimit = orphanGrace + 5*time.Second

	// boundEvery is how often a running child's log is measured.
	boundEvery = 30 * time.Second
)

// Engine is a supervised ClickHouse. Its methods may be called from any goroutine, at any time.
type Engine struct {
	// Static after New.
	config Config
	addr   netip.AddrPort
	logger *slog.Logger

	mu      sync.Mutex
	pid     int           // of the child that runs now, 0 when none
	ready   chan struct{} // closed by Run when the child answers; replaced when it has died
	stopped chan struct{} // closed by Run when it returns
	err     error         // what Run returned; valid once stopped is closed
}

// New prepares an engine and starts nothing. The one thing it asks of the system is a free port where [Config] says 0,
// because the address is the configuration of everything that is built after it. The error lists all that is wrong
// with config, or wraps [ErrUnsupported].
func New(config Config) (*Engine, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	config, addr, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure the engine: %w", err)
	}
	if addr.Port() == 0 {
		port, err := freePort(addr.Addr())
		if err != nil {
			return nil, fmt.Errorf("configure the engine: %w", err)
		}
		addr = netip.AddrPortFrom(addr.Addr(), port)
	}
	return &Engine{
		config:  config,
		addr:    addr,
		logger:  config.Logger.With("addr", addr.String()),
		ready:   make(chan struct{}),
		stopped: make(chan struct{}),
	}, nil
}

// Addr returns the address of the native port, host:port.
func (e *Engine) Addr() string { return e.addr.String() }

// DSN returns the engine's DSN without a database; append the database's name.
func (e *Engine) DSN() string { return "clickhouse://default:@" + e.Addr() + "/" }

// PID returns the child's process id, or 0 while none runs. Tests kill it.
func (e *Engine) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

// WaitReady returns nil as soon as the engine answers, at once if it does already. It returns Run's error when Run has
// ended, and ctx's when that is done first. While a dead child is being replaced it waits for the next one; a client
// must expect a refused connection all the same.
func (e *Engine) WaitReady(ctx context.Context) error {
	e.mu.Lock()
	ready := e.ready
	e.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-e.stopped:
		if e.err != nil {
			return e.err
		}
		return errors.New("the engine was stopped")
	case <-ctx.Done():
		return fmt.Errorf("wait for the engine at %s: %w", e.addr, context.Cause(ctx))
	}
}

// Run keeps the engine running until ctx is done, then ends it cleanly and returns nil. It may be called once.
//
// Until the engine was ready for the first time, Run returns what prevents it: [ErrInUse], [ErrPortTaken], a library
// that cannot be loaded, or the engine's own words. From then on it never gives up.
func (e *Engine) Run(ctx context.Context) (err error) {
	defer func() {
		e.err = err
		close(e.stopped)
	}()
	if err := os.MkdirAll(filepath.Join(e.config.DataDir, "store"), 0o700); err != nil {
		return fmt.Errorf("create the engine's data directory: %w", err)
	}
	if _, err := os.Stat(e.config.LibPath); err != nil {
		return fmt.Errorf("find the engine's library: %w", err)
	}
	mine, err := tryLock(filepath.Join(e.config.DataDir, "supervisor.lock"))
	if errors.Is(err, errLocked) {
		return fmt.Errorf("run the engine on %s: %w", e.config.DataDir, ErrInUse)
	} else if err != nil {
		return err
	}
	defer mine.Close()
	childs, err := e.awaitPrevious(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("run the engine on %s: %w", e.config.DataDir, err)
	}
	defer childs.Close()

	pauses := &backoff.ExponentialBackOff{
		InitialInterval:     firstPause,
		MaxInterval:         longestPause,
		Multiplier:          2,
		RandomizationFactor: 0,
	}
	pauses.Reset()
	everReady := false
	for attempt := 1; ; attempt++ {
		lived, err := e.live(ctx, childs)
		if ctx.Err() != nil {
			return nil
		}
		everReady = everReady || lived > 0
		if !everReady && (attempt == firstAttempts || !wasKilled(err)) {
			return fmt.Errorf("run the engine at %s: %w", e.addr, err)
		}
		if lived >= steadyAfter {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		e.logger.Warn("engine is down, starting another", "err", err, "elapsed", lived, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// live is one child's life: it returns how long the child was ready, 0 for never, and why it ended.
func (e *Engine) live(ctx context.Context, held *os.File) (lived time.Duration, err error) {
	if err := e.checkPort(ctx); err != nil {
		return 0, err
	}
	host, port := e.addr.Addr().String(), strconv.Itoa(int(e.addr.Port()))
	name := fmt.Sprintf("throng-%08x", rand.Uint32())
	args := commandLine(filepath.Join(e.config.DataDir, "store"), host, port, name)
	begun := time.Now()
	child, err := startProcess(e.config.LibPath, e.config.DataDir, args, held)
	if err != nil {
		return 0, err
	}
	e.setStarted(child.cmd.Process.Pid)
	defer func() {
		e.setDead()
		stopping := time.Now()
		killed := child.stop()
		e.logger.Debug("engine ended", "state", child.state.String(), "killed", killed, "elapsed", time.Since(stopping))
	}()
	if err := child.waitReady(ctx, e.Addr(), name); err != nil {
		return 0, err
	}
	e.setReady()
	since := time.Now()
	e.logger.Info("engine ready", "pid", child.cmd.Process.Pid, "elapsed", since.Sub(begun))

	measure := time.NewTicker(boundEvery)
	defer measure.Stop()
	for {
		select {
		case <-ctx.Done():
			return time.Since(since), context.Cause(ctx)
		case <-child.ended:
			return time.Since(since), child.exit()
		case <-measure.C:
			if err := child.log.bound(); err != nil {
				e.logger.Warn("engine log cannot be bounded", "err", err)
			}
		}
	}
}

// checkPort returns ErrPortTaken, with what can be said about the other program, when the port is not free.
func (e *Engine) checkPort(ctx context.Context) error {
	listener, err := net.Listen("tcp", e.Addr())
	if err == nil {
		return listener.Close()
	}
	if name, err := greet(ctx, e.Addr()); err == nil {
		return fmt.Errorf("%w: another ClickHouse, which calls itself %q", ErrPortTaken, name)
	}
	return fmt.Errorf("%w, which is not a ClickHouse: %w", ErrPortTaken, err)
}

// awaitPrevious returns the child's lock once no child of an earlier supervisor is left.
func (e *Engine) awaitPrevious(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, previousLimit,
		fmt.Errorf("an engine whose parent is gone has not ended within %v", previousLimit))
	defer cancel()
	return lock(ctx, filepath.Join(e.config.DataDir, "child.lock"), func() {
		e.logger.Info("waiting for the previous engine to end")
	})
}

func (e *Engine) setStarted(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid = pid
}

func (e *Engine) setReady() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.ready)
}

// setDead withdraws the pid, which may be another process's soon, and the readiness, if it was announced.
func (e *Engine) setDead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid = 0
	select {
	case <-e.ready:
		e.ready = make(chan struct{})
	default: // never ready: those who wait go on waiting for the next child
	}
}
