package backfill

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

const (
	// clocksApart is how far the clock that gives events their ts may run ahead
	// of the log's own.
	clocksApart = time.Minute
	// behindFor is the wait before a replica that lags is asked again.
	behindFor = 50 * time.Millisecond
)

// Authors asks for what users wrote in one group since a place of the log or
// a time.
type Authors struct {
	Partition streams.Partition
	Group     streams.Group
	Users     map[streams.User]bool
	Seq       streams.Seq // from here on; 0 is the beginning
	TS        int64       // from then on, ms since 1970 UTC; 0 for all
	// Channels are all of the group's as the owner says they are: deleted ones
	// and the group's own, too. What is written behind them is not asked for.
	Channels []*streampb.ChannelInfo
}

// Head is the newest place of the group that is asked for.
func (a *Authors) Head() streams.Seq {
	head := streams.Seq(0)
	for _, c := range a.Channels {
		head = max(head, streams.Seq(c.GetSeq()))
	}
	return head
}

func (a *Authors) asks(u streams.User, seq streams.Seq, ts int64) bool {
	return a.Users[u] && seq >= a.Seq && ts >= a.TS
}

// Written is a message of those users.
type Written struct {
	Channel streams.Channel
	N       streams.Number
	User    streams.User
}

// Logged is what of it the log holds.
type Logged struct {
	Messages []Written // not recalled so far, by channel and number
	Complete bool      // nothing of it was purged
	// Below is up to which number, exclusive, a channel's messages lie before
	// what was read of the log.
	Below map[streams.Channel]streams.Number
}

// place is one channel in a pass over a group's log.
type place struct {
	below    streams.Number
	written  []Written        // what is asked for, ascending
	recalled []streams.Number // what the pass saw recalled
}

// Logged reads the group's log once, up to [Authors.Head]: replicas that have
// not come so far are asked again until ctx ends. It holds some 50
// bytes for each message it finds and 8 for each recall.
func (l *Loader) Logged(ctx context.Context, a *Authors) (Logged, error) {
	reader, filter, head := l.readers[a.Partition], streams.GroupLogFilter(a.Partition, a.Group), a.Head()
	from, err := l.start(ctx, a, head)
	if err != nil {
		return Logged{}, err
	}
	l.metrics.loaded(fromLog)
	places, at := map[streams.Channel]*place{}, from
	terms := l.terms[a.Partition]
	for at <= head {
		err := reader.Scan(ctx, filter, at, head, func(m eventlog.Message) error {
			at = m.Seq + 1
			e, err := streams.UnmarshalEvent(m.Data, m.Seq)
			if err != nil {
				return err
			}
			switch end, over, err := terms.end(ctx, e.Epoch); {
			case err != nil:
				return err
			case over && e.Seq > end:
				l.metrics.stale.Inc()
				return nil
			}
			take(places, a, e)
			return nil
		})
		if err != nil {
			return Logged{}, err
		}
		if at > head {
			break
		}
		// Either that replica is behind, or the log was purged beyond head.
		oldest, err := reader.Next(ctx, streams.LogFilter(a.Partition), 1)
		if err != nil && !errors.Is(err, eventlog.ErrNoMessage) {
			return Logged{}, err
		}
		if errors.Is(err, eventlog.ErrNoMessage) || oldest.Seq > head {
			break
		}
		if err := wait(ctx); err != nil {
			return Logged{}, err
		}
	}
	return l.sum(ctx, a, places, from)
}

// take folds in one event.
func take(places map[streams.Channel]*place, a *Authors, e *streams.Event) {
	p := places[e.Channel]
	posted, isMessage := false, false
	switch payload := e.Payload.(type) {
	case streams.MessagePosted:
		isMessage, posted = true, a.asks(e.User, e.Seq, e.TS)
	case streams.MessageRecalled:
		if p != nil {
			p.recalled = append(p.recalled, streams.Number(payload.GetTarget()))
		}
	}
	if p == nil {
		p = &place{below: e.N + 1}
		if isMessage {
			p.below = e.N
		}
		if r, ok := e.Payload.(streams.MessageRecalled); ok {
			p.recalled = append(p.recalled, streams.Number(r.GetTarget()))
		}
		places[e.Channel] = p
	}
	if posted {
		p.written = append(p.written, Written{e.Channel, e.N, e.User})
	}
}

// start finds where in the log to begin; beyond head if there is nothing.
func (l *Loader) start(ctx context.Context, a *Authors, head streams.Seq) (streams.Seq, error) {
	if a.TS == 0 {
		return max(a.Seq, 1), nil
	}
	reader, then := l.readers[a.Partition], time.UnixMilli(a.TS).Add(-clocksApart)
	for {
		seq, err := reader.Since(ctx, streams.LogFilter(a.Partition), then)
		switch {
		case err == nil:
			return max(seq, a.Seq), nil
		case !errors.Is(err, eventlog.ErrNoMessage):
			return 0, err
		}
		// Nothing is so new, or the replica is behind: where head stands tells.
		switch m, err := reader.At(ctx, head); {
		case err == nil && m.Time.Before(then):
			return head + 1, nil
		case errors.Is(err, eventlog.ErrNoMessage):
			oldest, err := reader.Next(ctx, streams.LogFilter(a.Partition), 1)
			if err == nil && oldest.Seq > head { // long purged
				return head + 1, nil
			}
		case err != nil:
			return 0, err
		}
		if err := wait(ctx); err != nil {
			return 0, err
		}
	}
}

func wait(ctx context.Context) error {
	timer := time.NewTimer(behindFor)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sum makes the answer of a pass.
func (l *Loader) sum(ctx context.Context, a *Authors, places map[streams.Channel]*place, from streams.Seq) (Logged, error) {
	out := Logged{Below: map[streams.Channel]streams.Number{}}
	oldest, err := l.readers[a.Partition].Next(ctx, streams.LogFilter(a.Partition), 1)
	switch {
	case err == nil:
		purgedFor := time.UnixMilli(a.TS).Add(-clocksApart)
		out.Complete = oldest.Seq <= max(1, a.Seq) || a.TS != 0 && oldest.Time.Before(purgedFor)
	case !errors.Is(err, eventlog.ErrNoMessage):
		return Logged{}, err
	}
	for _, c := range a.Channels {
		name := streams.Channel(c.GetChannel())
		if name.Reserved() || c.GetDeleted() {
			continue // there are no messages, or none anybody sees
		}
		p := places[name]
		if p == nil {
			out.Below[name] = streams.Number(c.GetN()) + 1
			continue
		}
		out.Below[name] = p.below
		slices.Sort(p.recalled)
		for _, m := range p.written {
			if _, found := slices.BinarySearch(p.recalled, m.N); !found {
				out.Messages = append(out.Messages, m)
			}
		}
	}
	return out, nil
}

// Stored adds to found, up to most, what of it lies below a number of one
// channel, by the projections. Errors are [*streams.Rejection] with
// history_unavailable.
func (l *Loader) Stored(ctx context.Context, a *Authors, c *streampb.ChannelInfo, below streams.Number, found []Written, most int) ([]Written, error) {
	for below > 1 && len(found) < most {
		answer := &streampb.HistoryPage{}
		question := &streampb.HistoryQuery{Group: string(a.Group), Channel: c.GetChannel(), Before: uint64(below), Limit: 1000}
		if err := l.ask(ctx, streams.QueryHistory, question, answer); err != nil {
			return found, err
		}
		if answer.GetError() != nil || len(answer.GetMessages()) == 0 {
			return found, unavailable()
		}
		older := true // all of the page than what is asked for
		for _, m := range answer.GetMessages() {
			n, seq := streams.Number(m.GetN()), streams.Seq(m.GetSeq())
			if below = min(below, n); seq >= a.Seq && m.GetTs() >= a.TS {
				older = false
			}
			if _, recalled := slices.BinarySearch(c.GetRecalled(), uint64(n)); recalled || m.GetRecalled() {
				continue
			}
			if user := streams.User(m.GetUser()); a.asks(user, seq, m.GetTs()) {
				found = append(found, Written{streams.Channel(c.GetChannel()), n, user})
			}
		}
		if older {
			break
		}
	}
	return found, nil
}
