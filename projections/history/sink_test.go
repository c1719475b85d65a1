package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// randomLog makes a log of that many events at sequences from 1.
func randomLog(seed uint64, count int) (*logtest.Log, []Record) {
	log := logtest.New(0, seed, 2)
	log.Epoch = 1
	for i := range count {
		log.Next(streams.Seq(i + 1))
	}
	return log, records(log.Events)
}

func records(events []*streams.Event) []Record {
	list := make([]Record, len(events))
	for i, e := range events {
		data, err := streams.MarshalEvent(e)
		if err != nil {
			panic(err)
		}
		list[i] = Record{Event: e, Data: data}
	}
	return list
}

func difference(t *testing.T, s *Sink, events []*streams.Event) string {
	t.Helper()
	d, err := logtest.Difference(t.Context(), s.db, events)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var errCrash = errors.New("crash")

// worker is one projector as the sink sees it: it asks where it is, writes
// batches of any size, and may die between two inserts.
type worker struct {
	t      *testing.T
	sink   *Sink
	log    []Record
	at     int // records before here are written
	random *rand.Rand
	crash  bool
}

func newWorker(t *testing.T, sink Sink, log []Record, random *rand.Rand) *worker {
	w := &worker{t: t, log: log, random: random}
	sink.afterInsert = func(string) error {
		if w.crash {
			w.crash = false
			return errCrash
		}
		return nil
	}
	w.sink = &sink
	w.restart()
	return w
}

func (w *worker) restart() {
	w.t.Helper()
	heads, err := w.sink.Heads(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.at = int(heads[0].Seq) // sequences are dense here
}

// step writes a batch, or crashes somewhere in it and starts again.
func (w *worker) step() {
	w.t.Helper()
	end := min(len(w.log), w.at+1+w.random.IntN(120))
	w.crash = w.random.IntN(4) == 0
	_, err := w.sink.Write(w.t.Context(), Batch{Records: w.log[w.at:end]})
	switch {
	case errors.Is(err, errCrash):
		w.restart()
	case err != nil:
		w.t.Fatal(err)
	default:
		w.at = end
	}
}

// TestCrashesRivalsAndResetsLeaveTheFold lets two workers write one log at once,
// dying between inserts, one standing still for long and set back in the end;
// what is left must be the fold of the log.
func TestCrashesRivalsAndResetsLeaveTheFold(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			db := logtest.DB(t, enginetest.DSN(t))
			log, list := randomLog(seed, 900)
			random := rand.New(rand.NewPCG(seed, 7))
			workers := []*worker{newWorker(t, Sink{db: db}, list, random), newWorker(t, Sink{db: db}, list, random)}
			for workers[0].at < len(list) || workers[1].at < len(list) {
				w := workers[min(1, random.IntN(5))] // the second works more often
				if w.at < len(list) {
					w.step()
				}
			}
			if d := difference(t, workers[0].sink, log.Events); d != "" {
				t.Error(d)
			}
			reset := workers[1]
			for reset.at = random.IntN(len(list)); reset.at < len(list); {
				reset.step()
			}
			if d := difference(t, reset.sink, log.Events); d != "" {
				t.Errorf("after the reset: %s", d)
			}
		})
	}
}

// writeLate stores a batch with one table after the events: the bug the order
// of the inserts prevents.
func writeLate(ctx context.Context, s *Sink, batch Batch, late string) error {
	tables, _, err := s.state(ctx, batch)
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, t := range tables {
			if t.Rows > 0 && (t.Name == late) == last {
				if err := s.insert(ctx, t.Name, t.Columns); err != nil {
					return err
				}
			}
		}
		if !last {
			if err := s.WriteEvents(ctx, batch); err != nil {
				return err
			}
		}
	}
	return nil
}

var stateTables = []string{"messages", "reactions", "reaction_counts", "members", "attributes", "moderation", "channels"}

func TestTheCheckerNoticesEventsBeforeAnyTable(t *testing.T) {
	log, list := randomLog(3, 600)
	for _, table := range stateTables {
		t.Run(table, func(t *testing.T) {
			db := logtest.DB(t, enginetest.DSN(t))
			s := &Sink{db: db, afterInsert: func(written string) error {
				if written == "events" {
					return errCrash
				}
				return nil
			}}
			if err := writeLate(t.Context(), s, Batch{Records: list[:500]}, table); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			s.afterInsert = nil
			heads, err := s.Heads(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := writeLate(t.Context(), s, Batch{Records: list[heads[0].Seq:]}, table); err != nil {
				t.Fatal(err)
			}
			if d := difference(t, s, log.Events); d == "" {
				t.Errorf("events were written before %s, a crash lay between, and nobody noticed", table)
			}
		})
	}
}

// TestTheCheckerNoticesATableThatKeepsWhatWasWrittenLast takes the versions
// from the tables whose rows are replaced: then a rival that stood still puts
// things back.
func TestTheCheckerNoticesATableThatKeepsWhatWasWrittenLast(t *testing.T) {
	log, list := randomLog(5, 400)
	for _, table := range []struct{ name, key string }{
		{"reactions", "`group`, channel, n, user, emoji"}, {"reaction_counts", "`group`, channel, n, emoji"},
		{"members", "`group`, user"}, {"channels", "`group`, channel"},
	} {
		for _, broken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, broken %v", table.name, broken), func(t *testing.T) {
				s := &Sink{db: logtest.DB(t, enginetest.DSN(t))}
				if broken {
					for _, statement := range []string{
						"RENAME TABLE " + table.name + " TO versioned",
						"CREATE TABLE " + table.name + " AS versioned ENGINE = ReplacingMergeTree ORDER BY (" + table.key + ")",
					} {
						if err := s.db.Exec(t.Context(), statement); err != nil {
							t.Fatal(err)
						}
					}
				}
				for _, batch := range [][]Record{list, list[:200]} {
					if _, err := s.Write(t.Context(), Batch{Records: batch}); err != nil {
						t.Fatal(err)
					}
				}
				if d := difference(t, s, log.Events); (d != "") != broken {
					t.Errorf("got %q", d)
				}
			})
		}
	}
}

// lateRival projects a message and two edits, and then has a rival, which had
// stood still, write the first edit once more and die.
func lateRival(t *testing.T, sink Sink) string {
	t.Helper()
	log := logtest.New(0, 1, 0)
	log.Message(1, "g", "c", []byte("first"))
	log.Edit(2, "g", "c", 1, []byte("second"))
	log.Edit(3, "g", "c", 1, []byte("third"))
	list := records(log.Events)
	for _, batch := range [][]Record{list[:1], list[1:2], list[2:], list[1:2]} {
		if _, err := sink.Write(t.Context(), Batch{Records: batch}); err != nil {
			t.Fatal(err)
		}
	}
	return difference(t, &sink, log.Events)
}

func TestALateRivalPutsNothingBack(t *testing.T) {
	if d := lateRival(t, Sink{db: logtest.DB(t, enginetest.DSN(t))}); d != "" {
		t.Error(d)
	}
}

func TestTheCheckerNoticesAMissingGuard(t *testing.T) {
	if d := lateRival(t, Sink{db: logtest.DB(t, enginetest.DSN(t)), unguarded: true}); d == "" {
		t.Error("an old edit was folded over a newer one and nobody noticed")
	}
}

func TestHeadsAndPlacesTellWhatIsStored(t *testing.T) {
	s := NewSink(logtest.DB(t, enginetest.DSN(t)))
	log := logtest.New(3, 1, 0)
	log.Epoch = 5
	log.Message(6, "g", "a", []byte("x"))
	log.Message(9, "g", "b", []byte("x"))
	log.Message(12, "g", "a", []byte("x"))
	list := records(log.Events)
	for i := range list {
		list[i].Partition = 3
	}
	for range 2 {
		if _, err := s.Write(t.Context(), Batch{Records: list}); err != nil {
			t.Fatal(err)
		}
	}
	heads, err := s.Heads(t.Context())
	if want := (Head{Seq: 12, Epoch: 5}); err != nil || len(heads) != 1 || heads[3] != want {
		t.Errorf("heads: got %v, %v, want %v of partition 3", heads, err, want)
	}
	asked := []Place{{"g", "a"}, {"g", "b"}, {"g", "never"}}
	for i := range 2500 { // more than one query's worth
		asked = append(asked, Place{streams.Group(fmt.Sprintf("g%d", i)), "c"})
	}
	places, err := s.Places(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := places[asked[0]], (streams.Place{V: 2, Epoch: 5}); got != want || len(places) != 2 {
		t.Errorf("places: got %v of %d, want %v of 2", got, len(places), want)
	}
}

func TestAnEditWithoutItsMessageIsCounted(t *testing.T) {
	s := NewSink(logtest.DB(t, enginetest.DSN(t)))
	log := logtest.New(0, 1, 0)
	log.Edit(1, "g", "c", 7, []byte("x"))
	written, err := s.Write(t.Context(), Batch{Records: records(log.Events)})
	if err != nil || written.Orphans != 1 || len(written.Rows) != 0 {
		t.Errorf("got %+v, %v", written, err)
	}
}
