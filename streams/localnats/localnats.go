// Package localnats runs nats-server with JetStream inside this process: for
// `throng dev`, which has no other NATS, and for tests, which use no mock of
// it. It is the only importer of nats-server.
package localnats

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config says where the server keeps its data and whether others may reach it.
type Config struct {
	DataDir string // JetStream's folder; required
	// Listen is the client address, host:port, port 0 for a free one; empty
	// for a server that only this process reaches.
	Listen string
	// SyncAlways makes every write durable before it is acknowledged. Off, a
	// power cut loses what the last two minutes brought; a crash of the
	// process loses nothing either way.
	SyncAlways bool
	Logger     *slog.Logger // required

	// Cluster joins servers of one process, for tests.
	Cluster *Cluster
}

// Cluster is the place of one server in a cluster.
type Cluster struct {
	Server string   // its name, unique
	Listen string   // route address, host:port
	Routes []string // route addresses of all
}

// Server is a running nats-server.
type Server struct {
	server *server.Server
	listen bool
}

// readyWithin is how long the server may take to accept connections: it
// recovers its streams first.
const readyWithin = 60 * time.Second

// Start starts a server and waits until it accepts connections.
func Start(config Config) (*Server, error) {
	options := &server.Options{
		ServerName:    "throng",
		JetStream:     true,
		StoreDir:      config.DataDir,
		NoSigs:        true,
		DontListen:    config.Listen == "",
		SyncAlways:    config.SyncAlways,
		MaxPending:    256 << 20, // bytes; a burst of an import must not cut our own connections
		WriteDeadline: 30 * time.Second,
	}
	if config.Listen != "" {
		host, port, err := splitAddress(config.Listen)
		if err != nil {
			return nil, fmt.Errorf("nats listen address: %w", err)
		}
		options.Host, options.Port = host, port
		if port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	if c := config.Cluster; c != nil {
		host, port, err := splitAddress(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("nats route address: %w", err)
		}
		options.ServerName = c.Server
		options.Cluster = server.ClusterOpts{Name: "throng", Host: host, Port: port}
		options.Routes = server.RoutesFromStr(joinRoutes(c.Routes))
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configure nats-server: %w", err)
	}
	log := &logAdapter{logger: config.Logger, fatal: make(chan string, 1)}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if err := log.awaitReady(s); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, err
	}
	return &Server{server: s, listen: config.Listen != ""}, nil
}

// awaitReady waits until the server accepts connections or has said why it
// never will, such as an address in use.
func (a *logAdapter) awaitReady(s *server.Server) error {
	const look = 100 * time.Millisecond
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); {
		if s.ReadyForConnections(look) {
			return nil
		}
		select {
		case line := <-a.fatal:
			return fmt.Errorf("nats-server: %s", line)
		default:
		}
	}
	return errors.New("nats-server does not accept connections")
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

func joinRoutes(routes []string) string {
	urls := make([]string, len(routes))
	for i, route := range routes {
		urls[i] = "nats://" + route
	}
	return strings.Join(urls, ",")
}

// URL is where clients of other processes connect, empty if they can't.
func (s *Server) URL() string {
	if !s.listen {
		return ""
	}
	return s.server.ClientURL()
}

// Connect opens a connection to the server from inside this process.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	if s.listen {
		return nats.Connect(s.server.ClientURL(), options...)
	}
	return nats.Connect("", append(options, nats.InProcessServer(s.server))...)
}

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logAdapter hands the server's log lines to slog.
type logAdapter struct {
	logger *slog.Logger
	fatal  chan string // holds the first line the server can't go on after; never closed
}

func (a *logAdapter) Noticef(format string, v ...any) {
	a.logger.Debug("nats-server", "line", fmt.Sprintf(format, v...))
}
func (a *logAdapter) Warnf(format string, v ...any) {
	a.logger.Warn("nats-server", "line", fmt.Sprintf(format, v...))
}
func (a *logAdapter) Fatalf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	a.logger.Error("nats-server", "line", line)
	select {
	case a.fatal <- line:
	default: // the first one is the cause
	}
}
func (a *logAdapter) Errorf(format string, v ...any) {
	a.logger.Error("nats-server", "line", fmt.Sprintf(format, v...))
}
func (a *logAdapter) Debugf(string, ...any) {}
func (a *logAdapter) Tracef(string, ...any) {}
