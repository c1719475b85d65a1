package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// Config of the services of one process.
type Config struct {
	Conn       *nats.Conn          // required
	JS         jetstream.JetStream // on Conn; required
	Deployment topology.Deployment // as provisioned
	Instance   string              // names this process; required
	Version    string              // of the program, shown by the micro service; semantic
	Logger     *slog.Logger        // required
	Metrics    *sequencer.Metrics  // required
	// Now is the clock of decisions. Default time.Now.
	Now func() time.Time
	// MaxHeld is how many members, attributes and messages' reactions a partition
	// keeps in memory; see [sequencer.Config].
	MaxHeld int
	// WithoutDedup switches the duplicate window off, for tests of the tests.
	WithoutDedup bool
}

// Service is the write side of one process: a sequencer for each partition,
// of which those serve whose lease it holds.
type Service struct {
	config     Config
	claims     *sequencer.Claims
	sequencers []*sequencer.Sequencer
}

// New returns the service. It starts nothing.
func New(config Config) (*Service, error) {
	claims := sequencer.NewClaims(config.JS, config.Instance, config.Deployment.Partitions)
	s := &Service{config: config, claims: claims}
	for p := range streams.Partition(config.Deployment.Partitions) {
		seq, err := sequencer.New(sequencer.Config{
			Conn: config.Conn, JS: config.JS, Partition: p, Deployment: config.Deployment,
			Claims: claims, Logger: config.Logger, Metrics: config.Metrics, Now: config.Now,
			WithoutDedup: config.WithoutDedup, MaxHeld: config.MaxHeld,
			OnServe: func() (func(), error) { return s.listen(p) },
		})
		if err != nil {
			return nil, err
		}
		s.sequencers = append(s.sequencers, seq)
	}
	return s, nil
}

// Run serves until ctx ends and everything accepted is answered.
func (s *Service) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return s.claims.Run(ctx) })
	for _, seq := range s.sequencers {
		tasks.Go(func() error { return seq.Run(ctx) })
	}
	return tasks.Wait()
}

// listen takes a partition's commands until stop is called.
func (s *Service) listen(p streams.Partition) (stop func(), err error) {
	service, err := micro.AddService(s.config.Conn, micro.Config{
		Name: "throng-partition-" + p.String(), Version: s.config.Version,
		Description:        "Commands on the groups of one partition",
		QueueGroupDisabled: true, // one owner decides, and in order
		Metadata:           map[string]string{"partition": p.String(), "instance": s.config.Instance},
	})
	if err != nil {
		return nil, fmt.Errorf("add service: %w", err)
	}
	err = service.AddEndpoint("commands", micro.HandlerFunc(func(r micro.Request) { s.handle(p, r) }),
		micro.WithEndpointSubject(streams.CommandSubject(p)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("add endpoint: %w", err), service.Stop())
	}
	return func() {
		if err := service.Stop(); err != nil {
			s.config.Logger.Warn("stop listening", "partition", p, "err", err)
		}
	}, nil
}

// handle runs on the subscription's goroutine and does not wait.
func (s *Service) handle(p streams.Partition, r micro.Request) {
	request := &streampb.CommandBatch{}
	if err := proto.Unmarshal(r.Data(), request); err != nil {
		_ = r.Error("400", "not a command batch", nil)
		return
	}
	if count := len(request.GetCommands()); count == 0 || count > streams.MaxBatchCommands {
		_ = r.Error("400", fmt.Sprintf("a batch has 1 to %d commands", streams.MaxBatchCommands), nil)
		return
	}
	batch := &sequencer.Batch{
		Commands: make([]sequencer.Command, len(request.GetCommands())),
		Respond:  func(results []*streampb.Result) { s.respond(r, results) },
	}
	for i, c := range request.GetCommands() {
		batch.Commands[i] = decode(c, p, s.config.Deployment.Partitions)
	}
	if err := s.sequencers[p].Submit(batch); err != nil {
		busy := &streampb.Result{Rejection: &streampb.Rejection{
			Code: string(streams.Unavailable), Message: "too many commands are waiting", RetryMs: 200,
		}}
		results := make([]*streampb.Result, len(batch.Commands))
		for i := range results {
			results[i] = busy
		}
		s.respond(r, results)
	}
}

func (s *Service) respond(r micro.Request, results []*streampb.Result) {
	data, err := proto.Marshal(&streampb.ResultBatch{Results: results})
	if err == nil {
		err = r.Respond(data)
	}
	if err != nil {
		// The asker repeats with the same client ids and gets the same answer.
		s.config.Logger.Warn("answer a batch", "err", err)
	}
}
