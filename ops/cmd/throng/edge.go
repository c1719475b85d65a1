package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/owner"
)

type edgeCommand struct {
	NATS   natsURL `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	Listen address `help:"Address for clients; port 0 picks a free one." default:"127.0.0.1:8081" placeholder:"HOST:PORT"`
	authFlags
	limitFlags
	hookFlags
	Origins    []string `help:"Web origins besides the edge's own whose pages may connect, comma-separated." placeholder:"ORIGIN"`
	RingEvents int      `hidden:"" help:"Events a channel keeps in memory: only for tests of what falls out of it."`

	UnsafeWithoutContiguity bool `hidden:"" help:"Deliver what comes without looking for what lies before it: only for showing that a test notices."`
}

func (c *edgeCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "edge", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	who, err := c.credentials(ctx, l, p.logger)
	if err != nil {
		return err
	}
	registry := newRegistry()
	dev, err := inDevelopment(ctx, l)
	if err != nil {
		return err
	}
	judge, err := c.hook(l, p.logger, registry)
	if err != nil {
		return err
	}
	node, err := newEdge(l, edgeOptions{
		listen: c.Listen, who: who, origins: c.Origins, limits: c.limits(dev), hook: judge,
		ringEvents: c.RingEvents, withoutContiguity: c.UnsafeWithoutContiguity,
	}, p.logger, registry)
	if err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return node.Run(ctx) })
	tasks.Go(func() error {
		select {
		case <-node.Listening():
			p.logger.Info("edge runs", "address", node.Addr().String())
		case <-ctx.Done():
		}
		return nil
	})
	return tasks.Wait()
}

type edgeOptions struct {
	listen  address
	who     credentials
	origins []string
	limits  limit.Limits
	hook    *hook.Hook   // nil for none
	demo    http.Handler // nil for none
	local   owner.Local  // nil where services are other processes

	ringEvents        int // 0 for the default
	withoutContiguity bool
}

func newEdge(l *link, o edgeOptions, logger *slog.Logger, registry *prometheus.Registry) (*edge.Edge, error) {
	return edge.New(edge.Config{
		Conn: l.conn, JS: l.js, Deployment: l.deployment, Logger: logger,
		Listen: string(o.listen), JWTSecret: []byte(o.who.secret), Keys: o.who.keys, Origins: o.origins,
		RingEvents: o.ringEvents, WithoutContiguity: o.withoutContiguity, Local: o.local,
		Limits: o.limits, Hook: o.hook, Demo: o.demo, Registerer: registry, Gatherer: registry, Version: version,
	})
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

var errNotReady = errors.New("not ready")
