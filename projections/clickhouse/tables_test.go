package clickhouse_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
)

var update = flag.Bool("update", false, "write docs/tables.md anew")

const tablesHead = `# Tables

What projections store in ClickHouse, for who asks it questions. Made from the comments in
[projections/clickhouse/migrations](../projections/clickhouse/migrations), which ClickHouse shows as
well (` + "`SHOW CREATE TABLE events`" + `); change them in a new migration and run
` + "`go test ./projections/clickhouse -run TheDocument -update`" + `.

All rows may be there more than once until ClickHouse has merged them: read with ` + "`FINAL`" + `. State is
stored before the events it follows from, so it is never older than ` + "`events`" + ` says, and may be a
moment newer.
`

// TestTheDocumentShowsTheTables compares docs/tables.md with what the
// migrations make.
func TestTheDocumentShowsTheTables(t *testing.T) {
	db := open(t, enginetest.DSN(t))
	migrate(t, db)
	document := tablesHead
	last := ""
	const query = "SELECT c.table, t.comment, t.engine = 'View', t.sorting_key, c.name, c.type, c.comment FROM system.columns AS c" +
		" JOIN system.tables AS t ON t.database = c.database AND t.name = c.table" +
		" WHERE c.database = currentDatabase() AND c.table != 'throng_migrations'" +
		" ORDER BY t.engine = 'View', indexOf(['events', 'messages', 'reactions', 'reaction_counts', 'members', 'channels', 'attributes', 'moderation'], c.table) = 0," +
		" indexOf(['events', 'messages', 'reactions', 'reaction_counts', 'members', 'channels', 'attributes', 'moderation'], c.table), c.table, c.position"
	err := db.Query(t.Context(), query, nil, func(scan func(...any) error) error {
		var table, about, key, column, kind, comment string
		var view uint8
		if err := scan(&table, &about, &view, &key, &column, &kind, &comment); err != nil {
			return err
		}
		if table != last {
			last = table
			if view == 1 {
				document += fmt.Sprintf("\n## %s\n\nA view: what its columns mean, the tables say.\n\n| column | type | meaning |\n|---|---|---|\n", table)
			} else {
				document += fmt.Sprintf("\n## %s\n\n%s One row per (%s).\n\n| column | type | meaning |\n|---|---|---|\n", table, about, strings.ReplaceAll(key, "`", ""))
			}
		}
		document += fmt.Sprintf("| `%s` | `%s` | %s |\n", column, kind, strings.ReplaceAll(comment, "|", `\|`))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "tables.md")
	if *update {
		if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored) != document {
		t.Error("docs/tables.md is not what the migrations make: run with -update")
	}
}
