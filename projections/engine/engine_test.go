//go:build unix

package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/throng/throng/projections/engine"
)

func TestAnEngineServesTheNativeProtocolAndKeepsItsDataOverACleanStop(t *testing.T) {
	dir := t.TempDir()
	e, stop := start(t, dir, "")
	db := open(t, e, "default")
	var one int
	if err := db.QueryRow("SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Fatalf("SELECT 1: got %d, %v", one, err)
	}
	execute(t, db, "CREATE DATABASE kept")
	execute(t, db, "CREATE TABLE kept.t (a UInt64) ENGINE = MergeTree ORDER BY a")
	execute(t, db, "INSERT INTO kept.t SELECT number FROM numbers(1000)")

	pid, addr := e.PID(), e.Addr()
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process group of the child: got %d, %v; Ctrl-C must not reach it", group, err)
	}
	begun := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// The connection is still open: an idle client must not hold up the stop until the child is killed.
	if elapsed := time.Since(begun); elapsed >= engine.StopGrace {
		t.Errorf("a clean stop took %v, so the child was killed", elapsed)
	}
	if !gone(t, pid) {
		t.Errorf("child %d outlived Run", pid)
	}
	if e.PID() != 0 {
		t.Errorf("pid after the stop: got %d, want 0", e.PID())
	}
	if err := e.WaitReady(t.Context()); err == nil {
		t.Error("WaitReady after the stop: got nil")
	}

	again, _ := start(t, dir, addr)
	if got := count(t, open(t, again, "kept"), "SELECT count() FROM t"); got != 1000 {
		t.Errorf("rows after a restart: got %d, want 1000", got)
	}
}

func TestAllAcknowledgedRowsSurviveAKilledChild(t *testing.T) {
	e, _ := start(t, t.TempDir(), "")
	db := open(t, e, "default")
	execute(t, db, "CREATE DATABASE x")
	execute(t, db, "CREATE TABLE x.t (a UInt64) ENGINE = MergeTree ORDER BY a")

	const inserters = 4               // so that there is an insert under way whenever the child is killed
	acked := make(chan uint64, 1<<16) // more than this test can insert; closed below, when the inserters have ended
	ctx, stopInserts := context.WithCancel(t.Context())
	var inserting sync.WaitGroup
	for i := range inserters {
		inserting.Go(func() {
			for a := uint64(i); ctx.Err() == nil; a += inserters {
				if _, err := db.ExecContext(ctx, "INSERT INTO x.t VALUES (?)", a); err == nil {
					acked <- a
				}
			}
		})
	}
	for round := range 3 {
		before := len(acked)
		eventually(t, 30*time.Second, "inserts are acknowledged", func() bool { return len(acked) > before+20 })
		pid := e.PID()
		kill(t, pid)
		killed := time.Now()
		eventually(t, 5*time.Second, "another child runs", func() bool { return e.PID() != 0 && e.PID() != pid })
		waitReady(t, e)
		if elapsed := time.Since(killed); elapsed > 5*time.Second {
			t.Errorf("restart %d took %v, more than the promised 5 s", round, elapsed)
		}
	}
	before := len(acked)
	eventually(t, 30*time.Second, "inserts go on", func() bool { return len(acked) > before+20 })
	stopInserts()
	inserting.Wait()
	close(acked)

	rows, err := db.Query("SELECT DISTINCT a FROM x.t")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	stored := map[uint64]bool{}
	for rows.Next() {
		var a uint64
		if err := rows.Scan(&a); err != nil {
			t.Fatal(err)
		}
		stored[a] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for a := range acked {
		total++
		if !stored[a] {
			t.Errorf("row %d was acknowledged and is lost", a)
		}
	}
	t.Logf("%d rows acknowledged over three kills, %d stored", total, len(stored))
}

func TestAChildEndsWithItsKilledParentAndTheNextParentWaitsForIt(t *testing.T) {
	dir := t.TempDir()
	addr := newEngine(t, dir, "").Addr()
	parent, pid := startParent(t, dir, addr)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	e, _ := start(t, dir, addr) // at once, on the same directory and port
	if !gone(t, pid) {
		t.Errorf("child %d of the killed parent still runs beside %d", pid, e.PID())
	}
}

func TestAChildEndsWithItsKilledParentEvenWhileAQueryRuns(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, dir, "")
	parent, pid := startParent(t, dir, e.Addr())
	db := open(t, e, "default")
	queried := make(chan error, 1)
	go func() {
		_, err := db.Exec("SELECT sleepEachRow(1) FROM numbers(1000) " +
			"SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0")
		queried <- err
	}()
	watch := open(t, e, "default")
	eventually(t, 10*time.Second, "the query runs", func() bool {
		return count(t, watch, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'") == 1
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	eventually(t, engine.PreviousLimit, "the child is gone", func() bool { return gone(t, pid) })
	if err := <-queried; err == nil {
		t.Error("a query of 1000 s ended without an error")
	}
}

func TestASecondSupervisorOnOneDataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first, _ := start(t, dir, "")
	pid := first.PID()
	if err := runOnce(t, newEngine(t, dir, "")); !errors.Is(err, engine.ErrInUse) {
		t.Errorf("second supervisor: got %v, want %v", err, engine.ErrInUse)
	}
	if first.PID() != pid {
		t.Error("the first supervisor's child was disturbed")
	}
}

func TestAPortThatIsTakenIsReported(t *testing.T) {
	t.Run("by a program that is not a ClickHouse", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		wantPortTaken(t, runOnce(t, newEngine(t, t.TempDir(), listener.Addr().String())), "not a ClickHouse")
	})
	t.Run("by another ClickHouse", func(t *testing.T) {
		other, _ := start(t, t.TempDir(), "")
		wantPortTaken(t, runOnce(t, newEngine(t, t.TempDir(), other.Addr())), "another ClickHouse")
	})
}

func wantPortTaken(t *testing.T, err error, words string) {
	t.Helper()
	if !errors.Is(err, engine.ErrPortTaken) {
		t.Errorf("got %v, want %v", err, engine.ErrPortTaken)
	} else if !strings.Contains(err.Error(), words) {
		t.Errorf("got %q, want it to say %q", err, words)
	}
}

func TestAPortTakenWhileTheChildWasDeadIsWaitedFor(t *testing.T) {
	e, _ := start(t, t.TempDir(), "")
	// The next child comes 100 ms after the death of this one, whose port is free at once. On a busy machine the child may
	// be faster than we are, and is killed as well.
	var listener net.Listener
	eventually(t, 30*time.Second, "the port is free", func() bool {
		if pid := e.PID(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		var err error
		listener, err = net.Listen("tcp", e.Addr())
		return err == nil
	})
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for range 2 { // two attempts to start ask who has the port
			connection, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_ = connection.Close()
		}
	}()
	<-accepted
	if e.PID() != 0 {
		t.Error("a child was started while the port was taken")
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	waitReady(t, e)
}

func TestWhatKeepsTheFirstChildFromStartingIsReturned(t *testing.T) {
	t.Run("no library", func(t *testing.T) {
		e, err := engine.New(engine.Config{LibPath: filepath.Join(t.TempDir(), "none.so"), DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := runOnce(t, e); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want %v", err, os.ErrNotExist)
		}
	})
	t.Run("a library that is none", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "bad.so")
		if err := os.WriteFile(path, []byte("not a library"), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(engine.Config{LibPath: path, DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		err = runOnce(t, e)
		if err == nil || !strings.Contains(err.Error(), "load the engine") {
			t.Errorf("got %v, want the child's own words about loading", err)
		}
		if again := e.WaitReady(t.Context()); !errors.Is(again, err) {
			t.Errorf("WaitReady: got %v, want Run's error", again)
		}
	})
	t.Run("an engine's refusal", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "store"), 0o700); err != nil {
			t.Fatal(err)
		}
		status, err := os.Create(filepath.Join(dir, "store", "status")) // which ClickHouse locks
		if err != nil {
			t.Fatal(err)
		}
		defer status.Close()
		if err := syscall.Flock(int(status.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if err := runOnce(t, newEngine(t, dir, "")); err == nil || !strings.Contains(err.Error(), "Cannot lock file") {
			t.Errorf("got %v, want ClickHouse's exception", err)
		}
	})
}

func TestAllThatIsWrongWithAConfigurationIsToldAtOnce(t *testing.T) {
	_, err := engine.New(engine.Config{Listen: "0.0.0.0:9000"})
	if err == nil {
		t.Fatal("got nil")
	}
	for _, want := range []string{"LibPath", "DataDir", "loopback"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want a word about %s", err, want)
		}
	}
}

func open(t testing.TB, e *engine.Engine, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("clickhouse", e.DSN()+database+"?dial_timeout=1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func count(t testing.TB, db *sql.DB, query string) (n uint64) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
