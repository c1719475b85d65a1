package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

type doctorCommand struct {
	NATS       natsURL  `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse dsn      `name:"clickhouse" help:"ClickHouse's native protocol; without it only what the projections say of it is looked at." placeholder:"DSN"`
	Monitor    []string `help:"Monitoring addresses of the NATS servers (http://host:8222), comma-separated: only there can be seen whether they sync each write." placeholder:"URL"`
}

// finding is one thing that was looked at.
type finding struct {
	level string // ok, warn or fail
	what  string
	mend  string // what to do about it
}

var errSick = errors.New("this deployment has problems")

func (c *doctorCommand) Run(ctx context.Context, p *program) error {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	var findings []finding
	conn, js, err := connect(c.NATS, "doctor", p.logger)
	if err != nil {
		findings = append(findings, finding{"fail", err.Error(), "start NATS, or give its address with --nats"})
	} else {
		defer conn.Close()
		d := doctor{conn: conn, js: js, stored: c.stored(ctx), http: &http.Client{Timeout: 5 * time.Second}}
		d.examine(ctx, c.Monitor)
		findings = d.findings
	}
	findings = append(findings, c.tables(ctx)...)
	return reportFindings(p.stdout, findings)
}

func reportFindings(w io.Writer, findings []finding) error {
	sick := false
	for _, f := range findings {
		_, _ = fmt.Fprintf(w, "%-4s  %s\n", f.level, f.what)
		if f.mend != "" {
			_, _ = fmt.Fprintf(w, "      → %s\n", f.mend)
		}
		sick = sick || f.level == "fail"
	}
	if sick {
		return errSick
	}
	return nil
}

// doctor looks at one deployment.
type doctor struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	http     *http.Client
	stored   map[streams.Partition]history.Head // what ClickHouse has; nil if unknown
	findings []finding
}

func (d *doctor) ok(format string, args ...any) {
	d.findings = append(d.findings, finding{"ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(mend, format string, args ...any) {
	d.findings = append(d.findings, finding{"warn", fmt.Sprintf(format, args...), mend})
}

func (d *doctor) fail(mend, format string, args ...any) {
	d.findings = append(d.findings, finding{"fail", fmt.Sprintf(format, args...), mend})
}

func (d *doctor) examine(ctx context.Context, monitors []string) {
	d.server()
	deployment, err := topology.Load(ctx, d.js)
	if err != nil {
		d.fail("run throng provision", "the deployment can't be read: %v", err)
		return
	}
	d.ok("deployment: %d partitions, %d replicas", deployment.Partitions, deployment.Replicas)
	if changes, err := topology.Provision(ctx, d.js, deployment, true); errors.Is(err, topology.ErrLogLost) {
		d.ok("buckets are as provisioned; of streams see below")
	} else if err != nil {
		d.fail("run throng provision", "streams can't be compared: %v", err)
	} else if len(changes) > 0 {
		d.fail("run throng provision", "streams are not as provisioned: %v", changes)
	} else {
		d.ok("streams and buckets are as provisioned")
	}
	d.durability(deployment, monitors)
	d.disks(deployment, monitors)
	for partition := range streams.Partition(deployment.Partitions) {
		d.partition(ctx, partition, deployment)
	}
	d.projections(ctx)
	if dev, err := topology.DevMode(ctx, d.js); err == nil && dev {
		d.warn("start the edges with --jwt-secret in production", "development mode: dev:<user> is a token")
	}
}

// minServer has the fixes this project stands on; see the releases of nats-server.
const minServer = "2.14.3"

func (d *doctor) server() {
	have := d.conn.ConnectedServerVersion()
	if older(have, minServer) {
		d.fail("upgrade to "+minServer+" or newer", "nats-server %s at %s is too old", have, d.conn.ConnectedUrl())
	} else {
		d.ok("nats-server %s at %s", have, d.conn.ConnectedUrl())
	}
	// A batch of the largest bodies must fit a message.
	if need := int64(1 << 20); d.conn.MaxPayload() < need {
		d.fail("set max_payload to 1MB or more", "nats max_payload is %d bytes", d.conn.MaxPayload())
	}
}

// older compares versions of the form 1.2.3, with or without a suffix.
func older(have, least string) bool {
	a, b := numbersOf(have), numbersOf(least)
	for i := range b {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func numbersOf(version string) (n [3]int) {
	version, _, _ = strings.Cut(version, "-")
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part) // what is no number counts as 0: too old
	}
	return n
}

// partition checks that its owner appends and that there is room.
func (d *doctor) partition(ctx context.Context, p streams.Partition, deployment topology.Deployment) {
	const repair = "restore the newest backup if the log is not there, then run throng repair --dry-run and throng repair"
	end, err := endOf(ctx, d.conn, d.js, p, d.stored[p].Seq)
	if how := end.lost(); err == nil && how != "" {
		d.fail(repair, "partition %d: %s", p, how)
		return
	}
	stream, err := d.js.Stream(ctx, streams.LogStream(p))
	if err != nil {
		d.fail("run throng provision", "partition %d: %v", p, err)
		return
	}
	info := stream.CachedInfo()
	if cluster := info.Cluster; cluster != nil {
		for _, replica := range cluster.Replicas {
			if replica.Offline || !replica.Current {
				d.warn("look at that NATS server", "partition %d: the copy on %s is behind", p, replica.Name)
			}
		}
	}
	if limit := deployment.MaxLogBytes; limit > 0 && info.State.Bytes > uint64(limit)/10*8 {
		d.warn("raise --max-log-bytes, or see why projections lag", "partition %d: the log has %d of %d bytes; when it is full senders get unavailable", p, info.State.Bytes, limit)
	}
	d.stream(info, deployment)
	if err := canary(ctx, d.conn, p); err != nil {
		d.fail("run throng services", "partition %d has no owner that appends: %v", p, err)
		return
	}
	d.ok("partition %d: an append came through; %d events kept, %d bytes", p, info.State.Msgs, info.State.Bytes)
}

func (d *doctor) projections(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	msg, err := d.conn.RequestWithContext(ctx, streams.QueryHealth, nil)
	if err != nil {
		d.fail("run throng projections", "no projections answer: %v", err)
		return
	}
	var health struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		Lag   uint64 `json:"lag"`
	}
	switch err := json.Unmarshal(msg.Data, &health); {
	case err != nil:
		d.fail("run one version of everything", "the projections' answer can't be read: %v", err)
	case !health.OK:
		d.fail("look at ClickHouse; nothing is lost, projections catch up", "the projections can't reach ClickHouse: %s", health.Error)
	default:
		d.ok("projections: %d log entries behind", health.Lag)
	}
}

// stored is how far ClickHouse has the logs, nil where that can't be told; why
// is told by tables.
func (c *doctorCommand) stored(ctx context.Context) map[streams.Partition]history.Head {
	if c.ClickHouse == "" {
		return nil
	}
	db, err := clickhouse.Open(clickhouse.Config{DSN: string(c.ClickHouse)})
	if err != nil {
		return nil
	}
	defer func() { _ = db.Close() }()
	heads, err := history.NewSink(db).Heads(ctx)
	if err != nil {
		return nil
	}
	return heads
}

// tables looks at ClickHouse itself.
func (c *doctorCommand) tables(ctx context.Context) []finding {
	if c.ClickHouse == "" {
		return nil
	}
	db, err := clickhouse.Open(clickhouse.Config{DSN: string(c.ClickHouse)})
	if err != nil {
		return []finding{{"fail", err.Error(), ""}}
	}
	defer func() { _ = db.Close() }()
	pending, err := db.Pending(ctx)
	switch {
	case err != nil:
		return []finding{{"fail", "clickhouse: " + err.Error(), "start it, or give its DSN with --clickhouse"}}
	case len(pending) > 0:
		return []finding{{"fail", fmt.Sprintf("clickhouse: migrations are missing: %v", pending), "run throng provision with --clickhouse"}}
	}
	return []finding{{"ok", "clickhouse: the tables are current", ""}}
}
