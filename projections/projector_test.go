package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
)

func TestTheTablesHoldTheFoldOfTheLog(t *testing.T) {
	leakless(t)
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 2)
	one, two := logtest.New(0, 1, 3), logtest.New(1, 2, 3)
	first, second := newSequencer(t, n, one), newSequencer(t, n, two)
	db := logtest.DB(t, dsn)
	registry := prometheus.NewRegistry()
	start(t, projections.Config{Conn: n.Conn, Partitions: 2, DSN: dsn, Registerer: registry})
	first.random(3000)
	second.random(3000)
	awaitRows(t, db, one, two)
	if got := metric(t, registry, "throng_projection_dropped_total"); got != 0 {
		t.Errorf("dropped: got %v, want 0", got)
	}
	streamtest.Eventually(t, patience, "the lag is 0", func() bool {
		return metric(t, registry, "throng_projection_lag_events") == 0
	})
}

func TestAQuietSystemIsCurrentWithinASecond(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 4)
	log := logtest.New(2, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	start(t, projections.Config{Conn: n.Conn, Partitions: 4, DSN: dsn})
	for i := range 5 {
		begun := time.Now()
		s.append(log.Message(s.next(), "g", "c", []byte("hello")))
		s.settle()
		streamtest.Eventually(t, patience, "the event is stored", func() bool {
			return count(t, db, "SELECT count() FROM events FINAL") == uint64(i+1)
		})
		if elapsed := time.Since(begun); elapsed > time.Second && i > 0 { // the first waits for the projector's start
			t.Errorf("event %d was stored after %v", i, elapsed)
		}
	}
}

// TestRivalsAndRestartsAtAnyMoment has one projector run through while others
// come and are killed in the middle of their writing.
func TestRivalsAndRestartsAtAnyMoment(t *testing.T) {
	leakless(t)
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 2)
	logs := []*logtest.Log{logtest.New(0, 3, 2), logtest.New(1, 4, 2)}
	sequencers := []*sequencer{newSequencer(t, n, logs[0]), newSequencer(t, n, logs[1])}
	db := logtest.DB(t, dsn)
	random := rand.New(rand.NewPCG(5, 5))
	config := func(registry prometheus.Registerer) projections.Config {
		return projections.Config{
			Conn: n.Conn, Partitions: 2, DSN: dsn, Registerer: registry,
			MaxRows: 1 + random.IntN(2000), Linger: time.Millisecond * time.Duration(1+random.IntN(30)),
		}
	}
	for round := range 12 {
		registry := prometheus.NewRegistry()
		stop := start(t, config(registry))
		stopRival := func() {}
		if round%3 == 0 {
			stopRival = start(t, config(nil))
		}
		for _, s := range sequencers {
			s.random(300 + random.IntN(900))
		}
		until := float64(1 + random.IntN(800))
		streamtest.Eventually(t, patience, "some rows are written", func() bool {
			return metric(t, registry, "throng_projection_rows_total") >= until || round > 8
		})
		stop()
		stopRival()
	}
	start(t, config(nil))
	start(t, config(nil))
	awaitRows(t, db, logs...)
}

// TestMoreChannelsThanAreRemembered has every channel forgotten before it
// speaks again.
func TestMoreChannelsThanAreRemembered(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	registry := prometheus.NewRegistry()
	start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry, MaxRows: 1000})
	const channels = 9000
	made := log.Channels(channels)
	for range 2 {
		for _, post := range made {
			s.append(post(s.next()))
		}
	}
	s.settle()
	streamtest.Eventually(t, patience, "all is stored", func() bool {
		return count(t, db, "SELECT count() FROM events FINAL") == 2*channels
	})
	if got := metric(t, registry, "throng_projection_dropped_total"); got != 0 {
		t.Errorf("dropped: got %v, want 0", got)
	}
}

func TestWhatWasPurgedUnreadIsCountedAndTheRestGoesOn(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	post := func(channel streams.Channel) *streams.Event {
		e := log.Message(s.next(), "g", channel, []byte("x"))
		s.append(e)
		return e
	}
	config := projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn}
	stop := start(t, config)
	for range 10 {
		post("busy")
		post("quiet")
	}
	s.settle()
	awaitRows(t, db, log)
	stop()
	var lost *streams.Event
	for range 7 {
		lost = post("busy")
	}
	kept := post("busy")
	s.settle()
	stream, err := n.JS.Stream(t.Context(), streams.LogStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(uint64(lost.Seq)+1)); err != nil {
		t.Fatal(err)
	}
	log.Drop(lost.V-6, lost.V, "busy")
	s = newSequencer(t, n, log) // the purge took the fence along, which ends the term
	var loud bytes.Buffer
	config.Registerer, config.Logger = prometheus.NewRegistry(), locked(&loud)
	stop = start(t, config)
	post("quiet")
	s.settle()
	awaitRows(t, db, log)
	registry := config.Registerer.(*prometheus.Registry)
	if got := metric(t, registry, "throng_projection_lost_events_total"); got != 7 {
		t.Errorf("lost: got %v, want 7 (kept %d)", got, kept.V)
	}
	stop()
	if !strings.Contains(loud.String(), "level=ERROR") {
		t.Error("nothing was said")
	}
}

func TestAnEntryThatCannotBeReadIsSetAside(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	registry := prometheus.NewRegistry()
	config := projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry}
	stop := start(t, config)
	poison := "\xff\x00 '\t\\ no event"
	subject := streams.LogSubject(0, "g", "c")
	skip := func() {
		log.Skip(s.next(), "g", "c")
		s.raw(subject, []byte(poison))
	}
	post := func() { s.append(log.Message(s.next(), "g", "c", []byte("x"))) }
	post()
	skip() // takes a version: what follows is not the next and must be taken all the same
	skip()
	post()
	foreign, err := streams.MarshalEvent(logtest.New(0, 1, 0).Message(1, "g", "another", []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	s.raw(subject, foreign) // of another channel than its subject; takes no version
	post()
	s.settle()
	awaitRows(t, db, log)
	if got := metric(t, registry, "throng_projection_refused_total"); got != 3 {
		t.Errorf("refused: got %v, want 3", got)
	}
	skip()
	s.settle()
	streamtest.Eventually(t, patience, "it is set aside", func() bool {
		return count(t, db, "SELECT count() FROM events_refused FINAL") == 4
	})
	stop()
	config.Registerer = nil
	start(t, config) // what it knows of the poison is what is stored
	post()
	s.settle()
	awaitRows(t, db, log)
	var data, reason, stored string
	const query = "SELECT subject, reason, data FROM events_refused FINAL ORDER BY seq LIMIT 1"
	err = db.Query(t.Context(), query, nil, func(scan func(...any) error) error { return scan(&stored, &reason, &data) })
	if err != nil || data != poison || stored != subject || reason == "" {
		t.Errorf("got %q of %q because %q, %v", data, stored, reason, err)
	}
}

// TestWhatAFormerOwnerWroteIsLeftOut lets one write on after another's fence,
// as only a stream that fails to enforce it would.
func TestWhatAFormerOwnerWroteIsLeftOut(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	former := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	former.append(log.Message(former.next(), "g", "a", []byte("x")))
	former.append(log.Message(former.next(), "g", "b", []byte("x")))
	former.settle()
	epoch := log.Epoch
	owner := newSequencer(t, n, log)
	owner.append(log.Message(owner.next(), "g", "a", []byte("x")))
	owner.settle()

	// rogue writes an event nobody's fence holds back.
	rogue := func(channel streams.Channel, v streams.Version, epoch streams.Epoch) {
		t.Helper()
		e := logtest.New(0, 1, 0).Message(1, "g", channel, []byte("stale"))
		e.V, e.N, e.Epoch, e.Prev = v, streams.Number(v), epoch, 1
		data, err := streams.MarshalEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.JS.Publish(t.Context(), streams.LogSubject(0, "g", channel), data); err != nil {
			t.Fatal(err)
		}
	}
	registry := prometheus.NewRegistry()
	stop := start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry})
	awaitRows(t, db, log)
	rogue("b", 2, epoch) // the fence alone tells: b has no event of the new term
	rogue("a", 3, epoch)
	rogue("a", 9, log.Epoch) // not the next
	rogue("a", 1, log.Epoch) // known
	streamtest.Eventually(t, patience, "all four are left out", func() bool {
		return metric(t, registry, "throng_projection_dropped_total") == 4
	})
	stop()
	registry = prometheus.NewRegistry()
	start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry})
	streamtest.Eventually(t, patience, "a projector that starts after the fence leaves them out as well", func() bool {
		return metric(t, registry, "throng_projection_dropped_total") == 4
	})
	awaitRows(t, db, log)
}

func TestNewTellsAllThatIsWrong(t *testing.T) {
	_, err := projections.New(projections.Config{MaxRows: -1})
	for _, want := range []string{"connection", "partitions", "DSN", "MaxRows"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestCanariesMoveThePositionAndAreNoEvents(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	registry := prometheus.NewRegistry()
	start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry})
	s.append(log.Message(s.next(), "g", "c", []byte("x")))
	for range 50 {
		s.raw(streams.CanarySubject(0), []byte("canary"))
	}
	s.settle()
	awaitRows(t, db, log)
	streamtest.Eventually(t, patience, "canaries are no lag", func() bool {
		return metric(t, registry, "throng_projection_lag_events") == 0
	})
	if got := count(t, db, "SELECT count() FROM events_refused"); got != 0 {
		t.Errorf("refused: got %d, want 0", got)
	}
}

func TestViewsForAnalysts(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.Provisioned(t, 1)
	log := logtest.New(0, 1, 0)
	s := newSequencer(t, n, log)
	db := logtest.DB(t, dsn)
	start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn})
	for range 6 {
		e := log.Message(s.next(), "g", "c", []byte("x"))
		e.User = "alice"
		if e.N > 4 {
			e.User = "bob"
		}
		s.append(e)
	}
	s.append(log.Edit(s.next(), "g", "c", 1, []byte("y")))
	s.append(log.Recall(s.next(), "g", "c", 2))
	s.settle()
	awaitRows(t, db, log)
	var got []string
	collect := func(scan func(...any) error) error {
		var line string
		err := scan(&line)
		got = append(got, line)
		return err
	}
	for _, query := range []string{
		"SELECT concat(user, ' ', toString(messages)) FROM top_talkers WHERE `group` = 'g' ORDER BY messages DESC",
		"SELECT concat(toString(messages), ' by ', toString(talkers)) FROM messages_per_hour WHERE `group` = 'g'",
	} {
		if err := db.Query(t.Context(), query, nil, collect); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[alice 3 bob 2 5 by 2]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestNATSAwayIsWaitedOut(t *testing.T) {
	dsn := enginetest.DSN(t)
	n := streamtest.New(t) // no streams yet: requests have no responders
	db := logtest.DB(t, dsn)
	registry := prometheus.NewRegistry()
	start(t, projections.Config{Conn: n.Conn, Partitions: 1, DSN: dsn, Registerer: registry})
	streamtest.Eventually(t, patience, "the outage is counted", func() bool {
		return metric(t, registry, "throng_projection_outages_total") > 0
	})
	provision(t, n)
	log := logtest.New(0, 1, 2)
	newSequencer(t, n, log).random(100)
	awaitRows(t, db, log)
	if got := metric(t, registry, "throng_projection_outages_total"); got != 1 {
		t.Errorf("outages: got %v, want 1", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := eventlog.NewReader(n.Conn, streams.LogStream(0)).Next(ctx, streams.LogFilter(0), 1); err != nil {
		t.Error(err)
	}
}
