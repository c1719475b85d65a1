package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

const (
	// watchEvery is how often the logs' ends are looked at.
	watchEvery = time.Second
	// openWithin bounds migrating and asking for positions.
	openWithin = 60 * time.Second
	// projectingConns are two for the writer and the rest for readers that ask
	// for places, which they seldom do.
	projectingConns = 8
	// steadyAfter is how long following must work before the pauses between
	// attempts start small again.
	steadyAfter = time.Second
)

// Projector carries the logs of all partitions into ClickHouse and answers
// queries from there. Several may run at once, in one process or many: they
// share the queries and repeat each other's writing, harmlessly.
type Projector struct {
	// Static after New.
	config   Config
	logger   *slog.Logger
	db       *clickhouse.DB
	sink     Sink
	service  *history.Service
	js       jetstream.JetStream
	metrics  *metrics
	progress []*progress // by partition
	away     *outage     // ClickHouse
	nats     []*outage   // NATS, as each reader finds it
}

// New prepares a projector. It starts nothing and touches no network; the
// error tells all that is wrong with the configuration.
func New(config Config) (*Projector, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure projections: %w", err)
	}
	db, err := clickhouse.Open(clickhouse.Config{DSN: config.DSN, Conns: projectingConns})
	if err != nil {
		return nil, fmt.Errorf("configure projections: %w", err)
	}
	js, err := jetstream.New(config.Conn)
	if err != nil {
		return nil, fmt.Errorf("configure projections: %w", err)
	}
	p := &Projector{
		config: config, logger: config.Logger, db: db, sink: history.NewSink(db), js: js, metrics: newMetrics(),
	}
	for _, c := range p.metrics.collectors() {
		if err := config.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("configure projections: %w", err)
		}
	}
	p.away = p.newOutage("clickhouse", p.logger)
	for partition := range streams.Partition(config.Partitions) {
		p.progress = append(p.progress, &progress{})
		p.nats = append(p.nats, p.newOutage("nats", p.logger.With("partition", partition)))
	}
	p.service, err = history.New(history.Config{
		Conn: config.Conn, DSN: config.DSN, Logger: config.Logger, Registerer: config.Registerer, Lag: p.Lag,
	})
	if err != nil {
		return nil, fmt.Errorf("configure projections: %w", err)
	}
	return p, nil
}

func (p *Projector) newOutage(of string, logger *slog.Logger) *outage {
	return &outage{logger: logger, of: of, count: p.metrics.outages.WithLabelValues(of), now: p.metrics.away.WithLabelValues(of)}
}

// Lag is how many entries of the logs are not stored in ClickHouse, as of the
// last second. Before ClickHouse was first reached that is all of them.
func (p *Projector) Lag() uint64 {
	var lag uint64
	for _, progress := range p.progress {
		lag += progress.lag()
	}
	return lag
}

// Run projects and answers until ctx is done. ClickHouse or NATS being away
// does not end it, at the start neither. It may be called once.
func (p *Projector) Run(ctx context.Context) error {
	defer func() { _ = p.db.Close() }()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.service.Run(ctx) })
	group.Go(func() error { p.watch(ctx); return nil })
	group.Go(func() error { p.project(ctx); return nil })
	return group.Wait()
}

// project follows the logs, again after every failure, until ctx is done.
func (p *Projector) project(ctx context.Context) {
	pauses := newPauses()
	for ctx.Err() == nil {
		worked, err := p.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			pauses.Reset()
		}
		p.away.begin(err)
		if pause(ctx, pauses.NextBackOff()) != nil {
			return
		}
	}
}

// follow asks ClickHouse where it stands and carries the logs on from there.
// It returns what failed, and whether anything worked before.
func (p *Projector) follow(ctx context.Context) (worked bool, err error) {
	heads, err := p.open(ctx)
	if err != nil {
		return false, err
	}
	group, ctx := errgroup.WithContext(ctx)
	chunks := make(chan chunk) // unbuffered: a reader is at most one page ahead; never closed
	for partition := range streams.Partition(p.config.Partitions) {
		r := p.newReader(partition, heads[partition])
		group.Go(func() error { return r.run(ctx, chunks) })
	}
	var works atomic.Bool
	healthy := func() {
		p.away.end()
		works.Store(true)
	}
	batches, halves := make(chan gathered), make(chan half) // unbuffered, so each stage holds one; never closed
	g := &gatherer{maxRows: p.config.MaxRows, maxBytes: p.config.MaxBytes, linger: p.config.Linger}
	w := &writer{sink: p.sink, progress: p.progress, metrics: p.metrics, stored: healthy}
	group.Go(func() error { return g.run(ctx, chunks, batches) })
	group.Go(func() error { return w.writeState(ctx, batches, halves) })
	group.Go(func() error { return w.writeEvents(ctx, halves) })
	// A quiet system writes nothing: say after a while that it works all the same.
	group.Go(func() error {
		if pause(ctx, steadyAfter) != nil {
			return nil
		}
		pinging, cancel := withGrace(ctx, openWithin)
		defer cancel()
		if p.db.Ping(pinging) == nil {
			healthy()
		}
		return nil
	})
	err = group.Wait()
	return works.Load(), err
}

func (p *Projector) open(ctx context.Context) (map[streams.Partition]history.Head, error) {
	ctx, cancel := withGrace(ctx, openWithin)
	defer cancel()
	made, err := p.db.Migrate(ctx)
	if err != nil {
		return nil, err
	}
	if len(made) > 0 {
		p.logger.Info("clickhouse migrated", "migrations", made)
	}
	return p.sink.Heads(ctx)
}

func (p *Projector) newReader(partition streams.Partition, head history.Head) *reader {
	p.progress[partition].storedSeq.Store(uint64(head.Seq))
	r := &reader{
		partition: partition,
		log:       eventlog.NewReader(p.config.Conn, streams.LogStream(partition)),
		sink:      p.sink,
		progress:  p.progress[partition],
		metrics:   p.metrics,
		logger:    p.logger.With("partition", partition),
		poll:      p.config.Poll,
		nats:      p.nats[partition],
	}
	r.begin(head)
	return r
}

// watch looks at the logs' ends once a second, also while ClickHouse is away:
// that is when the lag matters.
func (p *Projector) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	shorter := make([]bool, len(p.progress))
	for {
		for partition, progress := range p.progress {
			p.look(ctx, streams.Partition(partition), progress, &shorter[partition])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Projector) look(ctx context.Context, partition streams.Partition, progress *progress, shorter *bool) {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	stored := progress.stored() // before the look: the log only grows
	p.tell(partition, stored)
	stream, err := p.js.Stream(ctx, streams.LogStream(partition))
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			p.logger.Debug("the log is not there", "partition", partition)
		}
		return
	}
	state := stream.CachedInfo().State
	progress.firstSeq.Store(state.FirstSeq)
	progress.lastSeq.Store(state.LastSeq)
	p.metrics.lag.WithLabelValues(partition.String()).Set(float64(progress.lag()))
	is := state.LastSeq < uint64(stored)
	if is && !*shorter {
		p.logger.Error("the log ends before what is stored of it: it was lost or restored from a backup, and what is new in it will not be stored",
			"partition", partition, "stored", stored, "seq", state.LastSeq)
		p.metrics.behind.Inc()
	} else if !is && *shorter {
		p.metrics.behind.Dec()
	}
	*shorter = is
}

// tell publishes how far a log is stored, so that its owner may purge it up to
// there. It is said again each second: a lost one costs nothing.
func (p *Projector) tell(partition streams.Partition, stored streams.Seq) {
	data, err := proto.Marshal(&streampb.Position{Seq: uint64(stored)})
	if err == nil {
		err = p.config.Conn.Publish(streams.PositionSubject(partition), data)
	}
	if err != nil {
		p.logger.Debug("tell the position", "partition", partition, "err", err)
	}
}
