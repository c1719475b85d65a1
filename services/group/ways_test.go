package group_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Whatever is evicted, loaded again, written to a snapshot early or late, or
// recovered from it: an owner decides as one does that keeps all in memory, and
// ends with the records of one that folds the log from nothing.
func TestFoldingIsTheSameByEveryWay(t *testing.T) {
	for seed := range uint64(40) {
		w := newWays(t, seed)
		for range 1500 {
			w.step()
		}
		w.compare("at the end")
		w.takeOver()
		w.compare("recovered")
		if w.takeovers == 0 || w.loaded == 0 || w.evicted == 0 {
			t.Errorf("seed %d: %d takeovers, %d loads, %d evictions: the test shows nothing", seed, w.takeovers, w.loaded, w.evicted)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// ways is one group with an owner that remembers little and one that remembers
// all.
type ways struct {
	t     *testing.T
	rng   *rand.Rand
	owner *group.State
	whole *group.State // is never evicted from
	log   []*streams.Event
	now   int64

	store      map[group.Entity][]byte // the snapshot
	checkpoint streams.Seq
	taking     streams.Seq    // the checkpoint of the snapshot being written; 0: none
	queue      []group.Entity // its records yet to be written

	takeovers, loaded, evicted int
}

func newWays(t *testing.T, seed uint64) *ways {
	return &ways{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), owner: group.New("g"), whole: group.New("g"), now: 1_000_000,
		store: map[group.Entity][]byte{},
	}
}

func (w *ways) step() {
	w.now += int64(w.rng.IntN(1000))
	switch k := w.rng.IntN(100); {
	case k < 6:
		w.snapshot()
	case k < 12:
		held := w.owner.Held()
		w.owner.Evict(1+w.rng.IntN(held+1), nil)
		w.evicted += held - w.owner.Held()
	case k < 13:
		w.takeOver()
	case k < 15:
		w.bury()
	case k < 16:
		w.gone()
	default:
		w.command(w.request())
	}
	for range min(len(w.queue), w.rng.IntN(4)) {
		w.write(w.queue[0])
		w.queue = w.queue[1:]
	}
	if w.taking != 0 && len(w.queue) == 0 {
		w.checkpoint, w.taking = w.taking, 0
		w.owner.Saved()
	}
}

// snapshot begins one: its records are written while events go on.
func (w *ways) snapshot() {
	if w.taking == 0 && len(w.log) > 0 {
		w.taking, w.queue = streams.Seq(len(w.log)), w.owner.TakeDirty()
	}
}

func (w *ways) write(e group.Entity) {
	record := w.owner.Record(e)
	if record == nil {
		w.t.Fatalf("%+v is dirty and has no record", e)
	}
	data, err := proto.Marshal(record)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store[e] = data
}

// takeOver replaces the owner by one that has the snapshot and the log.
func (w *ways) takeOver() {
	w.takeovers++
	w.owner, w.taking, w.queue = group.New("g"), 0, nil
	for e, data := range w.store {
		var err error
		own, channel := &streampb.GroupRecord{}, &streampb.ChannelRecord{}
		switch e {
		case group.Entity{}:
			err = proto.Unmarshal(data, own)
			w.owner.RestoreGroup(own)
		case group.Entity{Channel: e.Channel}:
			err = proto.Unmarshal(data, channel)
			w.owner.RestoreChannel(e.Channel, channel)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, e := range w.log[w.checkpoint:] {
		w.owner.Apply(e)
	}
	for _, e := range w.owner.Unfolded() {
		w.restore(w.owner, e)
	}
}

// restore loads an entity from the snapshot.
func (w *ways) restore(s *group.State, e group.Entity) {
	restore := func(e group.Entity, data []byte) {
		if err := s.Restore(e, data); err != nil {
			w.t.Fatal(err)
		}
	}
	for stored, data := range w.store {
		if stored == e || e.Attribute == group.AllAttributes && stored.Attribute != "" && stored.Channel == e.Channel ||
			e.Member == group.AllMembers && stored.Member != "" {
			restore(stored, data)
		}
	}
	restore(e, nil)
	w.loaded++
}

func (w *ways) load(r group.Request) {
	for missing := w.owner.Missing(r); len(missing) > 0; missing = w.owner.Missing(r) {
		for _, e := range missing {
			w.restore(w.owner, e)
		}
	}
	for missing := w.whole.Missing(r); len(missing) > 0; missing = w.whole.Missing(r) {
		for _, e := range missing {
			if err := w.whole.Restore(e, nil); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// command is decided by both, and must come out the same.
func (w *ways) command(r group.Request) {
	w.load(r)
	decision, err := w.owner.Decide(r, w.now)
	want, wantErr := w.whole.Decide(r, w.now)
	if got, want := outcome(decision, err), outcome(want, wantErr); got != want {
		w.t.Fatalf("after %d events %s %T %v became %s and not %s", len(w.log), r.User, r.Body, r.Body, got, want)
	}
	w.apply(decision.Events)
}

// gone ends a presence.
func (w *ways) gone() {
	for _, e := range w.owner.MissingTied() {
		w.restore(w.owner, e)
	}
	u := w.user()
	events := w.owner.AutoDelete(u)
	if got, want := outcome(group.Decision{Events: events}, nil), outcome(group.Decision{Events: w.whole.AutoDelete(u)}, nil); got != want {
		w.t.Fatalf("%s gone became %s and not %s", u, got, want)
	}
	w.apply(events)
}

func outcome(d group.Decision, err error) string {
	var r *streams.Rejection
	if errors.As(err, &r) {
		return fmt.Sprintf("%v %v %v", r, r.RetryAfter, r.Current)
	}
	text := ""
	if d.Answer != nil {
		text = compact(d.Answer)
	}
	for _, e := range d.Events {
		text += fmt.Sprintf("%s %s %v %s\n", e.Channel, e.User, e.Answer, compact(payloadOf(e)))
	}
	return text
}

func (w *ways) apply(events []*streams.Event) {
	for _, e := range events {
		w.owner.Number(e)
		e.Seq, e.TS = streams.Seq(len(w.log)+1), w.now
		data, err := streams.MarshalEvent(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range []*group.State{w.owner, w.whole} {
			stored, err := streams.UnmarshalEvent(data, e.Seq)
			if err != nil {
				w.t.Fatal(err)
			}
			s.Apply(stored)
			e = stored
		}
		w.log = append(w.log, e)
	}
}

// bury drops the records of deleted attributes.
func (w *ways) bury() {
	for _, c := range []streams.Channel{"@", "a", "p"} {
		keys, _ := w.owner.Buried(c, w.checkpoint, 2)
		for _, key := range keys {
			delete(w.store, group.Entity{Channel: c, Attribute: key})
		}
	}
}

// compare looks at every record the log leads to, by folding it from nothing.
func (w *ways) compare(when string) {
	fresh, entities := group.New("g"), map[group.Entity]bool{}
	for _, e := range w.log {
		fresh.Apply(e)
		for _, e := range fresh.TakeDirty() {
			entities[e] = true
		}
	}
	for _, e := range fresh.Unfolded() {
		if err := fresh.Restore(e, nil); err != nil {
			w.t.Fatal(err)
		}
		entities[e] = true
	}
	for _, e := range slices.SortedFunc(maps.Keys(entities), func(a, b group.Entity) int {
		return slices.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b)))
	}) {
		if w.owner.Record(e) == nil {
			w.restore(w.owner, e)
		}
		if got, want := recordOf(w.owner, e), recordOf(fresh, e); got != want {
			w.t.Errorf("%s, %+v is\n%s, the log says\n%s", when, e, got, want)
		}
	}
}

// recordOf is an entity's record as text. A deleted attribute is none.
func recordOf(s *group.State, e group.Entity) string {
	record := s.Record(e)
	switch r := record.(type) {
	case *streampb.AttributeRecord:
		if r.GetDeleted() {
			return ""
		}
	case *streampb.ChannelRecord:
		r.LastSends = nil // only under slow mode, and of who still waits
	case nil:
		return ""
	}
	return compact(record)
}
