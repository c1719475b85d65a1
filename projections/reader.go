package projections

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

const (
	// pageLimit is how many entries of the log one request brings.
	pageLimit = 1000
	// pageWithin bounds one request: NATS may lose the answer.
	pageWithin = 5 * time.Second
	// placesWithin bounds a query for places.
	placesWithin = 10 * time.Second
)

// chunk is what a reader made of one page, in order of the log.
type chunk struct {
	partition streams.Partition
	through   streams.Seq // everything up to here is in this chunk or an earlier one
	records   []history.Record
	refusals  []history.Refusal
	bytes     int
}

// reader follows one partition's log from where ClickHouse stands. It is
// owned by its goroutine; a new one is made after every failure.
type reader struct {
	partition streams.Partition
	log       *eventlog.Reader
	sink      Sink
	progress  *progress // shared with writer and watch
	metrics   *metrics
	logger    *slog.Logger
	poll      time.Duration
	nats      *outage

	position streams.Seq   // everything up to here is taken
	epoch    streams.Epoch // newest fence or term seen
	first    streams.Seq   // the log is known to begin no earlier than here
	places   *places
	refused  map[streams.Seq]bool // set aside and perhaps not stored yet
}

// begin sets the reader to where the sink stands.
func (r *reader) begin(head history.Head) {
	r.position, r.epoch = head.Seq, head.Epoch
	r.places, r.refused = newPlaces(maxPlaces), map[streams.Seq]bool{}
}

// run sends chunks until ctx is done or ClickHouse fails, which it returns.
// NATS failing is waited out.
func (r *reader) run(ctx context.Context, chunks chan<- chunk) error {
	pauses := newPauses()
	for {
		page, more, err := r.page(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.nats.begin(err)
			if err := pause(ctx, pauses.NextBackOff()); err != nil {
				return err
			}
			continue
		}
		r.nats.end()
		pauses.Reset()
		if len(page) > 0 {
			taken, err := r.take(ctx, page)
			if err != nil {
				return err
			}
			select {
			case chunks <- taken:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if !more {
			if err := pause(ctx, r.poll); err != nil {
				return err
			}
		}
	}
}

func (r *reader) page(ctx context.Context) ([]eventlog.Message, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	return r.log.Page(ctx, streams.LogFilter(r.partition), r.position+1, pageLimit)
}

// take judges a page and moves on past it. It fails only when ClickHouse does.
func (r *reader) take(ctx context.Context, page []eventlog.Message) (chunk, error) {
	r.noticePurge(page[0].Seq)
	stored := r.progress.stored()
	r.places.trim(stored)
	for seq := range r.refused {
		if seq <= stored {
			delete(r.refused, seq)
		}
	}
	entries := make([]entry, len(page))
	var unknown []history.Place
	asked := map[history.Place]bool{}
	for i, m := range page {
		entries[i] = decode(m)
		if e := entries[i].event; e != nil {
			key := history.Place{Group: e.Group, Channel: e.Channel}
			if !r.places.has(key) && !asked[key] {
				asked[key] = true
				unknown = append(unknown, key)
			}
		}
	}
	if err := r.load(ctx, unknown); err != nil {
		return chunk{}, err
	}
	taken := chunk{partition: r.partition, through: page[len(page)-1].Seq}
	taken.records = make([]history.Record, 0, len(page))
	for i, m := range page {
		r.position = m.Seq
		switch entry := entries[i]; {
		case entry.fence:
			r.epoch = max(r.epoch, streams.Epoch(m.Seq))
		case entry.refusal != "":
			r.refuse(&taken, m, entry.refusal)
		case entry.event != nil:
			belongs, err := r.judge(ctx, entry.event)
			if err != nil {
				return chunk{}, err
			}
			if belongs {
				taken.records = append(taken.records, history.Record{Partition: r.partition, Event: entry.event, Data: m.Data})
				taken.bytes += len(m.Data)
			}
		}
	}
	return taken, nil
}

// entry is what one stored message is: a fence, an event, something that could
// not be read, or (all empty) nothing of interest.
type entry struct {
	fence   bool
	event   *streams.Event
	refusal string
}

func decode(m eventlog.Message) entry {
	token, ok := streams.ParseLog(m.Subject)
	switch {
	case !ok:
		return entry{refusal: "the subject is not of the log"}
	case token.Fence:
		return entry{fence: true}
	case token.Canary:
		return entry{}
	}
	e, err := streams.UnmarshalEvent(m.Data, m.Seq)
	switch {
	case err != nil:
		return entry{refusal: err.Error()}
	case e.Group != token.Group || e.Channel != token.Channel:
		return entry{refusal: "the event is of another channel than its subject"}
	}
	return entry{event: e}
}

func (r *reader) refuse(taken *chunk, m eventlog.Message, reason string) {
	r.metrics.refused.Inc()
	r.logger.Error("an entry of the log cannot be read and is set aside", "seq", m.Seq, "subject", m.Subject, "err", reason)
	r.refused[m.Seq] = true
	taken.refusals = append(taken.refusals, history.Refusal{
		Partition: r.partition, Seq: m.Seq, Subject: m.Subject, Reason: reason, Data: m.Data,
	})
	taken.bytes += len(m.Data)
}

// load reads the places of channels from ClickHouse.
func (r *reader) load(ctx context.Context, unknown []history.Place) error {
	if len(unknown) == 0 {
		return nil
	}
	ctx, cancel := withGrace(ctx, placesWithin)
	defer cancel()
	known, err := r.sink.Places(ctx, unknown)
	if err != nil {
		return err
	}
	for _, key := range unknown {
		r.places.put(key, known[key], 0)
	}
	return nil
}

// judge decides whether an event is taken, and counts it if not.
func (r *reader) judge(ctx context.Context, e *streams.Event) (bool, error) {
	key := history.Place{Group: e.Group, Channel: e.Channel}
	place := r.places.at(key)
	place.Epoch = max(place.Epoch, r.epoch)
	verdict := streams.Judge(place, e)
	if verdict == streams.Ahead {
		follows, err := r.followsDamage(ctx, place, e)
		if err != nil {
			return false, err
		}
		if follows {
			verdict = streams.Belongs
		}
	}
	if verdict != streams.Belongs {
		r.metrics.dropped.WithLabelValues(verdict.String()).Inc()
		if verdict != streams.Known {
			r.logger.Warn("an event does not belong and is left out", "verdict", verdict.String(),
				"group", e.Group, "channel", e.Channel, "v", e.V, "seq", e.Seq, "epoch", e.Epoch)
		}
		return false, nil
	}
	r.epoch = max(r.epoch, e.Epoch)
	r.places.put(key, place.After(e), e.Seq)
	return true, nil
}

// followsDamage reports whether what is missing before e will never come: its
// predecessor was purged from the log, or set aside.
func (r *reader) followsDamage(ctx context.Context, place streams.Place, e *streams.Event) (bool, error) {
	if e.Prev == 0 || e.Prev >= e.Seq {
		return false, nil
	}
	if e.Prev < max(r.first, r.progress.first()) {
		missing := uint64(e.V - place.V - 1)
		r.metrics.lost.Add(float64(missing))
		r.logger.Error("events were purged from the log before they were stored: history has a hole",
			"group", e.Group, "channel", e.Channel, "after", place.V, "v", e.V, "seq", e.Seq)
		return true, nil
	}
	if r.refused[e.Prev] {
		return true, nil
	}
	ctx, cancel := withGrace(ctx, placesWithin)
	defer cancel()
	return r.sink.Refused(ctx, r.partition, e.Prev)
}

// noticePurge compares the first entry that was read with where the reader
// stood: JetStream leaves no holes, so what lies between was purged. These may
// be fences alone, of which ClickHouse keeps no trace; that an event is among
// them shows where its channel goes on.
func (r *reader) noticePurge(seq streams.Seq) {
	if seq == r.position+1 {
		return
	}
	r.first = seq
	r.metrics.purged.Inc()
	r.logger.Warn("the log begins after what is stored: fences were purged, or events that were not read",
		"after", r.position, "seq", seq)
}

// pause waits, unless ctx is done first, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("projection: %w", context.Cause(ctx))
	}
}
