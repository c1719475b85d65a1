package eventlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// records publishes to a snapshot's stream and returns its last sequence.
func records(t *testing.T, n *streamtest.NATS, subjects []string, data []byte) streams.Seq {
	t.Helper()
	last := streams.Seq(0)
	for _, s := range subjects {
		ack, err := n.JS.Publish(t.Context(), s, data)
		if err != nil {
			t.Fatal(err)
		}
		last = streams.Seq(ack.Sequence)
	}
	return last
}

func members(count int) []string {
	subjects := make([]string, count)
	for i := range subjects {
		subjects[i] = streams.StateMember(0, "g", streams.User(fmt.Sprint("u", i)))
	}
	return subjects
}

// newest returns the subjects of what Newest visits, in its order.
func newest(t *testing.T, n *streamtest.NATS, from streams.Seq, subjects ...string) ([]string, error) {
	t.Helper()
	var seen []string
	err := eventlog.NewReader(n.Conn, streams.StateStream(0)).Newest(t.Context(), streams.StateFence(0), from, subjects, func(m eventlog.Message) error {
		seen = append(seen, m.Subject)
		return nil
	})
	return seen, err
}

func TestNewestOfEachSubject(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	all := members(1200)
	records(t, n, []string{streams.StateFence(0)}, nil)
	last := records(t, n, append(slices.Clone(all), all[0]), []byte("x")) // the first is the newest now
	absent := streams.StateMember(0, "h", "u0")

	seen, err := newest(t, n, last, all[0], absent, all[7], all[3])
	if want := []string{all[3], all[7], all[0]}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("got %v %v, want %v", seen, err, want)
	}
	if seen, err := newest(t, n, last, absent); err != nil || len(seen) != 0 {
		t.Errorf("of none there: %v %v", seen, err)
	}
	if seen, err := newest(t, n, last, all[:eventlog.MaxNewest]...); err != nil || len(seen) != eventlog.MaxNewest {
		t.Errorf("of as many as one call may name: %d, %v", len(seen), err)
	}
	if _, err := newest(t, n, last, streams.StateMembers(0, "g")); !errors.Is(err, eventlog.ErrTooMany) {
		t.Errorf("of a wildcard for 1,200: %v", err)
	}
	if _, err := newest(t, n, last+1, all[0]); !errors.Is(err, eventlog.ErrBehind) {
		t.Errorf("of a stream that is behind: %v", err)
	}
}

func TestNewestGoesOnWhereAnAnswerIsCutOff(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	all := members(25)
	records(t, n, []string{streams.StateFence(0)}, nil)
	last := records(t, n, all, bytes.Repeat([]byte("x"), 900<<10)) // 22 MB
	seen, err := newest(t, n, last, all...)
	if err != nil || !slices.Equal(seen, all) {
		t.Errorf("got %d of %d: %v", len(seen), len(all), err)
	}
}

// TestNewestIsAsNewAsWhatWasAcknowledged reads right behind each write, through
// the connections to all three nodes: a follower that lags must not be believed.
func TestNewestIsAsNewAsWhatWasAcknowledged(t *testing.T) {
	cluster := streamtest.Three(t)
	streamtest.Provision(t, cluster[0], topology.Deployment{Partitions: 1, Replicas: 3})
	records(t, cluster[0], []string{streams.StateFence(0)}, nil)
	subject := members(1)[0]
	stale := 0
	for i := range 300 {
		ack, err := cluster[0].JS.Publish(t.Context(), subject, fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		reader := eventlog.NewReader(cluster[i%3].Conn, streams.StateStream(0))
		if m, err := reader.Last(t.Context(), subject); err != nil || string(m.Data) != fmt.Sprint(i) {
			stale++ // what a plain read would have believed
		}
		got := ""
		err = reader.Newest(t.Context(), streams.StateFence(0), streams.Seq(ack.Sequence), []string{subject}, func(m eventlog.Message) error {
			got = string(m.Data)
			return nil
		})
		if err != nil || got != fmt.Sprint(i) {
			t.Fatalf("write %d: read %q, %v", i, got, err)
		}
	}
	t.Logf("%d of 300 plain reads were stale", stale)
}

func TestSubjectsThatMatch(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	core := []string{streams.StateChannel(0, "g", "c"), streams.StateFence(0), streams.StateGroup(0, "g")}
	last := records(t, n, append(members(50), core...), []byte("x"))
	reader := eventlog.NewReader(n.Conn, streams.StateStream(0))
	got, err := reader.Subjects(t.Context(), streams.StateFilter(0), last)
	slices.Sort(core)
	if err != nil || !slices.Equal(got, core) {
		t.Errorf("got %v %v, want %v", got, err, core)
	}
	if _, err := reader.Subjects(t.Context(), streams.StateFilter(0), last+1); !errors.Is(err, eventlog.ErrBehind) {
		t.Errorf("of a stream that is behind: %v", err)
	}
	if got, err := reader.Subjects(t.Context(), streams.StateAttributes(0, "g", "c"), last); err != nil || len(got) != 0 {
		t.Errorf("of none there: %v %v", got, err)
	}
	if _, err := eventlog.NewReader(n.Conn, "NONE").Subjects(t.Context(), ">", 0); err == nil {
		t.Error("of a stream that is not there: no error")
	}
}
