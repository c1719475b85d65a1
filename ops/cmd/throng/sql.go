package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/throng/throng/projections/clickhouse"
)

type sqlCommand struct {
	Query      string   `arg:"" help:"The query."`
	ClickHouse dsn      `name:"clickhouse" help:"ClickHouse's native protocol." default:"clickhouse://default@127.0.0.1:9000/throng" placeholder:"DSN"`
	Timeout    lifetime `help:"Longest time the query may take." default:"1m" placeholder:"DURATION"`
}

// Run prints the rows as a table, for people; programs speak to ClickHouse
// itself.
func (c *sqlCommand) Run(ctx context.Context, p *program) error {
	db, err := clickhouse.Open(clickhouse.Config{DSN: string(c.ClickHouse), MaxExecution: time.Duration(c.Timeout)})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	err = db.Table(ctx, c.Query, func(row []string) error {
		for i, cell := range row {
			if i > 0 {
				_, _ = fmt.Fprint(table, "\t")
			}
			_, _ = fmt.Fprint(table, cell)
		}
		_, err := fmt.Fprintln(table)
		return err
	})
	if err != nil {
		return err
	}
	return table.Flush()
}
