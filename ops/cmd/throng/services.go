package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
)

type servicesCommand struct {
	NATS natsURL `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	unprotected
}

// unprotected switches protections off, so that a test can show that it
// notices.
type unprotected struct {
	UnsafeWithoutDedup bool `hidden:"" help:"Switch the duplicate window off: only for showing that a test notices."`
	UnsafeWithoutFence bool `hidden:"" help:"Switch the fence off: only for showing that a test notices."`
}

func (c *servicesCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "services", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	service, err := newServices(l, p.logger, prometheus.NewRegistry(), c.unprotected)
	if err != nil {
		return err
	}
	p.logger.Info("services run", "partitions", l.deployment.Partitions)
	return service.Run(ctx)
}

func newServices(l *link, logger *slog.Logger, registerer prometheus.Registerer, without unprotected) (*command.Service, error) {
	return command.New(command.Config{
		Conn: l.conn, JS: l.js, Deployment: l.deployment, Instance: instance(), Version: version,
		Logger: logger, Metrics: sequencer.NewMetrics(registerer),
		WithoutDedup: without.UnsafeWithoutDedup, WithoutFence: without.UnsafeWithoutFence,
	})
}
