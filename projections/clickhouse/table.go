package clickhouse

import (
	"context"
	"fmt"
	"reflect"
)

// Table runs a query written by a person and calls visit with the names of its
// columns and then with each row, as text.
func (db *DB) Table(ctx context.Context, query string, visit func(row []string) error) (err error) {
	conn, err := db.find(ctx)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("query clickhouse: %w", err)
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = fmt.Errorf("query clickhouse: %w", closing)
		}
	}()
	types := rows.ColumnTypes()
	cells, values := make([]string, len(types)), make([]any, len(types))
	for i, column := range types {
		cells[i], values[i] = column.Name(), reflect.New(column.ScanType()).Interface()
	}
	if err := visit(cells); err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		for i, value := range values {
			cells[i] = fmt.Sprint(reflect.ValueOf(value).Elem().Interface())
		}
		if err := visit(cells); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("query clickhouse: %w", err)
	}
	return nil
}
