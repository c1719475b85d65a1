package projections_test

import (
	"fmt"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// Both benchmarks move the same messages of 100 bytes in 1,000 channels, and
// report rows of the table events a second. Run them together:
//
//	go test ./projections/ -run '^$' -bench 'Projector|RawDriver' -benchtime 3x

const (
	benchRows  = 200_000
	benchBatch = 10_000
)

func benchLog(next func() streams.Seq, each func(*streams.Event)) {
	log := logtest.New(0, 1, 0)
	for i := range benchRows {
		group := streams.Group(fmt.Sprintf("g%d", i*7919%1000))
		each(log.Message(next(), group, "general", fmt.Appendf(nil, "%-100d", i)))
	}
}

// BenchmarkProjector reads the log, judges, folds and writes both tables.
func BenchmarkProjector(b *testing.B) {
	n := streamtest.Provisioned(b, 1)
	s := newSequencer(b, n, logtest.New(0, 1, 0))
	benchLog(s.next, func(e *streams.Event) {
		e.Epoch = s.log.Epoch
		s.append(e)
	})
	s.settle()
	var elapsed time.Duration
	for b.Loop() {
		dsn := enginetest.DSN(b)
		db := logtest.DB(b, dsn)
		begun := time.Now()
		registry := prometheus.NewRegistry()
		stop := start(b, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry})
		// Polled in the process: a query each few ms would be part of the load.
		streamtest.Eventually(b, 5*time.Minute, "the log is stored", func() bool {
			return metric(b, registry, "throng_projection_rows_total") >= 2*benchRows
		})
		elapsed += time.Since(begun)
		stop()
		if got := count(b, db, "SELECT count() FROM events"); got != benchRows {
			b.Fatalf("events: got %d, want %d", got, benchRows)
		}
	}
	b.ReportMetric(float64(b.N)*benchRows/elapsed.Seconds(), "rows/s")
}

// rawInsert names the columns that a message has.
const rawInsert = "INSERT INTO raw (`partition`, seq, `group`, channel, v, n, epoch, prev, ts, kind, user, client_id, type, body, body_json," +
	" mentions, mention_all, mention_roles, reply_to, priority, expires, target, member, role, reason, about, name, payload)"

// BenchmarkRawDriver is the driver as its documentation uses it: rows appended
// one by one to batches, into a table shaped like events, nothing else.
func BenchmarkRawDriver(b *testing.B) {
	dsn := enginetest.DSN(b)
	db := logtest.DB(b, dsn)
	options, err := driver.ParseDSN(dsn + "?async_insert=0")
	if err != nil {
		b.Fatal(err)
	}
	options.Compression = &driver.Compression{Method: driver.CompressionLZ4}
	conn, err := driver.Open(options)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var events []*streams.Event
	var payloads [][]byte
	seq := streams.Seq(0)
	benchLog(func() streams.Seq { seq++; return seq }, func(e *streams.Event) {
		data, err := streams.MarshalEvent(e)
		if err != nil {
			b.Fatal(err)
		}
		events, payloads = append(events, e), append(payloads, data)
	})
	var elapsed time.Duration
	for b.Loop() {
		for _, statement := range []string{"DROP TABLE IF EXISTS raw SYNC", "CREATE TABLE raw AS events"} {
			if err := db.Exec(b.Context(), statement); err != nil {
				b.Fatal(err)
			}
		}
		begun := time.Now()
		for from := 0; from < len(events); from += benchBatch {
			batch, err := conn.PrepareBatch(b.Context(), rawInsert)
			if err != nil {
				b.Fatal(err)
			}
			for i, e := range events[from : from+benchBatch] {
				p := e.Payload.(streams.MessagePosted)
				err := batch.Append(uint32(0), uint64(e.Seq), string(e.Group), string(e.Channel), uint64(e.V), uint64(e.N),
					uint64(e.Epoch), uint64(e.Prev), time.UnixMilli(e.TS), string(e.Kind()), string(e.User), e.ClientID.String(),
					p.Type, string(p.Body), p.BodyJson, p.Mentions, p.MentionAll, p.MentionRoles, p.ReplyTo, "normal", p.Expires,
					uint64(0), "", "", "", "", "", string(payloads[from+i]))
				if err != nil {
					b.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				b.Fatal(err)
			}
		}
		elapsed += time.Since(begun)
	}
	b.ReportMetric(float64(b.N)*benchRows/elapsed.Seconds(), "rows/s")
}

func count(t testing.TB, db *clickhouse.DB, query string) (n uint64) {
	t.Helper()
	if err := db.Query(t.Context(), query, nil, func(scan func(...any) error) error { return scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}
