package sequencer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// counting counts the requests for records of members.
type counting struct {
	eventlog.Transport
	requests int
}

func (c *counting) RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	if strings.Contains(string(body), ".member.") {
		c.requests++
	}
	return c.Transport.RequestMany(ctx, subject, body, visit)
}

// It has many come at once whom nobody has in memory, and strangers among them:
// those that find four requests under way are asked for in one more. Then the
// term ends while some wait for that, and the next one decides them.
func TestWhoComesAtOnceIsAskedForTogether(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	transport := &counting{Transport: eventlog.OverNATS(n.Conn)}
	s := newStepper(t, transport)
	const members, strangers = 30, 10
	many := &streampb.AddMembers{}
	for i := range members {
		many.Users = append(many.Users, fmt.Sprint("m", i))
	}
	s.takeOver()
	s.asked("olga", &streampb.CreateGroup{Kind: "community"})
	s.asked("backend", many)
	streamtest.Eventually(t, patience, "the snapshot", func() bool {
		s.step(8, 3) // the tick, and what the snapshot's stream says
		return s.Memory().Checkpoint() >= members
	})
	for _, interrupted := range []bool{false, true} {
		s.End(false, nil)
		s.beside, transport.requests = nil, 0
		clear(s.answers)
		s.takeOver()
		for i := range members + strangers {
			s.ask(streams.User(fmt.Sprint("m", i)), &streampb.ReadGroup{})
		}
		for s.Left() > 0 {
			s.step(0)
		}
		if len(s.beside) != 4 || transport.requests != 0 {
			t.Fatalf("%d requests begin, of %d", len(s.beside), transport.requests)
		}
		if interrupted {
			for _, begun := range s.beside {
				begun()
			}
			s.beside = nil
			s.End(false, nil)
			s.takeOver()
		}
		s.run("all are answered", func() bool { return len(s.answers) == members+strangers })
		if !interrupted && transport.requests != 5 {
			t.Errorf("%d requests for %d users, want 5", transport.requests, members+strangers)
		}
		for i := range members + strangers {
			user, want := streams.User(fmt.Sprint("m", i)), ""
			if i >= members {
				want = string(streams.NotMember)
			}
			if got := s.answers[user].GetRejection().GetCode(); got != want {
				t.Errorf("%s: got %q, want %q", user, got, want)
			}
		}
	}
	s.End(true, nil)
}
