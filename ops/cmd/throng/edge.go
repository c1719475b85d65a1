package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/streams/topology"
)

type edgeCommand struct {
	NATS      natsURL  `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	Listen    address  `help:"Address for clients; port 0 picks a free one." default:"127.0.0.1:8081" placeholder:"HOST:PORT"`
	JWTSecret secret   `name:"jwt-secret" help:"Secret of HS256 tokens, 32 bytes or more. Not needed beside a development deployment." placeholder:"SECRET"`
	Origins   []string `help:"Web origins besides the edge's own whose pages may connect, comma-separated." placeholder:"ORIGIN"`
}

func (c *edgeCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "edge", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	secret := string(c.JWTSecret)
	if secret == "" {
		if secret, err = developmentSecret(ctx, l); err != nil {
			return err
		}
	}
	node, err := newEdge(l, edgeOptions{listen: c.Listen, secret: secret, origins: c.Origins}, p.logger, newRegistry())
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

// developmentSecret is what signs tokens where nobody configured a secret.
func developmentSecret(ctx context.Context, l *link) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	dev, err := topology.DevMode(ctx, l.js)
	if err != nil {
		return "", err
	}
	if !dev {
		return "", fmt.Errorf("%w: --jwt-secret is needed: this deployment is not in development mode", errUsage)
	}
	return topology.DevSecret(ctx, l.js)
}

type edgeOptions struct {
	listen  address
	secret  string
	origins []string
	demo    http.Handler // nil for none
}

func newEdge(l *link, o edgeOptions, logger *slog.Logger, registry *prometheus.Registry) (*edge.Edge, error) {
	return edge.New(edge.Config{
		Conn: l.conn, JS: l.js, Deployment: l.deployment, Logger: logger,
		Listen: string(o.listen), JWTSecret: []byte(o.secret), Origins: o.origins,
		Demo: o.demo, Registerer: registry, Gatherer: registry, Version: version,
	})
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

var errNotReady = errors.New("not ready")
