package clickhouse

import (
	"context"
	"errors"
	"fmt"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// ErrNoDatabase: ClickHouse is there and the database of the DSN is not.
// [DB.Migrate] creates it.
var ErrNoDatabase = errors.New("the database does not exist: migrate first")

// find returns the connections once the database exists, or [ErrNoDatabase].
// No connection names a database before it was found: the engine of `throng
// dev` answers such a connection properly and then aborts.
func (db *DB) find(ctx context.Context) (driver.Conn, error) {
	db.mu.Lock()
	pool := db.pool
	db.mu.Unlock()
	if pool != nil {
		return pool, nil
	}
	err := db.maintain(func(conn driver.Conn) error {
		var found uint64
		row := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {name:String}", driver.Named("name", db.Database()))
		err := row.Scan(&found)
		switch {
		case Answered(err):
			return nil // a user may have a database and no right to look beyond it
		case err != nil:
			return fmt.Errorf("look for database %s: %w", db.Database(), err)
		case found == 0:
			return fmt.Errorf("database %s: %w", db.Database(), ErrNoDatabase)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, errors.New("clickhouse: the connections were closed")
	}
	if db.pool == nil {
		if db.pool, err = driver.Open(db.options); err != nil {
			return nil, fmt.Errorf("clickhouse: %w", err)
		}
	}
	return db.pool, nil
}

// create makes the database if it is missing.
func (db *DB) create(ctx context.Context) error {
	if _, err := db.find(ctx); !errors.Is(err, ErrNoDatabase) {
		return err
	}
	return db.maintain(func(conn driver.Conn) error {
		if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quoteName(db.Database())); err != nil {
			return fmt.Errorf("create database %s: %w", db.Database(), err)
		}
		return nil
	})
}

// maintain lends a connection to the maintenance database.
func (db *DB) maintain(use func(driver.Conn) error) (err error) {
	options := *db.options
	options.Auth.Database = maintenanceDatabase
	options.MaxOpenConns, options.MaxIdleConns = 1, 1
	conn, err := driver.Open(&options)
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return use(conn)
}
