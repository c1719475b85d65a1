//go:build linux

package million

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/throng/throng/projections/engine"
)

const (
	secret   = "a secret of the measurement, 32 bytes or more"
	database = "million"
	// startWithin is how long the parts may take to be ready.
	startWithin = time.Minute
)

// natsConfig is a server of its own with files in dir; sync is empty or a line.
const natsConfig = `server_name: million
listen: "127.0.0.1:%d"
http: "127.0.0.1:%d"
jetstream {
  store_dir: %q
  max_mem: 256MB
  max_file: 16GB
  %s
}
`

// deployment is the processes. It has one owner.
type deployment struct {
	Config
	urls, monitor string
	listen        string
	nats, edge    *process
	services      []*process
	projections   *process
	engine        *engine.Engine
	engineEnded   chan error // holds one; nil where there is no engine
}

// begin starts all but ClickHouse and projections, which an import does not
// wait for. What it started runs until stop, to be called whatever it returned.
func begin(ctx context.Context, c Config) (d *deployment, err error) {
	d = &deployment{Config: c}
	var ports [3]int
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return d, err
		}
	}
	d.urls = fmt.Sprintf("nats://127.0.0.1:%d", ports[0])
	d.monitor = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	d.listen = fmt.Sprintf("127.0.0.1:%d", ports[2])
	sync := ""
	if c.SyncAlways {
		sync = "sync_interval: always"
	}
	text := fmt.Sprintf(natsConfig, ports[0], ports[1], filepath.Join(c.Dir, "nats"), sync)
	if err := os.WriteFile(d.natsConfig(), []byte(text), 0o600); err != nil {
		return d, err
	}
	if err := d.startNATS(ctx); err != nil {
		return d, err
	}
	// One partition: whoever serves it is the owner of the group.
	args := []string{"provision", "--nats", d.urls, "--partitions", "1"}
	if c.SyncAlways {
		args = append(args, "--sync-always")
	}
	if err := d.once(ctx, args...); err != nil {
		return d, err
	}
	if err := d.startServices(); err != nil {
		return d, err
	}
	d.edge, err = start(c.Dir, "edge", c.Throng, "edge", "--nats", d.urls, "--listen", d.listen, "--jwt-secret", secret,
		"--connection-rate", "0", "--user-rate", "0", "--group-rate", "0")
	if err != nil {
		return d, err
	}
	return d, until(ctx, "the edge listens", 20*time.Millisecond, func() bool { return answers(ctx, "http://"+d.listen+"/healthz") })
}

func (d *deployment) natsConfig() string { return filepath.Join(d.Dir, "nats.conf") }

func (d *deployment) startNATS(ctx context.Context) (err error) {
	if d.nats, err = start(d.Dir, "nats", d.NATSServer, "-c", d.natsConfig()); err != nil {
		return err
	}
	return until(ctx, "nats is ready", 5*time.Millisecond, func() bool { return answers(ctx, d.monitor+"/healthz") })
}

// startServices starts one more instance.
func (d *deployment) startServices() error {
	p, err := start(d.Dir, fmt.Sprintf("services-%d", len(d.services)), d.Throng, "services", "--nats", d.urls)
	if err == nil {
		d.services = append(d.services, p)
	}
	return err
}

// owner is the oldest instance that runs: with one partition it stays with
// whoever has it.
func (d *deployment) owner() *process { return d.services[0] }

// killOwner ends it as kill -9 does.
func (d *deployment) killOwner() {
	d.owner().kill()
	d.services = d.services[1:]
}

// once runs a command of the program to its end.
func (d *deployment) once(ctx context.Context, args ...string) error {
	said, err := exec.CommandContext(ctx, d.Throng, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", args[0], err, said)
	}
	return nil
}

// project starts ClickHouse and the projections.
func (d *deployment) project(ctx context.Context) error {
	lib, err := engine.Fetch(ctx, engine.FetchConfig{Progress: os.Stderr})
	if err != nil {
		return err
	}
	d.engine, err = engine.New(engine.Config{LibPath: lib, DataDir: filepath.Join(d.Dir, "clickhouse"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	d.engineEnded = make(chan error, 1)
	go func() { d.engineEnded <- d.engine.Run(ctx) }() // stop waits for it
	if err := d.engine.WaitReady(ctx); err != nil {
		return err
	}
	dsn := d.engine.DSN() + database
	if err := d.once(ctx, "provision", "--nats", d.urls, "--clickhouse", dsn); err != nil {
		return err
	}
	d.projections, err = start(d.Dir, "projections", d.Throng, "projections", "--nats", d.urls, "--clickhouse", dsn)
	return err
}

// stop ends every process; the engine ends with the context it was given.
func (d *deployment) stop() error {
	for _, p := range append([]*process{d.edge, d.projections, d.nats}, d.services...) {
		p.kill()
	}
	if d.engineEnded == nil {
		return nil
	}
	if err := <-d.engineEnded; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
