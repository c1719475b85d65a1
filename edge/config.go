package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/streams/topology"
)

// Config of an [Edge].
type Config struct {
	Conn       *nats.Conn          // required
	JS         jetstream.JetStream // on Conn; required
	Deployment topology.Deployment // as provisioned
	Logger     *slog.Logger        // required
	Version    string              // of the program; semantic, default 0.0.0

	// Listen is where HTTP and WebSockets are taken, host:port, port 0 for a
	// free one. Required.
	Listen string
	// JWTSecret verifies tokens signed with HS256; empty: none is accepted.
	JWTSecret []byte
	// Keys verify tokens signed with RS256, ES256 or EdDSA; nil: none is
	// accepted.
	Keys *token.KeySet
	// DevMode tells whether dev:<user> is a token, asked at most once a
	// second. Default: what is stored in NATS.
	DevMode func(context.Context) (bool, error)
	// Origins may open WebSockets beside the host's own pages, each as
	// scheme://host[:port].
	Origins []string
	// Local is the way to partitions that this process owns itself; nil: all
	// are asked over NATS.
	Local owner.Local
	// Demo is served at /; nil: 404.
	Demo http.Handler

	// Registerer takes the metrics and Gatherer serves them at /metrics.
	// Default: a registry of its own.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer

	// Limits bound how fast clients may ask. The zero value limits nothing.
	Limits limit.Limits

	// Hook is asked before messages are sent; nil for none.
	Hook *hook.Hook

	// RingEvents is how many events a channel keeps in memory. Default 1,024.
	RingEvents int
	// RingBytes bounds the memory of all events kept. Default 128 MiB.
	RingBytes int64
	// AttributeBytes bounds the memory of all attributes kept. Default 128 MiB.
	AttributeBytes int64
	// Linger is how long an unused group is followed on. Default 30 s.
	Linger time.Duration
	// Heartbeat is how often sessions are pinged. Default 25 s.
	Heartbeat time.Duration
	// ConnectWithin is how long a connection may wait with its connect.
	// Default 10 s.
	ConnectWithin time.Duration
	// Lose drops a live message before it is looked at. Only tests set it.
	Lose func(*nats.Msg) bool
	// Wrap stands between a WebSocket and its TCP connection, as TLS does. Only
	// tests set it.
	Wrap func(net.Conn) net.Conn
	// WithoutContiguity takes live events without looking whether others are
	// missing before them, and tells no session of gaps. Only tests set it, to
	// show that their checker notices.
	WithoutContiguity bool
	// Revealing shows private channels to every member of their group. Only tests
	// set it, to show that their judges notice.
	Revealing bool
}

func (c Config) validate() error {
	var problems []error
	require := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New(problem))
		}
	}
	require(c.Conn != nil && c.JS != nil, "edge: a connection to NATS is required")
	require(c.Deployment.Partitions > 0, "edge: the deployment is required")
	require(c.Logger != nil, "edge: a logger is required")
	require(c.Listen != "", "edge: an address to listen on is required")
	require(c.RingEvents >= 0 && c.RingBytes >= 0 && c.AttributeBytes >= 0, "edge: the limits of rings and attributes must not be negative")
	require((c.Registerer == nil) == (c.Gatherer == nil), "edge: a registerer and a gatherer come together")
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "0.0.0"
	}
	if c.Registerer == nil {
		registry := prometheus.NewRegistry()
		c.Registerer, c.Gatherer = registry, registry
	}
	if c.DevMode == nil {
		js := c.JS
		c.DevMode = func(ctx context.Context) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			return topology.DevMode(ctx, js)
		}
	}
	return c
}
