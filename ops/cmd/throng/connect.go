package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams/topology"
)

// link is a connection of one part to NATS and what the deployment there is.
type link struct {
	conn       *nats.Conn
	js         jetstream.JetStream
	deployment topology.Deployment
}

// setupWithin bounds what a part asks NATS before it runs.
const setupWithin = 30 * time.Second

func natsOptions(name string, logger *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("throng " + name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("nats disconnected", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("nats reconnected") }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			logger.Warn("nats", "err", err, "subject", subject)
		}),
	}
}

// connect joins a NATS that others run.
func connect(url natsURL, name string, logger *slog.Logger) (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(string(url), natsOptions(name, logger)...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS at %s: %w", url, err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("connect to NATS at %s: %w", url, err)
	}
	return conn, js, nil
}

// join is connect for parts of a provisioned deployment.
func join(ctx context.Context, url natsURL, name string, logger *slog.Logger) (*link, error) {
	conn, js, err := connect(url, name, logger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	deployment, err := topology.Load(ctx, js)
	if err != nil {
		conn.Close()
		if errors.Is(err, topology.ErrNotProvisioned) {
			return nil, fmt.Errorf("NATS at %s is %w", url, err)
		}
		return nil, fmt.Errorf("read the deployment at %s: %w", url, err)
	}
	return &link{conn: conn, js: js, deployment: deployment}, nil
}

// instance names this process in leases, fences and metrics.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}
