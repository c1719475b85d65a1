package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/throng/throng/clients/demo"
	"github.com/throng/throng/edge/webhook"
	"github.com/throng/throng/projections/engine"
	"github.com/throng/throng/streams/localnats"
	"github.com/throng/throng/streams/topology"
)

type devCommand struct {
	authFlags
	limitFlags
	hookFlags
	Listen           address `help:"Address for clients; port 0 picks a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Data             string  `help:"Folder for everything that is kept." default:"./throng-data" placeholder:"DIR"`
	NATSListen       address `name:"nats-listen" help:"Address of the NATS server run here." default:"127.0.0.1:4222" placeholder:"HOST:PORT"`
	ClickHouseListen address `name:"clickhouse-listen" help:"Loopback address of the ClickHouse engine run here." default:"127.0.0.1:9000" placeholder:"HOST:PORT"`
	ClickHouse       dsn     `name:"clickhouse" help:"Use this ClickHouse instead of running one." placeholder:"DSN"`
	NATS             natsURL `name:"nats" help:"Use this NATS instead of running one." placeholder:"URL"`
	Partitions       spread  `help:"Partitions of the log, fixed at the first start." default:"4"`
	WebhookURL       webURL  `name:"webhook-url" help:"POST every event here." placeholder:"URL"`
	WebhookSecret    secret  `name:"webhook-secret" help:"Signs what is POSTed." placeholder:"SECRET"`
	unprotected
	Cache string `help:"Folder for what is downloaded once. Default: throng in the user's cache folder." placeholder:"DIR"`
}

// Run puts the parts on top of each other:
//
//	demo page · edge
//	projections
//	services
//	ClickHouse engine (a child process)
//	nats-server
func (c *devCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	// Two servers on one store would destroy it.
	lock := flock.New(filepath.Join(c.Data, "lock"))
	switch held, err := lock.TryLock(); {
	case err != nil:
		return fmt.Errorf("lock data folder %s: %w", c.Data, err)
	case !held:
		return fmt.Errorf("the data folder %s is in use by another process", c.Data)
	}
	defer func() { _ = lock.Unlock() }()
	clickhouseDSN := string(c.ClickHouse)
	var lib string
	if clickhouseDSN == "" {
		// Before anything listens: a first start downloads for a while.
		if lib, err = engine.Fetch(ctx, engine.FetchConfig{CacheDir: c.Cache, Progress: p.stderr}); err != nil {
			return fmt.Errorf("fetch the ClickHouse engine: %w", err)
		}
		started = time.Now()
	}
	if c.NATS == "" {
		server, err := localnats.Start(localnats.Config{
			DataDir: filepath.Join(c.Data, "nats"), Listen: string(c.NATSListen), Logger: p.logger,
		})
		if err != nil {
			return err
		}
		defer server.Stop()
		c.NATS = natsURL(server.URL())
	}
	parts := newStack(p.logger)
	defer func() {
		if stopping := parts.stop(); err == nil {
			err = stopping
		}
	}()
	if clickhouseDSN == "" {
		child, err := engine.New(engine.Config{
			LibPath: lib, DataDir: filepath.Join(c.Data, "clickhouse"), Listen: string(c.ClickHouseListen), Logger: p.logger,
		})
		if err != nil {
			return err
		}
		parts.start("clickhouse", child.Run)
		clickhouseDSN = child.DSN() + "throng"
		// It is there in a fraction of a second; who came before would find
		// nobody and pause.
		if err := child.WaitReady(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("clickhouse: %w", err)
		}
	}
	if err := c.provision(ctx, p.logger); err != nil {
		return err
	}
	address, err := c.startParts(ctx, p, parts, clickhouseDSN)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, parts, "http://"+address+"/readyz"); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	welcome{address: address, nats: string(c.NATS), clickhouse: clickhouseDSN, dev: !c.given(), elapsed: time.Since(started)}.print(p.stdout)
	return parts.wait(ctx)
}

// provision makes the deployment, and stores for every part joined to this NATS
// whether names are tokens.
func (c *devCommand) provision(ctx context.Context, logger *slog.Logger) error {
	conn, js, err := connect(c.NATS, "dev", logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if errors.Is(err, topology.ErrNotProvisioned) {
		deployment, err = topology.Deployment{Partitions: uint32(c.Partitions), Replicas: 1}, nil
	}
	if err != nil {
		return fmt.Errorf("read the deployment: %w", err)
	}
	if _, err := topology.Provision(ctx, js, deployment, false); err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	if err := topology.SetDevMode(ctx, js, !c.given()); err != nil {
		return fmt.Errorf("set development mode: %w", err)
	}
	return nil
}

// startParts starts what stands on NATS and ClickHouse and returns the edge's
// address.
func (c *devCommand) startParts(ctx context.Context, p *program, parts *stack, clickhouseDSN string) (address string, err error) {
	registry := newRegistry()
	links := map[string]*link{}
	for _, name := range []string{"services", "projections", "edge"} {
		// A connection each, as if they were processes of their own.
		if links[name], err = join(ctx, c.NATS, name, p.logger); err != nil {
			return "", err
		}
	}
	service, err := newServices(links["services"], p.logger, registry, c.unprotected)
	if err != nil {
		return "", err
	}
	projector, err := newProjector(links["projections"], clickhouseDSN, p.logger, registry)
	if err != nil {
		return "", err
	}
	who, err := c.credentials(ctx, links["edge"], p.logger)
	if err != nil {
		return "", err
	}
	judge, err := c.hook(links["edge"], p.logger, registry)
	if err != nil {
		return "", err
	}
	node, err := newEdge(links["edge"], edgeOptions{
		listen: c.Listen, who: who, demo: demo.Handler(), limits: c.limits(true), hook: judge,
		local: service.Take,
	}, p.logger, registry)
	if err != nil {
		return "", err
	}
	if c.WebhookURL != "" {
		w := webhook.New(webhook.Config{
			JS: links["edge"].js, Partitions: links["edge"].deployment.Partitions, URL: string(c.WebhookURL), Secret: []byte(c.WebhookSecret),
			Logger: p.logger, Registerer: registry,
		})
		parts.start("webhooks", w.Run)
	}
	parts.start("services", closing(links["services"], service.Run))
	parts.start("projections", closing(links["projections"], projector.Run))
	parts.start("edge", closing(links["edge"], node.Run))
	select {
	case <-node.Listening():
		return node.Addr().String(), nil
	case err := <-parts.failed:
		return "", err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// closing ends a part's connection after the part.
func closing(l *link, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		defer l.conn.Close()
		return run(ctx)
	}
}

// readyWithin is how long `dev` may take until all its parts work.
const readyWithin = 2 * time.Minute

// waitReady polls until url answers 200.
func waitReady(ctx context.Context, parts *stack, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	last := errNotReady
	for {
		select {
		case <-tick.C:
		case err := <-parts.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", readyWithin, last)
		}
		if last = ready(ctx, url); last == nil {
			return nil
		}
	}
}

func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errNotReady, answer.Status)
	}
	return nil
}
