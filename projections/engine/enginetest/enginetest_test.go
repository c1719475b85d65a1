package enginetest_test

import (
	"database/sql"
	"testing"

	_ "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/throng/throng/projections/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestEachTestGetsAnEmptyDatabaseThatIsDroppedAfterwards(t *testing.T) {
	var first string
	t.Run("one test creates a table", func(t *testing.T) {
		first = enginetest.DSN(t)
		query(t, first, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	})
	t.Run("another does not see it", func(t *testing.T) {
		second := enginetest.DSN(t)
		if second == first {
			t.Fatalf("both got %s", second)
		}
		if got := count(t, second, "SELECT count() FROM system.tables WHERE database = currentDatabase()"); got != 0 {
			t.Errorf("tables in a fresh database: got %d, want 0", got)
		}
		if got := count(t, second, "SELECT count() FROM system.databases WHERE name LIKE 'test_1_%'"); got != 0 {
			t.Errorf("databases of the ended test: got %d, want 0", got)
		}
	})
}

func query(t testing.TB, dsn, statement string) {
	t.Helper()
	if _, err := open(t, dsn).Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func count(t testing.TB, dsn, query string) (n uint64) {
	t.Helper()
	if err := open(t, dsn).QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("clickhouse", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
