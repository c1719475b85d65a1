package ring_test

import (
	"fmt"
	"testing"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func entry(v streams.Version, bytes int) ring.Entry {
	return ring.Entry{
		Event: &streams.Event{Group: "g", Channel: "c", V: v, Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{}}},
		JSON:  make([]byte, bytes),
	}
}

func entries(from, upto streams.Version) (all []ring.Entry) {
	for v := from; v <= upto; v++ {
		all = append(all, entry(v, 10))
	}
	return all
}

func versions(entries []ring.Entry) string {
	s := ""
	for _, e := range entries {
		s += fmt.Sprint(e.Event.V, " ")
	}
	return s
}

func TestRingHoldsTheNewestWithoutHoles(t *testing.T) {
	r := ring.NewBudget(1 << 20).New(4)
	if r.Oldest() != 0 || len(r.After(nil, 0, 10, 1000)) != 0 {
		t.Error("a new ring is empty")
	}
	for v := streams.Version(5); v <= 10; v++ {
		r.Append(entry(v, 10))
	}
	tests := []struct {
		name string
		got  []ring.Entry
		want string
	}{
		{"all that is held", r.After(nil, 0, 10, 1000), "7 8 9 10 "},
		{"after a version", r.After(nil, 8, 10, 1000), "9 10 "},
		{"after the head", r.After(nil, 10, 10, 1000), ""},
		{"beyond the head", r.After(nil, 99, 10, 1000), ""},
		{"so many", r.After(nil, 7, 2, 1000), "8 9 "},
		{"so many bytes", r.After(nil, 6, 10, 25), "7 8 "},
		{"the first whatever its size", r.After(nil, 6, 10, 1), "7 "},
		{"the newest", r.Newest(0, 2, 1000), "9 10 "},
		{"the newest after a version", r.Newest(9, 5, 1000), "10 "},
		{"the newest in so many bytes", r.Newest(0, 5, 35), "8 9 10 "},
	}
	for _, test := range tests {
		if got := versions(test.got); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestAppendPanicsOnAHole(t *testing.T) {
	r := ring.NewBudget(1 << 20).New(4)
	r.Append(entry(5, 10))
	defer func() {
		if recover() == nil {
			t.Error("a hole was taken")
		}
	}()
	r.Append(entry(7, 10))
}

func TestPrependTakesOnlyWhatJoins(t *testing.T) {
	r := ring.NewBudget(1 << 20).New(6)
	r.Prepend(entries(1, 3), 4)
	if got := versions(r.After(nil, 0, 10, 1000)); got != "" {
		t.Errorf("an empty ring took %s, which does not end at its head", got)
	}
	r.Prepend(entries(3, 4), 4)
	r.Append(entry(5, 10))
	r.Prepend(entries(1, 3), 5)
	if got := versions(r.After(nil, 0, 10, 1000)); got != "3 4 5 " {
		t.Errorf("got %s after what overlaps", got)
	}
	r.Prepend(entries(1, 2), 5)
	r.Prepend(nil, 5)
	r.Append(entry(6, 10))
	if got := versions(r.After(nil, 0, 10, 1000)); got != "1 2 3 4 5 6 " {
		t.Errorf("got %s", got)
	}
	full := ring.NewBudget(1 << 20).New(2)
	full.Prepend(entries(1, 9), 9)
	if got := versions(full.After(nil, 0, 10, 1000)); got != "8 9 " {
		t.Errorf("a ring of two took %s", got)
	}
}

func TestBudgetTakesFromTheLeastRecentlyUsed(t *testing.T) {
	size := entry(1, 10).Size()
	b := ring.NewBudget(6 * size)
	one, two := b.New(100), b.New(100)
	for v := streams.Version(1); v <= 3; v++ {
		one.Append(entry(v, 10))
		two.Append(entry(v, 10))
	}
	one.Newest(0, 1, 100)
	two.Append(entry(4, 10)) // one becomes the older again, and loses one event
	if got := versions(one.After(nil, 0, 10, 1000)) + "| " + versions(two.After(nil, 0, 10, 1000)); got != "2 3 | 1 2 3 4 " {
		t.Errorf("got %s", got)
	}
	for v := streams.Version(5); v <= 20; v++ {
		two.Append(entry(v, 10))
	}
	if one.Oldest() != 0 || b.Bytes() > 6*size {
		t.Errorf("the older holds from %d, all together %d bytes", one.Oldest(), b.Bytes())
	}
	one.Append(entry(4, 10)) // goes on although nothing was left
	if one.Oldest() != 4 {
		t.Errorf("holds from %d", one.Oldest())
	}
	one.Close()
	two.Close()
	two.Append(entry(21, 10))
	if b.Bytes() != 0 || two.Oldest() != 0 {
		t.Errorf("%d bytes after all were closed", b.Bytes())
	}
}

func TestTakeTellsWhatIsLost(t *testing.T) {
	r := ring.NewBudget(1 << 20).New(4)
	for v := streams.Version(1); v <= 10; v++ {
		r.Append(entry(v, 10))
	}
	empty := ring.NewBudget(1 << 20).New(4)
	for _, test := range []struct {
		name   string
		ring   *ring.Ring
		cursor streams.Version
		count  int
		want   string
		lost   streams.Version
	}{
		{"nothing between", r, 8, 10, "9 10 ", 0},
		{"at the head", r, 10, 10, "", 0},
		{"fallen out", r, 2, 2, "7 8 ", 6},
		{"all gone", empty, 2, 2, "", 10},
	} {
		taken, lost := test.ring.Take(nil, test.cursor, 10, test.count, 1000)
		if got := versions(taken); got != test.want || lost != test.lost {
			t.Errorf("%s: got %s and lost up to %d, want %s and %d", test.name, got, lost, test.want, test.lost)
		}
	}
}
