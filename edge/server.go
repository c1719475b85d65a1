package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/describe"
	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/session"
	"github.com/throng/throng/edge/token"
)

const (
	headerPatience = 5 * time.Second
	bodyPatience   = 15 * time.Second
	idlePatience   = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// drainPatience is how long HTTP requests may take to end.
	drainPatience = 3 * time.Second
)

// Edge is the push side of one process.
type Edge struct {
	// Static after New.
	config   Config
	verifier *token.Verifier
	hub      *hub.Hub
	runner   *command.Runner
	sessions *session.Endpoint
	probe    *probe
	life     context.Context // of what was taken: ends behind the drain
	end      context.CancelFunc
	requests sync.WaitGroup // HTTP requests, WebSockets included; Run waits for it

	listening chan struct{} // closed by Run once addr is set
	addr      net.Addr
}

// New returns an edge. It starts nothing and touches no network.
func New(config Config) (*Edge, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	e := &Edge{config: config, listening: make(chan struct{})}
	e.life, e.end = context.WithCancel(context.Background())
	e.verifier = token.New(token.Config{Secret: config.JWTSecret, Keys: config.Keys, DevMode: config.DevMode})
	partitions := config.Deployment.Partitions
	asker := owner.New(config.Conn, partitions).Beside(config.Local)
	loader := backfill.New(backfill.Config{
		Conn: config.Conn, Partitions: partitions, Metrics: backfill.NewMetrics(config.Registerer),
	})
	hides := hidden.New(hidden.Config{Conn: config.Conn, JS: config.JS, Partitions: partitions, Logger: config.Logger})
	e.hub = hub.New(hub.Config{
		Conn: config.Conn, JS: config.JS, Owner: asker, Loader: loader, Hidden: hides, Logger: config.Logger, Metrics: hub.NewMetrics(config.Registerer),
		RingEvents: config.RingEvents, RingBytes: config.RingBytes, AttributeBytes: config.AttributeBytes, Linger: config.Linger, Lose: config.Lose,
		WithoutContiguity: config.WithoutContiguity, Revealing: config.Revealing,
	})
	e.runner = command.New(command.Config{
		Hub: e.hub, Loader: loader, Owner: asker, Logger: config.Logger, Metrics: command.NewMetrics(config.Registerer),
		Limits: limit.New(config.Limits), Hook: config.Hook,
	})
	var err error
	e.sessions, err = session.New(session.Config{
		Hub: e.hub, Runner: e.runner, Verifier: e.verifier, Logger: config.Logger,
		Metrics: session.NewMetrics(config.Registerer), Version: config.Version,
		Heartbeat: config.Heartbeat, ConnectWithin: config.ConnectWithin, Origins: config.Origins, Wrap: config.Wrap,
	})
	if err != nil {
		return nil, fmt.Errorf("serve sessions: %w", err)
	}
	e.probe = newProbe(config.Conn, asker, partitions)
	return e, nil
}

// Listening is closed once connections are taken.
func (e *Edge) Listening() <-chan struct{} { return e.listening }

// Addr is where connections are taken, nil before [Edge.Listening].
func (e *Edge) Addr() net.Addr {
	select {
	case <-e.listening:
		return e.addr
	default:
		return nil
	}
}

// Resync makes the edge compare every group it follows with its owner. The
// edge does so by itself whenever its connection to NATS came back.
func (e *Edge) Resync() { e.hub.Resync() }

// Run serves until ctx ends or the listener fails. Then it takes nothing more,
// says goodbye to sessions and returns when all has ended, within 5 s.
func (e *Edge) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.config.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", e.config.Listen, err)
	}
	api, err := e.serveNATS()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler:           e.routes(),
		ReadHeaderTimeout: headerPatience,
		ReadTimeout:       bodyPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(e.config.Logger.Handler(), slog.LevelDebug),
	}
	e.addr = listener.Addr()
	close(e.listening)

	// What serves the sessions outlives them: it ends when they have.
	servingCtx, endServing := context.WithCancel(context.WithoutCancel(ctx))
	defer endServing()
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return e.hub.Run(servingCtx) })
	tasks.Go(func() error { return e.sessions.Run(servingCtx) })
	tasks.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http: %w", err)
		}
		return nil
	})
	tasks.Go(func() error {
		<-ctx.Done()
		e.drain(server, api)
		endServing()
		return nil
	})
	return tasks.Wait()
}

// drain ends everything that asks the hub.
func (e *Edge) drain(server *http.Server, api *natsAPI) {
	var ends errgroup.Group
	ends.Go(func() error {
		// The context it comes from is over already.
		ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			return server.Close()
		}
		return nil
	})
	ends.Go(func() error {
		e.sessions.Drain()
		return nil
	})
	ends.Go(func() error {
		// What is still under way by then is given up.
		timer := time.AfterFunc(drainPatience, e.end)
		defer timer.Stop()
		return api.stop()
	})
	if err := ends.Wait(); err != nil {
		e.config.Logger.Warn("end the edge", "err", err)
	}
	e.end()
	e.requests.Wait()
}

func (e *Edge) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /v1/ws", e.sessions)
	documents := describe.New(describe.Config{Version: e.config.Version, Subprotocol: session.Subprotocol, Statuses: status})
	mux.Handle("GET /v1/openapi.json", documents.HTTP)
	mux.Handle("GET /v1/asyncapi.json", documents.WebSocket)
	mux.HandleFunc("/v1/{command}", e.serveCommand)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the asker may be gone
	})
	mux.HandleFunc("GET /readyz", e.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.config.Gatherer, promhttp.HandlerOpts{}))
	if e.config.Demo != nil {
		mux.Handle("/", e.config.Demo) // without a method: it would conflict with /v1/{command}
	}
	return mux
}
