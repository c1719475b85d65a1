package sequencer_test

import (
	"context"
	"crypto/rand"
	"slices"
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

// It proves that what a user sends behind an edit that is looked up is decided
// behind it, and what others send is not held up.
func TestNobodysLaterBatchPassesAnEarlierOne(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	var searches []func()
	seq := sequencer.NewStepped(sequencer.Config{
		Deployment: topology.Deployment{Partitions: 1, Replicas: 1}, Claims: sequencer.NewClaims(nil, "test", 1),
		Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
		Now: time.Now, SnapshotEvery: time.Hour,
	}, eventlog.OverNATS(n.Conn), func(f func()) { searches = append(searches, f) }, func() bool { return true }, sequencer.Breakage{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var answered []string
	send := func(name string, user streams.User, bodies ...any) {
		t.Helper()
		b := &sequencer.Batch{Respond: func(results []*streampb.Result) {
			answered = append(answered, name)
			if r := results[0].GetRejection(); r != nil {
				t.Errorf("%s: %v", name, r)
			}
		}}
		for _, body := range bodies {
			var entropy [10]byte
			_, _ = rand.Read(entropy[:])
			b.Commands = append(b.Commands, sequencer.Command{
				Group: "g", ClientID: streams.MakeClientID(time.Now().UnixMilli(), entropy),
				Request: group.Request{User: user, Body: body},
			})
		}
		if err := seq.Submit(b); err != nil {
			t.Fatal(err)
		}
	}
	// work does what is to be done, searches aside, until so many are answered.
	work := func(count int) {
		t.Helper()
		streamtest.Eventually(t, patience, "answers", func() bool {
			for thing := range 3 {
				if _, err := seq.Do(ctx, thing); err != nil {
					t.Fatal(err)
				}
			}
			return len(answered) == count
		})
	}
	takeOver := func() {
		t.Helper()
		if err := seq.TakeOver(ctx, 100); err != nil {
			t.Fatal(err)
		}
		if err := seq.Resume(ctx); err != nil {
			t.Fatal(err)
		}
	}

	message := &streampb.Send{Channel: "c", Type: "text", Body: []byte("x")}
	takeOver()
	send("prepare", "alice", &streampb.CreateGroup{Kind: "community", Name: "G"}, &streampb.CreateChannel{Channel: "c", Kind: "public"}, message)
	send("join", "bob", &streampb.Join{})
	work(2)
	seq.End(false, nil)
	takeOver() // nobody remembers who wrote the message

	search := func() {
		for len(searches) > 0 {
			first := searches[0]
			searches = searches[1:]
			first()
		}
	}
	send("alice is loaded", "alice", &streampb.ReadGroup{})
	send("bob is loaded", "bob", &streampb.ReadGroup{})
	for len(answered) < 4 { // each thing may be due only after another
		search()
		for thing := range 3 {
			if _, err := seq.Do(ctx, thing); err != nil {
				t.Fatal(err)
			}
		}
	}
	answered = nil

	send("edit", "alice", &streampb.Edit{Channel: "c", N: 1, Body: []byte("y")})
	send("later", "alice", message)
	send("latest", "alice", message)
	send("other", "bob", message)
	work(1)
	search()
	work(4)
	if want := []string{"other", "edit", "later", "latest"}; !slices.Equal(answered, want) {
		t.Errorf("answered in the order %v, want %v", answered, want)
	}
	seq.End(true, nil)
}
