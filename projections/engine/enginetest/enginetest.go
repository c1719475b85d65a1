package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine"
	"github.com/throng/throng/projections/engine/native"
)

const (
	// fetchLimit is how long a first test may take to download the library, readyLimit to start the engine, and
	// statementLimit to create or drop a database on a machine that is busy with other tests.
	fetchLimit     = 8 * time.Minute
	readyLimit     = 90 * time.Second
	statementLimit = 30 * time.Second
)

// One engine per test binary, set by Main before any test runs.
var (
	running   *engine.Engine
	databases atomic.Int64
)

// Main runs the tests of m with an engine and exits. It is all that TestMain has to call.
func Main(m *testing.M) {
	engine.Main()
	code, err := withEngine(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "enginetest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func withEngine(m *testing.M) (code int, err error) {
	fetching, cancelFetch := context.WithTimeout(context.Background(), fetchLimit)
	defer cancelFetch()
	libPath, err := engine.Fetch(fetching, engine.FetchConfig{Progress: os.Stderr})
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "throng-engine-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	running, err = engine.New(engine.Config{LibPath: libPath, DataDir: dir, Logger: logger})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	starting, cancelStart := context.WithTimeout(ctx, readyLimit)
	defer cancelStart()
	if err := running.WaitReady(starting); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// DSN creates an empty database for t, which is dropped when t ends, and returns the DSN that leads to it.
func DSN(t testing.TB) string {
	t.Helper()
	if running == nil {
		t.Fatal("enginetest.DSN without an engine: TestMain must call enginetest.Main")
	}
	database := fmt.Sprintf("test_%d_%s", databases.Add(1), identifier(t.Name()))
	execute(t, "CREATE DATABASE "+database)
	t.Cleanup(func() { execute(t, "DROP DATABASE "+database+" SYNC") })
	return running.DSN() + database
}

func execute(t testing.TB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	if err := running.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := native.Exec(ctx, running.Addr(), statement); err != nil {
		t.Fatal(err)
	}
}

// identifier makes a test's name fit for a database's: a directory bears it too, so its length is bounded.
func identifier(name string) string {
	const longest = 60
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), longest)]
}
