package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/projections"
)

type projectionsCommand struct {
	NATS       natsURL `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse dsn     `name:"clickhouse" help:"ClickHouse's native protocol." default:"clickhouse://default@127.0.0.1:9000/throng" placeholder:"DSN"`
}

func (c *projectionsCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "projections", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	projector, err := newProjector(l, string(c.ClickHouse), p.logger, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	p.logger.Info("projections run", "partitions", l.deployment.Partitions)
	return projector.Run(ctx)
}

func newProjector(l *link, dsn string, logger *slog.Logger, registerer prometheus.Registerer) (*projections.Projector, error) {
	return projections.New(projections.Config{
		Conn: l.conn, Partitions: l.deployment.Partitions, DSN: dsn, Logger: logger, Registerer: registerer,
	})
}
