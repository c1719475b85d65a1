package sequencer_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// failing brings only so many appends to NATS; a negative number is no limit.
type failing struct {
	eventlog.Transport
	left int
}

func (f *failing) Publish(msg *nats.Msg) error {
	if f.left == 0 {
		return nil // lost on the way
	}
	f.left--
	return f.Transport.Publish(msg)
}

// It cuts a command that adds ten members short after four of their events, as
// a crash does. The next term has four, is not taken in by the command's id
// being in the log, and adds the others; nobody joins twice.
func TestAnAddOfManyThatWasCutShortIsFinished(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	transport := &failing{Transport: eventlog.OverNATS(n.Conn), left: -1}
	s := newStepper(t, transport)
	s.takeOver()
	s.asked("olga", &streampb.CreateGroup{Kind: "community"})
	many := &streampb.AddMembers{}
	for i := range 10 {
		many.Users = append(many.Users, fmt.Sprint("m", i))
	}
	transport.left = 4
	s.ask("backend", many)
	for s.Left() > 0 {
		s.step(0)
	}
	head := func() streams.Seq {
		t.Helper()
		info, err := n.JS.Stream(t.Context(), streams.LogStream(0))
		if err != nil {
			t.Fatal(err)
		}
		return streams.Seq(info.CachedInfo().State.LastSeq)
	}
	streamtest.Eventually(t, patience, "four joins are stored", func() bool { return head() == 1+2+4 }) // behind the fence and the group
	s.End(false, nil)
	transport.left = -1
	if s.answers["backend"] != nil {
		t.Fatalf("answered before all was stored: %v", s.answers["backend"])
	}
	s.takeOver()
	s.run("the add is answered", func() bool { return s.answers["backend"] != nil })
	if r := s.answers["backend"]; r.GetRejection() != nil || r.GetDuplicate() || r.GetV() != 11 {
		t.Errorf("the add: %v", r)
	}
	if got := s.asked("olga", &streampb.ReadGroup{}).GetGroupInfo().GetCensus().GetMembers(); got != 11 {
		t.Errorf("%d members, want 11", got)
	}
	if want := streams.Seq(1 + 2 + 4 + 1 + 6); head() != want { // a fence between
		t.Errorf("the log ends at %d, want %d", head(), want)
	}
	s.End(true, nil)
}
