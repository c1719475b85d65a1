package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/webhook"
	"github.com/throng/throng/streams"
)

type webhooksCommand struct {
	NATS     natsURL        `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	URL      webURL         `name:"url" help:"Where events are POSTed." required:"" placeholder:"URL"`
	Secret   secret         `help:"Signs what is sent." placeholder:"SECRET"`
	Name     streams.Device `help:"What the progress is kept under; two names are two receivers of everything." default:"default" placeholder:"NAME"`
	Deadline lifetime       `help:"How long the receiver may take for a batch." default:"10s" placeholder:"DURATION"`
}

// Run sends every event from now on, or from where the name had come.
func (c *webhooksCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "webhooks", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	w := webhook.New(webhook.Config{
		JS: l.js, Partitions: l.deployment.Partitions, URL: string(c.URL), Secret: []byte(c.Secret), Name: string(c.Name),
		Deadline: time.Duration(c.Deadline), Logger: p.logger, Registerer: newRegistry(),
	})
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return w.Run(ctx) })
	p.logger.Info("webhooks run", "name", c.Name)
	return tasks.Wait()
}
