package hidden

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/edge/gather"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

const (
	// attempt is how long one write waits for its acknowledgement. One that was
	// not acknowledged may be stored; the next read tells.
	attempt = time.Second
	// backOffMin and backOffMax bound the wait before a write is tried again.
	backOffMin = 5 * time.Millisecond
	backOffMax = 200 * time.Millisecond
	// skew is how far before the beginning Run looks for records, by the clock of
	// the servers, which may be behind this one.
	skew = 5 * time.Minute
)

// Config of a [Store].
type Config struct {
	Conn       *nats.Conn          // required
	JS         jetstream.JetStream // on Conn; required
	Partitions uint32              // required
	Logger     *slog.Logger        // required
	// Every is how often Run looks for what was written. Default 5 s.
	Every time.Duration
}

// Store reads and writes the records. It may be used from any goroutine.
type Store struct {
	// Static after New.
	config Config
	parts  []*part // by [streams.UserPartition]
	began  time.Time
}

// part is one stream of records.
type part struct {
	name    string
	pattern string
	reader  *eventlog.Reader
	loads   *gather.Gather[place, answer]

	mu   sync.Mutex
	seen eventlog.Message // the newest Run has told of; Seq 0 for none; guarded by mu
}

// New returns a store; it touches no network.
func New(config Config) *Store {
	if config.Every == 0 {
		config.Every = 5 * time.Second
	}
	s := &Store{config: config, began: time.Now()}
	for q := range streams.Partition(config.Partitions) {
		name := streams.UserStream(q)
		p := &part{name: name, pattern: streams.HiddenPattern(q), reader: eventlog.NewReader(config.Conn, name)}
		p.loads = gather.New(loadMost, loadsAtOnce, func(ctx context.Context, places []place) []answer { return s.load(ctx, q, places) })
		s.parts = append(s.parts, p)
	}
	return s
}

func (s *Store) of(u streams.User) (streams.Partition, *part) {
	q := streams.UserPartition(u, s.config.Partitions)
	return q, s.parts[q]
}

func (p *part) told() eventlog.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Add hides a message and returns all the user hides in the channel once that is
// stored. Errors are [*streams.Rejection]: conflict for too many, unavailable
// where ctx ended before; then it may be hidden or not.
func (s *Store) Add(ctx context.Context, u streams.User, g streams.Group, c streams.Channel, n streams.Number) (Numbers, error) {
	q, p := s.of(u)
	subject := streams.HiddenSubject(q, u, g, c)
	for wait := backOffMin; ; wait = min(2*wait, backOffMax) {
		all, err := s.add(ctx, p, subject, n)
		var refused *streams.Rejection
		if err == nil || errors.As(err, &refused) {
			return all, err
		}
		s.config.Logger.Debug("hide a message", "group", g, "channel", c, "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, owner.Unavailable()
		}
	}
}

// add tries once. What it reads may be old; then the write is refused.
func (s *Store) add(ctx context.Context, p *part, subject string, n streams.Number) (Numbers, error) {
	var have Numbers
	m, err := p.reader.Last(ctx, subject)
	switch {
	case errors.Is(err, eventlog.ErrNoMessage):
	case err != nil:
		return nil, err
	default:
		r, err := unmarshal(m)
		if err != nil {
			return nil, err
		}
		have = r.Numbers
	}
	all, grown := have.With(Numbers{n})
	if !grown {
		return all, nil
	}
	if len(all) > streams.MaxHidden {
		return nil, TooMany()
	}
	data, err := all.marshal()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if _, err := s.config.JS.Publish(ctx, subject, data, jetstream.WithExpectLastSequencePerSubject(uint64(m.Seq))); err != nil {
		return nil, fmt.Errorf("write %s: %w", subject, err)
	}
	return all, nil
}

// TooMany is the refusal of one message more than a user can hide.
func TooMany() *streams.Rejection {
	return streams.Reject(streams.Conflict, "too many hidden messages")
}

// Run tells of every record written since a while before New, until ctx ends.
// tell is called by one goroutine.
func (s *Store) Run(ctx context.Context, tell func(Record)) {
	tick := time.NewTicker(s.config.Every)
	defer tick.Stop()
	for {
		for _, p := range s.parts {
			if err := s.look(ctx, p, tell); err != nil && ctx.Err() == nil {
				s.config.Logger.Debug("look for hidden messages", "stream", p.name, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look tells of the records behind the last it told of.
func (s *Store) look(ctx context.Context, p *part, tell func(Record)) error {
	from := p.told().Seq + 1
	if from == 1 {
		first, err := p.reader.Since(ctx, p.pattern, s.began.Add(-skew))
		if errors.Is(err, eventlog.ErrNoMessage) {
			return nil
		}
		if err != nil {
			return err
		}
		from = first
	}
	return p.reader.Scan(ctx, p.pattern, from, 0, func(m eventlog.Message) error {
		r, err := unmarshal(m)
		if err != nil {
			s.config.Logger.Warn("look for hidden messages", "stream", p.name, "err", err) // not for ever
		} else {
			tell(r)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen = eventlog.Message{Subject: m.Subject, Seq: m.Seq}
		return nil
	})
}
