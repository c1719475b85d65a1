package sequencer_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// stepper is a sequencer that a test moves against a real NATS: what its term
// does beside deciding waits until the test wants it.
type stepper struct {
	*sequencer.Stepped
	t       *testing.T
	beside  []func()
	answers map[streams.User]*streampb.Result // to the newest command of each
}

func newStepper(t *testing.T, transport eventlog.Transport) *stepper {
	s := &stepper{t: t, answers: map[streams.User]*streampb.Result{}}
	s.Stepped = sequencer.NewStepped(sequencer.Config{
		Deployment: topology.Deployment{Partitions: 1, Replicas: 1}, Claims: sequencer.NewClaims(nil, "test", 1),
		Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
		Now: time.Now, SnapshotEvery: time.Nanosecond,
	}, transport, func(f func()) { s.beside = append(s.beside, f) }, func() bool { return true }, sequencer.Breakage{})
	return s
}

func (s *stepper) takeOver() {
	s.t.Helper()
	if err := s.TakeOver(s.t.Context(), 100); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Resume(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// step does each of these things, if it is due.
func (s *stepper) step(things ...int) {
	s.t.Helper()
	for _, thing := range things {
		if _, err := s.Do(s.t.Context(), thing); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run does what is due, what is beside too, until done.
func (s *stepper) run(what string, done func() bool) {
	s.t.Helper()
	streamtest.Eventually(s.t, patience, what, func() bool {
		s.step(0, 1, 2, 3)
		for len(s.beside) > 0 {
			first := s.beside[0]
			s.beside = s.beside[1:]
			first()
		}
		return done()
	})
}

// ask hands in a command; backend has a server token.
func (s *stepper) ask(user streams.User, body any) {
	s.t.Helper()
	delete(s.answers, user)
	b := &sequencer.Batch{
		Commands: []sequencer.Command{{Group: "g", ClientID: newID(), Request: group.Request{User: user, Server: user == "backend", Body: body}}},
		Respond:  func(r []*streampb.Result) { s.answers[user] = r[0] },
	}
	if err := s.Submit(b); err != nil {
		s.t.Fatal(err)
	}
}

// asked asks, and waits for the answer.
func (s *stepper) asked(user streams.User, body any) *streampb.Result {
	s.t.Helper()
	s.ask(user, body)
	s.run(string(user)+" is answered", func() bool { return s.answers[user] != nil })
	return s.answers[user]
}
