package projections_test

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// ownEngine is an engine that this test may kill. It runs once start is called
// and until the test ends.
func ownEngine(t *testing.T) (e *engine.Engine, run func()) {
	t.Helper()
	library, err := engine.Fetch(t.Context(), engine.FetchConfig{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	e, err = engine.New(engine.Config{LibPath: library, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return e, func() {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("engine: %v", err)
			}
		})
	}
}

func openDB(t *testing.T, dsn string) *clickhouse.DB {
	t.Helper()
	db, err := clickhouse.Open(clickhouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func history(t *testing.T, n *streamtest.NATS) *streampb.HistoryPage {
	t.Helper()
	data, err := proto.Marshal(&streampb.HistoryQuery{Group: "p0g0", Channel: "general"})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := n.Conn.Request(streams.QueryHistory, data, patience)
	if err != nil {
		t.Fatal(err)
	}
	page := &streampb.HistoryPage{}
	if err := proto.Unmarshal(msg.Data, page); err != nil {
		t.Fatal(err)
	}
	return page
}

// TestClickHouseKilledUnderLoadAndComingBack is the whole life with an engine
// that is not there at the start, and is killed three times while it works.
func TestClickHouseKilledUnderLoadAndComingBack(t *testing.T) {
	leakless(t)
	e, run := ownEngine(t)
	dsn := e.DSN() + "throng"
	n := streamtest.Provisioned(t, 2)
	logs := []*logtest.Log{logtest.New(0, 11, 2), logtest.New(1, 12, 2)}
	sequencers := []*sequencer{newSequencer(t, n, logs[0]), newSequencer(t, n, logs[1])}
	registry := prometheus.NewRegistry()
	var lines bytes.Buffer
	stop := start(t, projections.Config{
		Conn: n.Conn, Partitions: 2, DSN: dsn, Registerer: registry, Logger: locked(&lines), MaxRows: 500, Linger: 5 * time.Millisecond,
	})
	sequencers[0].random(500)
	streamtest.Eventually(t, patience, "the outage is noticed", func() bool {
		return metric(t, registry, "throng_projection_away") == 1
	})
	begun := time.Now()
	if got := history(t, n).GetError().GetCode(); got != string(streams.HistoryUnavailable) || time.Since(begun) > 1500*time.Millisecond {
		t.Errorf("history without ClickHouse: got %q after %v", got, time.Since(begun))
	}
	streamtest.Eventually(t, patience, "the lag is told", func() bool {
		return metric(t, registry, "throng_projection_lag_events") >= 500
	})
	run()
	db := openDB(t, dsn)
	for range 3 {
		rows := metric(t, registry, "throng_projection_rows_total")
		for _, s := range sequencers {
			s.random(4000)
		}
		streamtest.Eventually(t, patience, "rows are written", func() bool {
			return metric(t, registry, "throng_projection_rows_total") > rows+500
		})
		pid := e.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		streamtest.Eventually(t, patience, "another engine runs", func() bool { return e.PID() != pid && e.PID() != 0 })
	}
	awaitRows(t, db, logs...)
	streamtest.Eventually(t, patience, "the outage is over", func() bool {
		return metric(t, registry, "throng_projection_away") == 0 && history(t, n).GetError() == nil
	})
	outages := metric(t, registry, "throng_projection_outages_total")
	stop()
	if said := strings.Count(lines.String(), "away: projecting waits"); float64(said) != outages || said < 1 || said > 8 {
		t.Errorf("%v outages, %d lines of them:\n%s", outages, said, lines.String())
	}
}
