package backfill

import (
	"context"
	"errors"
	"fmt"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

const (
	// nearEvents is up to how many events behind the head a page is folded
	// from the log without asking ClickHouse.
	nearEvents = 1000
	// farEvents bounds what one page may make us read from the log.
	farEvents = 200_000
)

// errTooFar: the log does not hold what the page takes, or too much of it lies
// between the page and the head.
var errTooFar = errors.New("too far back for the log")

// Head is how far a channel goes.
type Head struct {
	V streams.Version
	N streams.Number
}

// historyKey is one page. Who reads it is in it only where the page depends on it.
type historyKey struct {
	Target
	window
	head   streams.Version
	reader streams.User
}

// History reads a page of messages in their current state as of head or
// later. held is what the ring holds, ending at head or later. Errors: a
// [*streams.Rejection] with history_unavailable, or what NATS says.
func (l *Loader) History(ctx context.Context, t Target, q Query, head Head, held []ring.Entry) (messages []*wire.Message, more bool, err error) {
	w := q.in(head.N)
	if w.lo > w.hi {
		return nil, w.more, nil
	}
	if p, ok := fromHeld(w, q.User, held); ok {
		l.metrics.loaded(fromRing)
		return p.messages, p.more, nil
	}
	load := func(ctx context.Context) (page, error) { return l.page(ctx, t, newFold(w, q.User), head, held) }
	key := historyKey{Target: t, window: w, head: head.V}
	p, err := l.history.do(ctx, key, load)
	if err == nil && p.reader != q.User && p.personal() {
		key.reader = q.User // what came was made for somebody else
		p, err = l.history.do(ctx, key, load)
	}
	return p.messages, p.more, err
}

// fromHeld folds the page from the ring, if that reaches back to its oldest
// message.
func fromHeld(w window, reader streams.User, held []ring.Entry) (page, bool) {
	if len(held) == 0 || held[0].Event.N > w.lo {
		return page{}, false
	}
	f := newFold(w, reader)
	for _, e := range held {
		f.apply(e.Event)
	}
	return f.page()
}

// page asks the nearer of log and ClickHouse first and the other if it can't.
func (l *Loader) page(ctx context.Context, t Target, f *fold, head Head, held []ring.Entry) (page, error) {
	// A message's v is at least its n, so this is at most how many events lie
	// from the page's oldest message to the head.
	near := uint64(head.V)-uint64(f.lo) < nearEvents
	if near {
		if p, err := l.foldLog(ctx, t, f.again(), head); err == nil {
			return p, nil
		}
	}
	p, err := l.foldStore(ctx, t, f.again(), head, held)
	if err == nil || near {
		return p, err
	}
	p, logErr := l.foldLog(ctx, t, f.again(), head)
	if logErr == nil {
		return p, nil
	}
	return page{}, err
}

// foldLog folds the page from the log alone.
func (l *Loader) foldLog(ctx context.Context, t Target, f *fold, head Head) (page, error) {
	l.metrics.loaded(fromLog)
	reader := l.readers[t.Partition]
	last, err := reader.Last(ctx, t.subject())
	if err != nil {
		return page{}, err
	}
	first, err := reader.Search(ctx, t.subject(), 1, last.Seq, func(m eventlog.Message) (bool, error) {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		return err == nil && e.N >= f.lo, err
	})
	if err != nil {
		return page{}, err
	}
	start, err := streams.UnmarshalEvent(first.Data, first.Seq)
	if err != nil {
		return page{}, err
	}
	if _, ok := start.Payload.(streams.MessagePosted); !ok || start.N != f.lo {
		return page{}, errTooFar // the message itself was purged
	}
	if head.V > start.V+farEvents {
		return page{}, errTooFar
	}
	j := judge{terms: l.terms[t.Partition], place: streams.Place{V: start.V - 1}}
	err = reader.Scan(ctx, t.subject(), first.Seq, last.Seq, func(m eventlog.Message) error {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		switch verdict, err := j.take(ctx, e); {
		case err != nil:
			return err
		case verdict == streams.Belongs:
			f.apply(e)
		case verdict == streams.Stale:
			l.metrics.stale.Inc()
		case verdict == streams.Ahead:
			return fmt.Errorf("log of %s/%s: v %d follows v %d", t.Group, t.Channel, e.V, j.place.V)
		}
		return nil
	})
	if err != nil {
		return page{}, err
	}
	if j.place.V < head.V {
		return page{}, fmt.Errorf("log of %s/%s ends at v %d before the head %d", t.Group, t.Channel, j.place.V, head.V)
	}
	p, complete := f.page()
	if !complete {
		return page{}, errTooFar
	}
	return p, nil
}

// foldStore takes the page from ClickHouse and folds in what came later.
func (l *Loader) foldStore(ctx context.Context, t Target, f *fold, head Head, held []ring.Entry) (page, error) {
	answer, err := l.states(ctx, t, f)
	if err != nil {
		return page{}, err
	}
	for _, s := range answer.GetMessages() {
		m, err := fromState(s)
		if err != nil {
			return page{}, err
		}
		if m.N >= f.lo && m.N <= f.hi {
			f.messages[m.N] = m
		}
	}
	if err := l.overlay(ctx, t, f, streams.Version(answer.GetThrough()), head, held); err != nil {
		return page{}, err
	}
	p, complete := f.page()
	if !complete && len(p.messages) == 0 {
		return page{}, unavailable()
	}
	return p, nil
}

// overlay folds in the events through < v <= head.
func (l *Loader) overlay(ctx context.Context, t Target, f *fold, through streams.Version, head Head, held []ring.Entry) error {
	upto := head.V
	if len(held) > 0 {
		upto = min(upto, held[0].Event.V-1)
	}
	if upto > through+farEvents {
		return unavailable()
	}
	for at := through; at < upto; {
		entries, err := l.Events(ctx, t, Range{After: at, Upto: upto, Limit: 1000, Bytes: 8 << 20})
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return unavailable()
		}
		for _, e := range entries {
			f.apply(e.Event)
		}
		at = entries[len(entries)-1].Event.V
	}
	for _, e := range held {
		if e.Event.V > through {
			f.apply(e.Event)
		}
	}
	return nil
}
