package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const patience = 30 * time.Second

// sequencer appends the events of a log, as the owner of its partition would.
type sequencer struct {
	t    testing.TB
	log  *logtest.Log
	term *eventlog.Term
}

func newSequencer(t testing.TB, n *streamtest.NATS, log *logtest.Log) *sequencer {
	t.Helper()
	writer := eventlog.NewWriter(eventlog.WriterConfig{
		Conn: n.Conn, Stream: streams.LogStream(log.Partition), Fence: streams.FenceSubject(log.Partition),
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	term, err := writer.Fence(ctx, []byte("test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(term.Close)
	log.Epoch = term.Epoch()
	return &sequencer{t: t, log: log, term: term}
}

// next is the sequence the next event will have.
func (s *sequencer) next() streams.Seq { return s.term.Next() }

func (s *sequencer) append(e *streams.Event) {
	s.t.Helper()
	data, err := streams.MarshalEvent(e)
	if err != nil {
		s.t.Fatal(err)
	}
	s.raw(streams.LogSubject(s.log.Partition, e.Group, e.Channel), data)
}

func (s *sequencer) raw(subject string, data []byte) {
	for s.term.Unsettled() >= eventlog.MaxInFlight {
		s.settleOne()
	}
	s.term.Append(eventlog.Record{Subject: subject, Data: data})
}

func (s *sequencer) random(count int) {
	s.t.Helper()
	for range count {
		s.append(s.log.Next(s.next()))
	}
	s.settle()
}

func (s *sequencer) settle() {
	s.t.Helper()
	for s.term.Unsettled() > 0 {
		s.settleOne()
	}
}

func (s *sequencer) settleOne() {
	s.t.Helper()
	select {
	case reply := <-s.term.Replies():
		for _, ack := range s.term.Settle(reply) {
			if ack.Err != nil {
				s.t.Fatal(ack.Err)
			}
		}
	case <-time.After(patience):
		s.t.Fatalf("%d events not stored after %v", s.term.Unsettled(), patience)
	}
}

// start runs a projector until stop is called or the test ends.
func start(t testing.TB, config projections.Config) (stop func()) {
	t.Helper()
	if config.Logger == nil {
		config.Logger = streamtest.Logger(t)
	}
	p, err := projections.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("the projector did not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// awaitRows waits until the tables hold exactly what the logs say.
func awaitRows(t testing.TB, db *clickhouse.DB, logs ...*logtest.Log) {
	t.Helper()
	var events []*streams.Event
	for _, l := range logs {
		events = append(events, l.Events...)
	}
	last := ""
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	streamtest.Eventually(t, patience, "the tables hold the fold of the log", func() bool {
		var stored uint64
		err := db.Query(t.Context(), "SELECT count() FROM events FINAL", nil, func(scan func(...any) error) error { return scan(&stored) })
		if err != nil {
			last = err.Error()
			return false
		}
		if stored < uint64(len(events)) {
			last = fmt.Sprintf("%d events of %d", stored, len(events))
			return false
		}
		if last, err = logtest.Difference(t.Context(), db, events); err != nil {
			last = err.Error()
			return false
		}
		return last == ""
	})
}

func metric(t testing.TB, registry *prometheus.Registry, name string) (total float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

func leakless(t *testing.T) {
	existing := goleak.IgnoreCurrent() // nats-server's and the engine's
	t.Cleanup(func() { goleak.VerifyNone(t, existing) })
}

// locked is a logger into a buffer, which is read once the writers have ended.
func locked(into *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(into, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func provision(t testing.TB, n *streamtest.NATS) {
	streamtest.Provision(t, n, topology.Deployment{Partitions: 1, Replicas: 1})
}
