package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// concurrent is how many queries one instance runs at once. One more is
	// answered unavailable at once: a queue would only make all of them late.
	concurrent = 8
	// queryWithin bounds one query from its arrival to its answer.
	queryWithin = 2 * time.Second
	// dialWithin bounds connecting: a ClickHouse that hangs is away.
	dialWithin = 700 * time.Millisecond
	// pingWithin bounds the health query.
	pingWithin = time.Second
	// answerMargin is what an answer's headers and protocol may take of NATS's
	// largest payload, in bytes.
	answerMargin = 16 << 10
)

// Config says what a [Service] answers from.
type Config struct {
	Conn       *nats.Conn            // required
	DSN        string                // required; see clickhouse.Config
	Logger     *slog.Logger          // nil means silence
	Registerer prometheus.Registerer // nil means no metrics
	// Lag is how many entries of the logs are not stored, for the health
	// query. Nil means unknown, answered as 0.
	Lag func() uint64
}

// Service answers streams.QueryEvents, streams.QueryHistory, streams.QueryMembers
// and streams.QueryHealth. Instances share the load: NATS gives each query to one.
type Service struct {
	// Static after New.
	config  Config
	logger  *slog.Logger
	db      *clickhouse.DB
	metrics *metrics
	breaker breaker
	slots   chan struct{} // holds a token per query that runs; never closed

	mu      sync.Mutex
	ended   bool           // no query begins any more; guarded by mu
	running sync.WaitGroup // queries; Run waits for them
}

// New prepares a service; it touches no network.
func New(config Config) (*Service, error) {
	if config.Conn == nil || config.DSN == "" {
		return nil, errors.New("configure the query service: Conn and DSN are required")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Lag == nil {
		config.Lag = func() uint64 { return 0 }
	}
	db, err := clickhouse.Open(clickhouse.Config{
		DSN: config.DSN, Conns: concurrent + 1, DialTimeout: dialWithin, MaxExecution: queryWithin,
	})
	if err != nil {
		return nil, err
	}
	s := &Service{
		config: config, logger: config.Logger, db: db, metrics: newMetrics(), slots: make(chan struct{}, concurrent),
	}
	if config.Registerer != nil {
		if err := config.Registerer.Register(s.metrics.seconds); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run answers until ctx is done and every query that began is answered.
func (s *Service) Run(ctx context.Context) error {
	defer func() { _ = s.db.Close() }()
	service, err := micro.AddService(s.config.Conn, micro.Config{
		Name: "throng-query", Version: "1.0.0", Description: "events, messages and members from ClickHouse",
	})
	if err != nil {
		return fmt.Errorf("start the query service: %w", err)
	}
	defer s.end()
	defer func() { _ = service.Stop() }()
	for _, endpoint := range []struct {
		name, subject string
		answer        func(context.Context, []byte) ([]byte, error)
		fail          func(*streampb.QueryError) proto.Message
	}{
		{"events", streams.QueryEvents, s.answerEvents, func(e *streampb.QueryError) proto.Message { return &streampb.EventPage{Error: e} }},
		{"members", streams.QueryMembers, s.answerMembers, func(e *streampb.QueryError) proto.Message { return &streampb.MemberList{Error: e} }},
		{"history", streams.QueryHistory, s.answerHistory, func(e *streampb.QueryError) proto.Message { return &streampb.HistoryPage{Error: e} }},
	} {
		handle := func(request micro.Request) { s.handle(ctx, endpoint.name, request, endpoint.answer, endpoint.fail) }
		if err := service.AddEndpoint(endpoint.name, micro.HandlerFunc(handle), micro.WithEndpointSubject(endpoint.subject)); err != nil {
			return fmt.Errorf("start the query service: %s: %w", endpoint.name, err)
		}
	}
	health := func(request micro.Request) { s.health(ctx, request) }
	if err := service.AddEndpoint("health", micro.HandlerFunc(health), micro.WithEndpointSubject(streams.QueryHealth)); err != nil {
		return fmt.Errorf("start the query service: health: %w", err)
	}
	<-ctx.Done()
	return nil
}

// handle runs on the subscription's goroutine and must not wait: it answers at
// once or gives the query a goroutine of its own.
func (s *Service) handle(ctx context.Context, name string, request micro.Request,
	answer func(context.Context, []byte) ([]byte, error), fail func(*streampb.QueryError) proto.Message,
) {
	start := time.Now()
	finish := func(data []byte, err error) {
		if err != nil {
			data = s.failure(name, err, fail)
		}
		s.metrics.observe(name, err, time.Since(start))
		if err := request.Respond(data); err != nil {
			s.logger.Debug("a query could not be answered", "query", name, "err", err)
		}
	}
	if err := s.breaker.allow(start); err != nil {
		finish(nil, err)
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		finish(nil, streams.Reject(streams.Unavailable, "too many queries at once"))
		return
	}
	if !s.begin() {
		<-s.slots
		finish(nil, streams.Reject(streams.Unavailable, "this instance is about to end"))
		return
	}
	go func() { // ends within queryWithin; Run waits
		defer s.running.Done()
		defer func() { <-s.slots }()
		// Run ends after what began: a query is short.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryWithin)
		defer cancel()
		data, err := answer(ctx, request.Data())
		if err != nil && !isRejection(err) {
			s.breaker.fail(time.Now(), clickhouse.Answered(err))
		}
		finish(data, err)
	}()
}

// begin counts a query in, unless Run is ending: NATS may still hand one over
// while the subscriptions drain.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.running.Add(1)
	}
	return !s.ended
}

// end waits for the queries that began and lets no other begin.
func (s *Service) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.running.Wait()
}

// failure is the answer that tells of an error, and its place in the log.
func (s *Service) failure(name string, err error, fail func(*streampb.QueryError) proto.Message) []byte {
	rejection := streams.Reject(streams.HistoryUnavailable, "history is away, try again")
	if !errors.As(err, &rejection) {
		s.logger.Warn("a query failed", "query", name, "err", err)
	}
	data, err := proto.Marshal(fail(&streampb.QueryError{Code: string(rejection.Code), Message: rejection.Message}))
	if err != nil {
		s.logger.Error("an answer cannot be encoded", "query", name, "err", err)
	}
	return data
}

func isRejection(err error) bool {
	var rejection *streams.Rejection
	return errors.As(err, &rejection)
}

// Health is the answer to streams.QueryHealth.
type Health struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Lag   uint64 `json:"lag"` // entries of the logs that are not stored
}

func (s *Service) health(ctx context.Context, request micro.Request) {
	if !s.begin() {
		return
	}
	go func() { // ends within pingWithin; Run waits
		defer s.running.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingWithin)
		defer cancel()
		health := Health{OK: true, Lag: s.config.Lag()}
		if err := s.db.Ping(ctx); err != nil {
			health.OK, health.Error = false, err.Error()
		}
		if err := request.RespondJSON(health); err != nil {
			s.logger.Debug("a query could not be answered", "query", "health", "err", err)
		}
	}()
}

// ParseHealth reads the answer to streams.QueryHealth.
func ParseHealth(data []byte) (Health, error) {
	var h Health
	err := json.Unmarshal(data, &h)
	return h, err
}

// room is how large an answer may be, in bytes.
func (s *Service) room() int { return int(s.config.Conn.MaxPayload()) - answerMargin }
