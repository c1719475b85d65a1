package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

type provisionCommand struct {
	NATS        natsURL  `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse  dsn      `name:"clickhouse" help:"ClickHouse's native protocol; without it no tables are made." placeholder:"DSN"`
	Partitions  spread   `help:"Partitions of the log, 1 to 1024. Fixed at the first provisioning. Default: what is there, or 16." placeholder:"COUNT"`
	Replicas    copies   `help:"Copies of each stream: 1, 3 or 5. Default: what is there, or 1." placeholder:"COUNT"`
	SyncAlways  bool     `help:"Say that the NATS servers run with sync_interval: always, which chooses how appends travel."`
	MaxLogBytes size     `help:"Size limit of each partition's log, in bytes; at the limit senders get unavailable. 0 for none." default:"0" placeholder:"BYTES"`
	HotWindow   lifetime `help:"How long events stay in JetStream at least, 30m or more; older ones are purged once ClickHouse has them. Without it they stay for ever." placeholder:"DURATION"`
	Monitor     []string `help:"Monitoring addresses of the NATS servers (http://host:8222), comma-separated: only there can be seen whether they sync each write, and what they may store." placeholder:"URL"`
	AllowLazy   bool     `name:"allow-lazy-sync" help:"Provision although servers were seen not to sync each write: a power cut can lose acknowledged messages."`
	DryRun      bool     `help:"Only show what would change."`
}

func (c *provisionCommand) Run(ctx context.Context, p *program) error {
	conn, js, err := connect(c.NATS, "provision", p.logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if err != nil && !errors.Is(err, topology.ErrNotProvisioned) {
		return err
	}
	deployment.Partitions = pick(uint32(c.Partitions), deployment.Partitions, 16)
	deployment.Replicas = pick(int(c.Replicas), deployment.Replicas, 1)
	deployment.SyncAlways = c.SyncAlways || deployment.SyncAlways
	if c.MaxLogBytes != 0 {
		deployment.MaxLogBytes = int64(c.MaxLogBytes)
	}
	if c.HotWindow != 0 {
		deployment.HotWindow = time.Duration(c.HotWindow)
	}
	if err := c.foundation(ctx, p, conn, js, deployment); err != nil {
		return err
	}
	// Shown first, so that an operator sees what a slow or failing change was.
	changes, err := topology.Provision(ctx, js, deployment, true)
	if err != nil {
		return fmt.Errorf("provision NATS: %w", err)
	}
	for _, change := range changes {
		_, _ = fmt.Fprintln(p.stdout, change)
	}
	if !c.DryRun {
		if _, err := topology.Provision(ctx, js, deployment, false); err != nil {
			return fmt.Errorf("provision NATS: %w", err)
		}
	}
	if err := c.tables(ctx, p); err != nil {
		return fmt.Errorf("provision ClickHouse: %w", err)
	}
	if c.DryRun {
		return nil
	}
	_, err = fmt.Fprintf(p.stdout, "provisioned: %d partitions, %d replicas\n", deployment.Partitions, deployment.Replicas)
	return err
}

// foundation refuses what Throng can't stand on, all of it at once, and warns of
// what it should not.
func (c *provisionCommand) foundation(ctx context.Context, p *program, conn *nats.Conn, js jetstream.JetStream, deployment topology.Deployment) error {
	d := doctor{conn: conn, js: js, http: &http.Client{Timeout: 5 * time.Second}}
	d.server()
	d.disks(deployment, c.Monitor)
	for partition := range streams.Partition(deployment.Partitions) {
		stream, err := js.Stream(ctx, streams.LogStream(partition))
		if err != nil {
			continue // it is made, or what is wrong is said where it is
		}
		d.stream(stream.CachedInfo(), deployment)
	}
	problems := failures(d.findings)
	d.findings = nil
	d.durability(deployment, c.Monitor)
	if deployment.SyncAlways && len(c.Monitor) > 0 && !c.AllowLazy {
		problems = append(problems, failures(d.findings)...) // they were said to sync, and seen not to
	}
	for _, f := range d.findings {
		if f.level != "ok" {
			p.logger.Warn("nats", "problem", f.what, "mend", f.mend)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", errUsage, errors.Join(problems...))
	}
	return nil
}

func failures(findings []finding) (problems []error) {
	for _, f := range findings {
		if f.level == "fail" {
			problems = append(problems, fmt.Errorf("%s: %s", f.what, f.mend))
		}
	}
	return problems
}

// tables shows and makes the missing migrations.
func (c *provisionCommand) tables(ctx context.Context, p *program) error {
	if c.ClickHouse == "" {
		_, err := fmt.Fprintln(p.stdout, "leave ClickHouse alone: no --clickhouse")
		return err
	}
	db, err := clickhouse.Open(clickhouse.Config{DSN: string(c.ClickHouse)})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	find := db.Migrate
	if c.DryRun {
		find = db.Pending
	}
	names, err := find(ctx)
	for _, name := range names {
		_, _ = fmt.Fprintln(p.stdout, "migrate", name)
	}
	return err
}

// pick returns the first that is not 0.
func pick[T int | uint32](values ...T) T {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}
