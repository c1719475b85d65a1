package hidden_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

func store(t *testing.T, n *streamtest.NATS) *hidden.Store {
	t.Helper()
	return hidden.New(hidden.Config{
		Conn: n.Conn, JS: n.JS, Partitions: 2, Logger: streamtest.Logger(t), Every: 10 * time.Millisecond,
	})
}

func code(err error) streams.Code { return streams.AsRejection(err).Code }

// Two edges write the same record at once, through replicas of which any may be
// behind: nothing is lost.
func TestHidesFromManySidesLoseNone(t *testing.T) {
	const each = 20
	cluster := streamtest.Three(t)
	streamtest.Provision(t, cluster[0], topology.Deployment{Partitions: 2, Replicas: 3})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		s := store(t, cluster[i%3])
		all.Go(func() {
			for n := range streams.Number(each) {
				if _, err := s.Add(ctx, "bob", "g", "c", n*4+streams.Number(i)+1); err != nil {
					t.Errorf("hide from side %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	streamtest.Eventually(t, 10*time.Second, "all replicas hold all", func() bool {
		for _, n := range cluster {
			found, err := store(t, n).Load(ctx, "bob", "g")
			if err != nil || len(found) != 1 || len(found["c"]) != 4*each {
				return false
			}
		}
		return true
	})
}

func TestLoadReadsOneUserInOneGroup(t *testing.T) {
	n := streamtest.Provisioned(t, 2)
	s := store(t, n)
	for _, add := range []struct {
		u streams.User
		g streams.Group
		c streams.Channel
		n streams.Number
	}{{"bob", "g", "c", 7}, {"bob", "g", "c", 3}, {"bob", "g", "c", 7}, {"bob", "g", "d", 1}, {"bob", "h", "c", 2}, {"carol", "g", "c", 5}} {
		if _, err := s.Add(t.Context(), add.u, add.g, add.c, add.n); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		found, err := s.Load(t.Context(), "bob", "g")
		if err != nil || len(found) != 2 || len(found["c"]) != 2 || !found["c"].Has(3) || !found["c"].Has(7) || !found["d"].Has(1) {
			t.Errorf("%s: %v, %v", when, found, err)
		}
		if found, err := s.Load(t.Context(), "dave", "g"); err != nil || len(found) != 0 {
			t.Errorf("%s, of somebody else: %v, %v", when, found, err)
		}
	}
	check("before anything is told")
	told, ctx := make(chan hidden.Record, 100), t.Context()
	go s.Run(ctx, func(r hidden.Record) { told <- r })
	for range 4 { // the newest of each channel
		<-told
	}
	check("behind what was told")
	if _, err := store(t, n).Add(ctx, "bob", "g", "e", 9); err != nil { // another edge's
		t.Fatal(err)
	}
	r := <-told
	if r.User != "bob" || r.Group != "g" || r.Channel != "e" || !r.Numbers.Has(9) {
		t.Errorf("told of %+v", r)
	}
	streamtest.Eventually(t, 5*time.Second, "what was told of is loaded", func() bool {
		found, err := s.Load(ctx, "bob", "g")
		return err == nil && found["e"].Has(9)
	})
}

func TestAUserHidesSoManyAndNoMore(t *testing.T) {
	n := streamtest.Provisioned(t, 2)
	record := &streampb.HiddenRecord{}
	for i := range uint64(streams.MaxHidden - 1) {
		record.N = append(record.N, streams.MaxInteger-streams.MaxHidden+i) // the longest there are
	}
	data, err := proto.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	subject := streams.HiddenSubject(streams.UserPartition("bob", 2), "bob", "g", "c")
	if _, err := n.JS.Publish(t.Context(), subject, data); err != nil {
		t.Fatal(err)
	}
	s := store(t, n)
	if all, err := s.Add(t.Context(), "bob", "g", "c", 1); err != nil || len(all) != streams.MaxHidden {
		t.Fatalf("the last one: %d, %v", len(all), err)
	}
	if _, err := s.Add(t.Context(), "bob", "g", "c", 2); code(err) != streams.Conflict {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.Add(t.Context(), "bob", "g", "c", 1); err != nil {
		t.Errorf("one of them again: %v", err)
	}
}

// Where the streams are missing users read on and hide nothing; where they do not
// answer, nothing is said to be hidden or not.
func TestWithoutTheStreams(t *testing.T) {
	n := streamtest.New(t)
	s := store(t, n)
	if found, err := s.Load(t.Context(), "bob", "g"); err != nil || len(found) != 0 {
		t.Errorf("not provisioned: %v, %v", found, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Add(ctx, "bob", "g", "c", 1); code(err) != streams.Unavailable {
		t.Errorf("hidden in what is not provisioned: %v", err)
	}
	n.Conn.Close()
	var refused *streams.Rejection
	if _, err := s.Load(t.Context(), "bob", "g"); !errors.As(err, &refused) || refused.Code != streams.Unavailable {
		t.Errorf("without NATS: %v", err)
	}
}
