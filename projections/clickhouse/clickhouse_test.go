package clickhouse_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func open(t *testing.T, dsn string) *clickhouse.DB {
	t.Helper()
	db, err := clickhouse.Open(clickhouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func migrate(t *testing.T, db *clickhouse.DB) []string {
	t.Helper()
	made, err := db.Migrate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func count(t *testing.T, db *clickhouse.DB, query string) (n uint64) {
	t.Helper()
	if err := db.Query(t.Context(), query, nil, func(scan func(...any) error) error { return scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, db *clickhouse.DB, statement string) {
	t.Helper()
	if err := db.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

const tables = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN" +
	" ('events', 'messages', 'events_refused', 'top_talkers', 'messages_per_hour', 'reactions', 'reaction_counts'," +
	" 'members', 'attributes', 'attributes_now', 'moderation', 'channels')"

// tableCount is how many tables there are once migrated.
const tableCount = 12

func TestMigratingTwiceChangesNothing(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	pending, err := db.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := migrate(t, db)
	if fmt.Sprint(pending) != fmt.Sprint(made) || len(made) == 0 {
		t.Errorf("announced %v, made %v", pending, made)
	}
	if again := migrate(t, db); len(again) != 0 {
		t.Errorf("made again: %v", again)
	}
	if pending, err = db.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("still pending: %v, %v", pending, err)
	}
	if got := count(t, db, tables); got != tableCount {
		t.Errorf("tables: got %d, want %d", got, tableCount)
	}
}

// otherDatabase is a DSN to a database that does not exist, which the test
// drops when it ends.
func otherDatabase(t *testing.T, suffix string) string {
	t.Helper()
	dsn := enginetest.DSN(t)
	present := open(t, dsn)
	name := present.Database() + suffix
	t.Cleanup(func() {
		if err := present.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimSuffix(dsn, present.Database()) + name
}

func TestEightProcessesMayMigrateAMissingDatabaseAtOnce(t *testing.T) {
	dsn := otherDatabase(t, "_missing")
	if pending, err := open(t, dsn).Pending(t.Context()); err != nil || len(pending) == 0 {
		t.Fatalf("pending of a database that is missing: %v, %v", pending, err)
	}
	var all sync.WaitGroup
	for range 8 {
		db := open(t, dsn)
		all.Go(func() {
			if _, err := db.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	db := open(t, dsn)
	if got := count(t, db, tables); got != tableCount {
		t.Errorf("tables: got %d, want %d", got, tableCount)
	}
	if again := migrate(t, db); len(again) != 0 {
		t.Errorf("made again: %v", again)
	}
}

func TestAMigrationThatBrokeOffIsMadeAgain(t *testing.T) {
	for _, broken := range []struct{ name, statement string }{
		{"before anything was noted down", "DROP TABLE throng_migrations SYNC"},
		{"after the first table", "DROP TABLE messages SYNC"},
		{"after the tables", "DROP VIEW messages_per_hour SYNC"},
		{"after the columns of events", "DROP TABLE reactions SYNC"},
		{"before the last table", "DROP TABLE channels SYNC"},
		{"within the columns of events", "ALTER TABLE events DROP COLUMN invite, DROP COLUMN deleted"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			db := open(t, enginetest.DSN(t))
			migrate(t, db)
			exec(t, db, broken.statement)
			if !strings.Contains(broken.statement, "throng_migrations") {
				exec(t, db, "TRUNCATE TABLE throng_migrations SYNC")
			}
			migrate(t, db)
			if got := count(t, db, tables); got != tableCount {
				t.Errorf("tables: got %d, want %d", got, tableCount)
			}
		})
	}
}

func TestEveryColumnAndTableSaysWhatItIs(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	migrate(t, db)
	const silent = "SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase()" +
		" AND table IN ('events', 'messages', 'events_refused', 'reactions', 'reaction_counts', 'members', 'attributes', 'moderation', 'channels')" +
		" AND comment = ''"
	err := db.Query(t.Context(), silent, nil, func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		t.Errorf("%s has no comment", name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryByteGoesThereAndBack(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	values := []string{
		"", string(all[:]), "tab\there", `\t`, `\`, `\\`, `\N`, `'`, `''`, `\'`, "\x00", "line\nbreak\r\n", "`\"", "🏳️‍🌈", "{value:String}", "'); SELECT 1; --",
	}
	for _, want := range values {
		var got string
		err := db.Query(t.Context(), "SELECT {value:String}", clickhouse.Params{"value": want}, func(scan func(...any) error) error { return scan(&got) })
		if err != nil || got != want {
			t.Errorf("as a parameter: got %q, want %q (%v)", got, want, err)
		}
		var tuples clickhouse.Tuples
		tuples.Add(want, uint64(7))
		tuples.Add("other", uint64(8))
		got = ""
		err = db.Query(t.Context(), "SELECT tupleElement({value:Array(Tuple(String, UInt64))}[1], 1)",
			clickhouse.Params{"value": &tuples}, func(scan func(...any) error) error { return scan(&got) })
		if err != nil || got != want {
			t.Errorf("in a tuple: got %q, want %q (%v)", got, want, err)
		}
	}
}

func TestInsertsAreNotAsynchronous(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	var value string
	const query = "SELECT value FROM system.settings WHERE name = 'async_insert'"
	if err := db.Query(t.Context(), query, nil, func(scan func(...any) error) error { return scan(&value) }); err != nil {
		t.Fatal(err)
	}
	if value != "0" {
		t.Errorf("async_insert: got %s, want 0", value)
	}
}

func TestAnAnswerIsToldFromSilence(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	if err := db.Exec(t.Context(), "SELECT no_such_column"); !clickhouse.Answered(err) {
		t.Errorf("a wrong query: %v is not told to be an answer", err)
	}
	away := open(t, "clickhouse://127.0.0.1:1/db")
	if err := away.Ping(t.Context()); err == nil || clickhouse.Answered(err) {
		t.Errorf("nobody there: got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{
		"clickhouse://", "http://127.0.0.1:8123/db", "clickhouse://127.0.0.1:9000/a-b", "clickhouse://127.0.0.1:9000/a`b",
	} {
		if _, err := clickhouse.Open(clickhouse.Config{DSN: dsn}); err == nil {
			t.Errorf("%s was accepted", dsn)
		}
	}
}

func TestWithoutADatabaseItIsThrong(t *testing.T) {
	db := open(t, "clickhouse://127.0.0.1:9000")
	if got := db.Database(); got != "throng" {
		t.Errorf("got %s", got)
	}
}
