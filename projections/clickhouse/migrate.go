package clickhouse

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable holds which migrations were made.
const versionTable = "throng_migrations"

// Migrate creates the database if it is missing, brings it up to this code's
// tables and returns the names of the migrations it made. Several processes
// may do that at once.
func (db *DB) Migrate(ctx context.Context) ([]string, error) {
	if err := db.create(ctx); err != nil {
		return nil, err
	}
	var made []string
	err := db.withProvider(func(provider *goose.Provider) error {
		results, err := provider.Up(ctx)
		for _, r := range results {
			made = append(made, path.Base(r.Source.Path))
		}
		return err
	})
	if err != nil {
		return made, fmt.Errorf("migrate clickhouse: %w", err)
	}
	return made, nil
}

// Pending returns the names of the migrations that [DB.Migrate] would make,
// and changes nothing.
func (db *DB) Pending(ctx context.Context) ([]string, error) {
	sources, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	made := map[int64]bool{}
	known, err := db.tableExists(ctx, versionTable)
	if err != nil {
		return nil, err
	}
	if known {
		query := "SELECT DISTINCT version_id FROM " + versionTable
		err = db.Query(ctx, query, nil, func(scan func(...any) error) error {
			var version int64
			if err := scan(&version); err != nil {
				return err
			}
			made[version] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var pending []string
	for _, source := range sources {
		version, err := goose.NumericComponent(source)
		if err != nil {
			return nil, err
		}
		if !made[version] {
			pending = append(pending, path.Base(source))
		}
	}
	return pending, nil
}

func (db *DB) tableExists(ctx context.Context, table string) (bool, error) {
	var found uint64
	err := db.Query(ctx, "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {table:String}",
		Params{"database": db.Database(), "table": table},
		func(scan func(...any) error) error { return scan(&found) })
	if errors.Is(err, ErrNoDatabase) {
		return false, nil
	}
	return found > 0, err
}

func (db *DB) withProvider(use func(*goose.Provider) error) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := *db.options
	handle := driver.OpenDB(&options)
	defer func() { err = errors.Join(err, handle.Close()) }()
	provider, err := newProvider(handle, files)
	if err != nil {
		return err
	}
	return use(provider)
}

func newProvider(handle *sql.DB, files fs.FS) (*goose.Provider, error) {
	return goose.NewProvider(database.DialectClickHouse, handle, files,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
}
