package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

const (
	defaultDatabase = "throng"
	defaultConns    = 4
	defaultDial     = 5 * time.Second
	// maintenanceDatabase exists on every server; from there the database of
	// the DSN is looked for and created.
	maintenanceDatabase = "default"
)

// Config says where ClickHouse is and how patiently to ask it.
type Config struct {
	// DSN is clickhouse://user:password@host:port/database?setting=value.
	// Several hosts, comma-separated, are tried in order. Without a database
	// it is «throng». Required.
	DSN string
	// Conns is the most connections held at once; a call beyond waits for one.
	// 0 means 4.
	Conns int
	// DialTimeout is the longest wait for a connection, made or free. 0 means 5 s.
	DialTimeout time.Duration
	// MaxExecution is how long the server works on one query before it breaks
	// it off, in whole seconds. 0 means as long as the server is configured for.
	MaxExecution time.Duration
}

// DB is one ClickHouse database. Its methods may be called from any goroutine.
type DB struct {
	options *driver.Options // static

	mu     sync.Mutex  // not held over the network
	pool   driver.Conn // nil until the database was found; the driver's pool has a goroutine
	closed bool
}

// UUID is a value of a UUID column.
type UUID = uuid.UUID

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Open prepares a database; it touches no network and starts nothing.
func Open(config Config) (*DB, error) {
	options, err := driver.ParseDSN(config.DSN)
	if err != nil {
		return nil, fmt.Errorf("clickhouse DSN: %w", err)
	}
	if options.Auth.Database == "" {
		options.Auth.Database = defaultDatabase
	}
	if !databaseName.MatchString(options.Auth.Database) {
		return nil, errors.New("clickhouse DSN: the database's name must be 1 to 128 of A-Z a-z 0-9 _")
	}
	if options.Protocol != driver.Native {
		return nil, errors.New("clickhouse DSN: only the native protocol is spoken: clickhouse://host:9000/database")
	}
	if options.Compression == nil {
		options.Compression = &driver.Compression{Method: driver.CompressionLZ4}
	}
	if options.Settings == nil {
		options.Settings = driver.Settings{}
	}
	// 26.7 switches asynchronous inserts on by default: the answer would come
	// before the rows are stored, and the rows are the checkpoint.
	options.Settings["async_insert"] = 0
	// A batch is one block, and one block one part, so it is stored whole or
	// not at all, and the highest seq stored is how far all is stored.
	options.Settings["max_insert_threads"] = 1
	// A batch has no two rows of one key, so there is nothing to fold before it is
	// stored: it cost a third of the server's time.
	options.Settings["optimize_on_insert"] = 0
	if config.MaxExecution > 0 {
		options.Settings["max_execution_time"] = int(max(time.Second, config.MaxExecution) / time.Second)
	}
	options.DialTimeout = defaultDial
	if config.DialTimeout > 0 {
		options.DialTimeout = config.DialTimeout
	}
	options.MaxOpenConns = defaultConns
	if config.Conns > 0 {
		options.MaxOpenConns = config.Conns
	}
	options.MaxIdleConns = options.MaxOpenConns
	return &DB{options: options}, nil
}

// Close closes the connections. What is called later fails.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	if db.pool == nil {
		return nil
	}
	return db.pool.Close()
}

// Database is the name of the database.
func (db *DB) Database() string { return db.options.Auth.Database }

// Ping asks ClickHouse whether it is there, with the database. It returns
// [ErrNoDatabase] if only that is missing.
func (db *DB) Ping(ctx context.Context) error {
	conn, err := db.find(ctx)
	if err != nil {
		return err
	}
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("ping clickhouse: %w", err)
	}
	return nil
}

// Column is a column of rows to insert: Values is a slice as long as the other
// columns', of a type the column takes ([]string or [][]byte for String,
// []uint64 for UInt64, []time.Time, []UUID, [][]string for Array(String)).
type Column struct {
	Name   string
	Values any
}

// Insert stores rows, given by columns, as one block: all of them or none.
// After an error that is not [Answered] they may be there all the same.
func (db *DB) Insert(ctx context.Context, table string, columns []Column) error {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quoteName(c.Name)
	}
	conn, err := db.find(ctx)
	if err != nil {
		return err
	}
	query := "INSERT INTO " + quoteName(table) + " (" + strings.Join(names, ", ") + ")"
	batch, err := conn.PrepareBatch(ctx, query)
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	for i, c := range columns {
		if err := batch.Column(i).Append(c.Values); err != nil {
			_ = batch.Abort()
			return fmt.Errorf("insert into %s: column %s: %w", table, c.Name, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

// Params are the values of a query's {name:Type} places.
type Params map[string]any

// ErrStop ends [DB.Query] early and without an error, when visit returns it.
var ErrStop = errors.New("enough rows")

// Query runs a query and calls visit for each row, which reads it with scan.
func (db *DB) Query(ctx context.Context, query string, params Params, visit func(scan func(dest ...any) error) error) (err error) {
	conn, err := db.find(ctx)
	if err != nil {
		return err
	}
	args := make([]any, 0, len(params))
	for name, value := range params {
		args = append(args, driver.Named(name, value))
	}
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("query clickhouse: %w", err)
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = fmt.Errorf("query clickhouse: %w", closing)
		}
	}()
	for rows.Next() {
		if err := visit(rows.Scan); errors.Is(err, ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("query clickhouse: %w", err)
	}
	return nil
}

// Exec runs a statement without rows.
func (db *DB) Exec(ctx context.Context, statement string) error {
	conn, err := db.find(ctx)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("exec on clickhouse: %w", err)
	}
	return nil
}

// Answered reports whether err is ClickHouse's own answer: it is there, and
// did not do what it was asked.
func Answered(err error) bool {
	var exception *driver.Exception
	return errors.As(err, &exception)
}

// quoteName quotes the name of a table or column. Names come from this
// module's code, never from outside.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
