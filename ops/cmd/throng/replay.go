package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throng/throng/ops/past"
	"github.com/throng/throng/streams"
)

type replayCommand struct {
	Group      streams.Group `arg:"" help:"The group to copy."`
	As         streams.Group `help:"Name of the copy. Default: the group's own, in another deployment." placeholder:"GROUP"`
	Seq        count         `help:"Copy up to this sequence; 0 for all." default:"0"`
	Resume     bool          `help:"Go on with a copy that was broken off."`
	NATS       natsURL       `name:"nats" help:"NATS servers of the group, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse dsn           `name:"clickhouse" help:"Where what was purged from the log is read." placeholder:"DSN"`
	To         natsURL       `name:"to" help:"NATS servers of the copy. Default: the same." placeholder:"URL"`
}

// Run copies a group's history, for staging or to study an incident.
func (c *replayCommand) Run(ctx context.Context, p *program) error {
	to, as := c.To, c.As
	if to == "" {
		to = c.NATS
	}
	if as == "" {
		as = c.Group
	}
	if to == c.NATS && as == c.Group {
		return fmt.Errorf("%w: the copy needs another name (--as) or another deployment (--to)", errUsage)
	}
	here, err := join(ctx, c.NATS, "replay", p.logger)
	if err != nil {
		return err
	}
	defer here.conn.Close()
	there, err := join(ctx, to, "replay", p.logger)
	if err != nil {
		return err
	}
	defer there.conn.Close()
	from, done, err := source(here, c.ClickHouse)
	if err != nil {
		return err
	}
	defer done()
	started, told := time.Now(), time.Now()
	copied, err := past.Copy(ctx, from, c.Group, streams.Seq(c.Seq), past.Target{
		Conn: there.conn, Partitions: there.deployment.Partitions, Group: as, Resume: c.Resume,
	}, func(so past.Copied) {
		if time.Since(told) > time.Second {
			told = time.Now()
			_, _ = fmt.Fprintf(p.stderr, "%d events\n", so.Events)
		}
	})
	if errors.Is(err, past.ErrExists) {
		return fmt.Errorf("%w; --resume goes on with a copy that was broken off", err)
	}
	if err != nil {
		return err
	}
	if copied.Events == 0 {
		return fmt.Errorf("there is no group %s", c.Group)
	}
	_, err = fmt.Fprintf(p.stdout, "%d events of %s are in %s, %d of them were there, in %.1f s\n",
		copied.Events, c.Group, as, copied.Present, time.Since(started).Seconds())
	return err
}
