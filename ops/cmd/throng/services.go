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
}

func (c *servicesCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "services", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	service, err := newServices(l, p.logger, prometheus.NewRegistry(), false)
	if err != nil {
		return err
	}
	p.logger.Info("services run", "partitions", l.deployment.Partitions)
	return service.Run(ctx)
}

func newServices(l *link, logger *slog.Logger, registerer prometheus.Registerer, withoutDedup bool) (*command.Service, error) {
	return command.New(command.Config{
		Conn: l.conn, JS: l.js, Deployment: l.deployment, Instance: instance(), Version: version,
		Logger: logger, Metrics: sequencer.NewMetrics(registerer),
		WithoutDedup: withoutDedup,
	})
}
