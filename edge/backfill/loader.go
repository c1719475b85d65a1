package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// Config says what a [Loader] reads from.
type Config struct {
	Conn       *nats.Conn // required, unless Transport is set
	Partitions uint32     // required
	Metrics    *Metrics   // required
	// Transport carries the reads. Default is Conn.
	Transport eventlog.Transport
}

// Loader reads ranges. It may be used from any goroutine.
type Loader struct {
	// Static after New.
	transport eventlog.Transport
	metrics   *Metrics
	readers   []*eventlog.Reader // by partition
	terms     []*terms           // by partition

	events  flights[eventsKey, []ring.Entry]
	history flights[historyKey, page]
}

// New returns a loader; it touches no network.
func New(config Config) *Loader {
	if config.Transport == nil {
		config.Transport = eventlog.OverNATS(config.Conn)
	}
	l := &Loader{transport: config.Transport, metrics: config.Metrics}
	for p := range streams.Partition(config.Partitions) {
		reader := eventlog.NewReaderOver(config.Transport, streams.LogStream(p))
		l.readers = append(l.readers, reader)
		l.terms = append(l.terms, &terms{
			reader: reader, fence: streams.FenceSubject(p), ended: map[streams.Epoch]streams.Seq{},
		})
	}
	return l
}

// Target is the channel that is read.
type Target struct {
	Partition streams.Partition
	Group     streams.Group
	Channel   streams.Channel
}

func (t Target) subject() string { return streams.LogSubject(t.Partition, t.Group, t.Channel) }

// Range is what of it is read: After < v <= Upto, from the oldest on, at most
// Limit events and, but for the first, Bytes of JSON.
type Range struct {
	After, Upto  streams.Version
	Limit, Bytes int
	// Lo is a sequence no event above After lies at or below, 0 if none is
	// known. With the sequence of After itself the search is saved.
	Lo streams.Seq
	// Hi is a sequence no event up to After+1 lies above, 0 if none is known.
	Hi streams.Seq
	// LogOnly leaves out what the log no longer holds, so that the events may
	// begin later than at After+1.
	LogOnly bool
}

type eventsKey struct {
	Target
	after, upto  streams.Version
	limit, bytes int
	logOnly      bool
}

// Events reads a range. Fewer events than asked for come back, down to none,
// where a limit was reached; they begin at After+1 and have no holes. Errors: a
// [*streams.Rejection] with history_unavailable or, where the log cannot be
// read or what was read is not whole, unavailable.
func (l *Loader) Events(ctx context.Context, t Target, r Range) ([]ring.Entry, error) {
	if r.Upto <= r.After || r.Limit <= 0 {
		return nil, nil
	}
	r.Upto = min(r.Upto, r.After+streams.Version(r.Limit))
	key := eventsKey{Target: t, after: r.After, upto: r.Upto, limit: r.Limit, bytes: r.Bytes, logOnly: r.LogOnly}
	return l.events.do(ctx, key, func(ctx context.Context) ([]ring.Entry, error) { return l.insist(ctx, t, r) })
}

// ErrUnreadable is in the error of a read that NATS did not answer, or not with
// what is in the log.
var ErrUnreadable = errors.New("read the log")

// attempts is how often the log is read for one answer. Whichever replica is
// near answers, and one whose files were harmed goes on answering: with three
// replicas of which one is, four attempts meet nothing else in one of 81.
const attempts = 4

// insist loads a range, again where what was read is not whole.
func (l *Loader) insist(ctx context.Context, t Target, r Range) ([]ring.Entry, error) {
	for n := 1; ; n++ {
		entries, err := l.load(ctx, t, r)
		var refused *streams.Rejection
		if err == nil || errors.As(err, &refused) {
			return entries, err
		}
		l.metrics.unreadable.Inc()
		if n == attempts || ctx.Err() != nil {
			refused := streams.RejectRetry(streams.Unavailable, time.Second, "the log cannot be read at the moment")
			return nil, fmt.Errorf("%w: %w: %w", refused, ErrUnreadable, err)
		}
	}
}

func (l *Loader) load(ctx context.Context, t Target, r Range) ([]ring.Entry, error) {
	first, at, err := l.locate(ctx, t, r)
	if err != nil {
		return nil, err
	}
	out := collector{limit: r.Limit, bytes: r.Bytes}
	switch {
	case r.LogOnly && (first == 0 || first > r.Upto):
		return nil, nil
	case first == 0: // purged as a whole, or not there yet
		err := l.stored(ctx, t, r.After, r.Upto, &out)
		return out.entries, err
	case first > r.After+1 && r.LogOnly:
		r.After = first - 1
	case first > r.After+1: // the log was purged up to there
		upto := min(r.Upto, first-1)
		if err := l.stored(ctx, t, r.After, upto, &out); err != nil || out.full || upto == r.Upto {
			return out.entries, err
		}
		r.After = first - 1
	}
	err = l.forward(ctx, t, at, r, &out)
	return out.entries, err
}

// locate finds the event After+1: where it lies, or the first one behind it
// that the log still holds. first 0 means there is nothing above After yet.
func (l *Loader) locate(ctx context.Context, t Target, r Range) (first streams.Version, at streams.Seq, err error) {
	reader := l.readers[t.Partition]
	m, err := reader.Next(ctx, t.subject(), r.Lo+1)
	if errors.Is(err, eventlog.ErrNoMessage) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	e, err := streams.UnmarshalEvent(m.Data, m.Seq)
	if err != nil {
		return 0, 0, err
	}
	if e.V > r.After {
		return e.V, e.Seq, nil
	}
	if r.Hi == 0 {
		last, err := reader.Last(ctx, t.subject())
		if err != nil {
			return 0, 0, err
		}
		r.Hi = last.Seq
	}
	found, err := reader.Search(ctx, t.subject(), m.Seq+1, r.Hi, func(m eventlog.Message) (bool, error) {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		return err == nil && e.V > r.After, err
	})
	if errors.Is(err, eventlog.ErrNoMessage) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return r.After + 1, found.Seq, nil
}

// forward reads on from a sequence.
func (l *Loader) forward(ctx context.Context, t Target, at streams.Seq, r Range, out *collector) error {
	l.metrics.loaded(fromLog)
	j := judge{terms: l.terms[t.Partition], place: streams.Place{V: r.After}}
	for !out.full && j.place.V < r.Upto {
		page, more, err := l.readers[t.Partition].Page(ctx, t.subject(), at, int(r.Upto-j.place.V))
		if err != nil {
			return err
		}
		for _, m := range page {
			e, err := streams.UnmarshalEvent(m.Data, m.Seq)
			if err != nil {
				return err
			}
			switch verdict, err := j.take(ctx, e); {
			case err != nil:
				return err
			case verdict == streams.Stale:
				l.metrics.stale.Inc()
			case verdict == streams.Ahead:
				return fmt.Errorf("log of %s/%s: v %d follows v %d", t.Group, t.Channel, e.V, j.place.V)
			case verdict == streams.Belongs:
				out.add(e)
			}
			if out.full || j.place.V == r.Upto {
				return nil
			}
			at = m.Seq + 1
		}
		if !more || len(page) == 0 {
			return nil
		}
	}
	return nil
}

// collector makes entries within the limits of an answer.
type collector struct {
	limit, bytes int
	entries      []ring.Entry
	full         bool
}

func (c *collector) add(e *streams.Event) {
	entry := ring.Entry{Event: e, JSON: wire.AppendEvent(nil, e)}
	c.bytes -= len(entry.JSON)
	if len(c.entries) > 0 && c.bytes < 0 {
		c.full = true
		return
	}
	c.entries = append(c.entries, entry)
	c.full = len(c.entries) == c.limit
}
