package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
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
	// WithoutDedup switches the duplicate window off and WithoutFence the
	// fence, for tests of the tests.
	WithoutDedup, WithoutFence bool
}

// Service is the write side of one process: a sequencer for each partition,
// of which those serve whose lease it holds.
type Service struct {
	config     Config
	claims     *sequencer.Claims
	sequencers []*sequencer.Sequencer
	serving    []atomic.Bool // by partition: its commands are taken here now
}

// New returns the service. It starts nothing.
func New(config Config) (*Service, error) {
	claims := sequencer.NewClaims(config.JS, config.Instance, config.Deployment.Partitions)
	s := &Service{config: config, claims: claims, serving: make([]atomic.Bool, config.Deployment.Partitions)}
	for p := range streams.Partition(config.Deployment.Partitions) {
		seq, err := sequencer.New(sequencer.Config{
			Conn: config.Conn, JS: config.JS, Partition: p, Deployment: config.Deployment,
			Claims: claims, Logger: config.Logger, Metrics: config.Metrics, Now: config.Now,
			WithoutDedup: config.WithoutDedup, WithoutFence: config.WithoutFence, MaxHeld: config.MaxHeld,
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
	s.serving[p].Store(true)
	return func() {
		s.serving[p].Store(false)
		if err := service.Stop(); err != nil {
			s.config.Logger.Warn("stop listening", "partition", p, "err", err)
		}
	}, nil
}

// handle runs on the subscription's goroutine and does not wait.
func (s *Service) handle(p streams.Partition, r micro.Request) {
	err := s.submit(p, r.Data(), func(data []byte) {
		if err := r.Respond(data); err != nil {
			// The asker repeats with the same client ids and gets the same answer.
			s.config.Logger.Warn("answer a batch", "err", err)
		}
	})
	if err != nil {
		_ = r.Error("400", err.Error(), nil)
	}
}

// Take is the way of a request from this very process: the same bytes as over
// NATS, without the way there and back. It returns false, and respond is never
// called, if the partition is not served here now or the request is none: over
// NATS its sender is told. Else respond gets the answer, at most once, on the
// sequencer's goroutine, which it must not keep waiting; when the term ends
// first, an answer may never come. data is not kept.
func (s *Service) Take(p streams.Partition, data []byte, respond func(data []byte)) bool {
	return int(p) < len(s.serving) && s.serving[p].Load() && s.submit(p, data, respond) == nil
}

// submit hands a request to its sequencer. An error means that it is not a
// batch of commands; respond is not called then.
func (s *Service) submit(p streams.Partition, data []byte, respond func(data []byte)) error {
	request := &streampb.CommandBatch{}
	if err := proto.Unmarshal(data, request); err != nil {
		return errors.New("not a command batch")
	}
	if count := len(request.GetCommands()); count == 0 || count > streams.MaxBatchCommands {
		return fmt.Errorf("a batch has 1 to %d commands", streams.MaxBatchCommands)
	}
	answer := func(results []*streampb.Result) {
		data, err := proto.Marshal(&streampb.ResultBatch{Results: results})
		if err != nil {
			s.config.Logger.Warn("encode the answer to a batch", "err", err)
			return
		}
		respond(data)
	}
	batch := &sequencer.Batch{Commands: make([]sequencer.Command, len(request.GetCommands())), Respond: answer}
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
		answer(results)
	}
	return nil
}
