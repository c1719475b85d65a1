//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine"
)

const (
	jwtSecret = "a secret of the fault driver, 32 bytes or more"
	database  = "faults"
)

// deployment is every process of one run.
type deployment struct {
	dir         string
	cancel      context.CancelFunc // ends the life of the processes
	nats        []*process
	monitors    []string // of the nats nodes, http://host:port
	services    []*process
	edges       []*process
	listen      []string // of the edges, host:port
	projections *process
	engine      *engine.Engine
	engineEnded chan error // holds one

	links links

	conn *nats.Conn // the driver's own, over all nodes and no link
	js   jetstream.JetStream
	db   *clickhouse.DB
}

// freePort is below those the system gives to outgoing connections: while a
// server is down its clients dial all the time, and one would take the port.
func freePort() (int, error) {
	for range 100 {
		port := 12000 + rand.IntN(8000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, errors.New("no free port")
}

func freePorts(count int) (ports []int, err error) {
	seen := map[int]bool{}
	for len(ports) < count {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		if !seen[port] {
			seen[port] = true
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// natsConfig tells nobody other ways than the links: neither clients, of other
// nodes, nor nodes, of each other.
const natsConfig = `server_name: %s
listen: "127.0.0.1:%d"
http: "127.0.0.1:%d"
max_payload: 1MB
jetstream {
  store_dir: %q
  max_mem: 256MB
  max_file: 4GB
  %s
}
cluster {
  name: faults
  listen: "127.0.0.1:%d"
  advertise: "127.0.0.1:1"
  no_advertise: true
  routes: [ %s ]
}
`

// begin starts everything and returns when all of it is ready, or starting
// ends. What it started runs until stop, to be called whatever it returned.
func begin(starting, life context.Context, c Config, dir, store string) (d *deployment, err error) {
	d = &deployment{dir: dir, links: links{all: map[string]*link{}}}
	life, d.cancel = context.WithCancel(life)
	ctx := starting
	ports, err := freePorts(3*nodes + 2)
	if err != nil {
		return d, err
	}
	urls, err := d.startNATS(ctx, life, c, store, ports)
	if err != nil {
		return d, err
	}
	dsn, err := d.startEngine(ctx, life)
	if err != nil {
		return d, err
	}
	if err := d.provision(ctx, c, urls, dsn); err != nil {
		return d, err
	}
	if err := d.parts(c, ports, dsn); err != nil {
		return d, err
	}
	for _, p := range append(append([]*process{d.projections}, d.services...), d.edges...) {
		if err := p.start(life); err != nil {
			return d, err
		}
	}
	for _, listen := range d.listen {
		if err := until(ctx, "edge is ready", func() bool { return answers(ctx, "http://"+listen+"/readyz") }); err != nil {
			return d, err
		}
	}
	return d, nil
}

// parts makes the processes of the product, each with links of its own.
func (d *deployment) parts(c Config, ports []int, dsn string) error {
	var off Control
	if c.Control != nil {
		off = *c.Control
	}
	clients := make([]int, nodes)
	for i := range clients {
		clients[i] = ports[3*i]
	}
	urls, err := d.links.client("projections-0", clients)
	if err != nil {
		return err
	}
	linked, err := d.links.make("projections-0", "clickhouse", d.engine.Addr())
	if err != nil {
		return err
	}
	dsn = strings.Replace(dsn, d.engine.Addr(), linked, 1)
	d.projections = newProcess(d.dir, "projections-0", c.Throng, "projections", "--nats", urls, "--clickhouse", dsn)
	for i := range 2 {
		name := fmt.Sprintf("services-%d", i)
		if urls, err = d.links.client(name, clients); err != nil {
			return err
		}
		d.services = append(d.services, newProcess(d.dir, name, c.Throng, append([]string{"services", "--nats", urls}, off.ServicesFlags...)...))
	}
	for i := range 2 {
		name := fmt.Sprintf("edge-%d", i)
		if urls, err = d.links.client(name, clients); err != nil {
			return err
		}
		listen := fmt.Sprintf("127.0.0.1:%d", ports[3*nodes+i])
		d.listen = append(d.listen, listen)
		// The driver's few users are many: it is no rate limit that is tested here.
		unlimited := []string{"--connection-rate", "0", "--user-rate", "0", "--group-rate", "0", "--user-connections", "0"}
		args := slices.Concat([]string{"edge", "--nats", urls, "--listen", listen, "--jwt-secret", jwtSecret}, unlimited, off.EdgeFlags)
		if i == 1 {
			args = append(args, "--ring-events", fmt.Sprint(smallRing)) // who is slow falls out of it
		}
		d.edges = append(d.edges, newProcess(d.dir, name, c.Throng, args...))
	}
	return nil
}

// startNATS starts the nodes and returns their URLs.
func (d *deployment) startNATS(ctx, life context.Context, c Config, store string, ports []int) (urls string, err error) {
	var clients []string
	for i := range nodes {
		clients = append(clients, fmt.Sprintf("nats://127.0.0.1:%d", ports[3*i]))
		d.monitors = append(d.monitors, fmt.Sprintf("http://127.0.0.1:%d", ports[3*i+1]))
	}
	durable := "sync_interval: always"
	if c.LazySync {
		durable = ""
	}
	for i := range nodes {
		name := fmt.Sprintf("nats-%d", i)
		path := filepath.Join(d.dir, name+".conf")
		var routes []string
		for j := range nodes {
			if j == i {
				continue
			}
			address, err := d.links.make(name, fmt.Sprintf("nats-%d", j), fmt.Sprintf("127.0.0.1:%d", ports[3*j+2]))
			if err != nil {
				return "", err
			}
			routes = append(routes, fmt.Sprintf("\"nats://%s\"", address))
		}
		text := fmt.Sprintf(natsConfig, name, ports[3*i], ports[3*i+1], filepath.Join(store, name), durable, ports[3*i+2], strings.Join(routes, ", "))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		p := newProcess(d.dir, name, c.NATSServer, "-c", path)
		d.nats = append(d.nats, p)
		if err := p.start(life); err != nil {
			return "", err
		}
	}
	urls = strings.Join(clients, ",")
	if err := until(ctx, "nats is ready", func() bool { return d.healthy(ctx, -1) }); err != nil {
		return "", err
	}
	if d.conn, err = nats.Connect(urls, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond)); err != nil {
		return "", err
	}
	if d.js, err = jetstream.New(d.conn); err != nil {
		return "", err
	}
	return urls, until(ctx, "jetstream is ready", func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := d.js.AccountInfo(ctx)
		return err == nil
	})
}

// healthy reports whether all nodes but one say that they are.
func (d *deployment) healthy(ctx context.Context, but int) bool {
	for i, monitor := range d.monitors {
		if i != but && !answers(ctx, monitor+"/healthz") {
			return false
		}
	}
	return true
}

// startEngine starts ClickHouse and returns its DSN.
func (d *deployment) startEngine(ctx, life context.Context) (dsn string, err error) {
	lib, err := engine.Fetch(ctx, engine.FetchConfig{Progress: os.Stderr})
	if err != nil {
		return "", err
	}
	d.engine, err = engine.New(engine.Config{LibPath: lib, DataDir: filepath.Join(d.dir, "clickhouse"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	d.engineEnded = make(chan error, 1)
	go func() { d.engineEnded <- d.engine.Run(life) }() // stop waits for it
	if err := d.engine.WaitReady(ctx); err != nil {
		return "", err
	}
	dsn = d.engine.DSN() + database
	d.db, err = clickhouse.Open(clickhouse.Config{DSN: dsn})
	return dsn, err
}

func (d *deployment) provision(ctx context.Context, c Config, urls, dsn string) error {
	args := []string{"provision", "--nats", urls, "--clickhouse", dsn, "--partitions", fmt.Sprint(partitions), "--replicas", fmt.Sprint(nodes)}
	if !c.LazySync {
		args = append(args, "--sync-always")
	}
	// A cluster that has just started may not have met all its nodes yet.
	var said []byte
	err := until(ctx, "provision", func() bool {
		command := exec.CommandContext(ctx, c.Throng, args...)
		command.Env = environment()
		var err error
		said, err = command.CombinedOutput()
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// answers reports whether a GET is answered with 200.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := plain.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// plain holds no connections: servers come and go here.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// processes are all but the engine.
func (d *deployment) processes() (all []*process) {
	all = append(append(append(all, d.edges...), d.services...), d.nats...)
	if d.projections != nil {
		all = append(all, d.projections)
	}
	return all
}

// stop ends every process.
func (d *deployment) stop() error {
	d.cancel()
	var all sync.WaitGroup
	for _, p := range d.processes() {
		all.Go(p.stop)
	}
	all.Wait()
	d.links.close()
	if d.conn != nil {
		d.conn.Close()
	}
	if d.db != nil {
		_ = d.db.Close()
	}
	if d.engineEnded != nil {
		return <-d.engineEnded
	}
	return nil
}
