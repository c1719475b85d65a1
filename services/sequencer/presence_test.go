package sequencer

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// gathered is a table with one edge's word after the other.
type gathered struct {
	*presence
	t    *testing.T
	now  time.Time
	turn map[string]uint64
}

func newGathered(t *testing.T) *gathered {
	keeps := func(streams.Group) ([]streams.User, bool) { return []streams.User{"kept"}, true }
	return &gathered{presence: newPresence(keeps), t: t, now: time.UnixMilli(1e12), turn: map[string]uint64{}}
}

func (g *gathered) tell(edge string, m *streampb.Present) (ask bool) {
	g.turn[edge]++
	m.Edge, m.Turn = edge, g.turn[edge]
	return g.hear(m, g.now)
}

func (g *gathered) later(d time.Duration) {
	g.now = g.now.Add(d)
	g.pass(g.now)
}

func (g *gathered) is(group streams.Group, here, online int) {
	g.t.Helper()
	if h, o := g.Count(group); h != here || o != online {
		g.t.Errorf("in %s %d are here and %d online, want %d and %d", group, h, o, here, online)
	}
}

func some(group string, whole bool, here, gone []string) *streampb.Present {
	return &streampb.Present{Groups: []*streampb.PresentGroup{{Group: group, Whole: whole, Here: here, Gone: gone}}}
}

func TestWhoIsThroughTwoEdgesIsGoneFromBoth(t *testing.T) {
	g := newGathered(t)
	if !g.tell("a", some("r", false, []string{"bob"}, nil)) {
		t.Error("an edge heard for the first time is not asked for everybody")
	}
	whole := some("r", true, []string{"bob", "carol"}, nil)
	if whole.Whole = true; g.tell("b", whole) {
		t.Error("an edge is asked that has told everything")
	}
	g.is("r", 2, 2)
	g.tell("a", some("r", false, nil, []string{"bob"}))
	g.is("r", 2, 2)
	g.tell("b", some("r", true, []string{"carol"}, nil))
	g.is("r", 2, 1)
	if !g.Here("r", "bob") || g.Online("r", "bob") {
		t.Error("there is no grace")
	}
	g.later(goneAfter / 2)
	g.tell("b", &streampb.Present{})
	g.later(goneAfter / 2)
	if _, doubt := g.doubt["r"]; g.Here("r", "bob") || !doubt {
		t.Error("the grace does not end")
	}
	g.is("r", 1, 1)
	g.turn["b"]++
	if !g.tell("b", &streampb.Present{}) {
		t.Error("a missed turn is not noticed")
	}
	g.tell("b", &streampb.Present{Whole: true})
	g.is("r", 1, 0)
	g.later(goneAfter)
	if len(g.groups)+len(g.timed) != 0 {
		t.Errorf("%d groups nobody is in are kept", len(g.groups))
	}
}

func TestASilentEdgeIsGone(t *testing.T) {
	g := newGathered(t)
	g.tell("a", some("r", true, []string{"bob"}, nil))
	g.later(silentAfter - time.Second)
	g.tell("a", &streampb.Present{})
	g.later(silentAfter - time.Second)
	g.is("r", 1, 1)
	g.later(time.Second)
	g.is("r", 1, 0)
	g.later(goneAfter)
	g.is("r", 0, 0)
	if len(g.edges) != 0 {
		t.Error("a silent edge is kept")
	}
}

func TestWhoWasPutOutComesBackOnlyAnew(t *testing.T) {
	g := newGathered(t)
	g.tell("a", some("r", true, []string{"bob", "carol"}, nil))
	g.leave("r", "bob", g.now)
	g.is("r", 1, 2)
	g.touch("r", "bob", g.now.Add(goneAfter))          // a command on its way
	g.tell("a", some("r", true, []string{"bob"}, nil)) // the edge has not heard of it
	if g.Here("r", "bob") {
		t.Error("the old connection brings them back")
	}
	g.tell("a", some("r", false, nil, []string{"bob"}))
	g.tell("a", some("r", false, []string{"bob"}, nil))
	if !g.Here("r", "bob") {
		t.Error("a new connection does not bring them back")
	}
	g.leave("r", "bob", g.now)
	g.enter("r", "bob", g.now.Add(goneAfter))
	if !g.Here("r", "bob") {
		t.Error("a join does not bring them back")
	}
}

func TestALargeCommunityIsCounted(t *testing.T) {
	g := newGathered(t)
	names := make([]string, countedAbove+1)
	for i := range names {
		names[i] = fmt.Sprint("u", i)
	}
	g.tell("a", some("c", true, []string{"kept", "other"}, nil))
	g.tell("b", some("c", true, names, nil))
	g.is("c", countedAbove+3, countedAbove+3)
	if at := g.groups["c"]; len(at.users) != 1 || !g.Online("c", "kept") {
		t.Errorf("%d users are kept", len(at.users))
	}
	g.tell("b", some("c", false, []string{"more", "kept"}, names[:10]))
	g.tell("a", some("c", false, nil, []string{"kept"}))
	if !g.Online("c", "kept") {
		t.Error("who is kept is lost")
	}
	g.is("c", countedAbove-6, countedAbove-6)
	if !g.watch("c", "u20") || g.watch("c", "u20") {
		t.Error("edges are not asked once for who is to be kept from now on")
	}
	g.tell("b", some("c", true, names, nil))
	if !g.Online("c", "u20") {
		t.Error("who is to be kept is not")
	}
	if !g.tell("b", some("c", true, names[:10], nil)) {
		t.Error("edges are not asked for everybody where it grows small again")
	}
	g.tell("b", some("c", true, names[:10], nil))
	g.tell("a", some("c", true, []string{"other"}, nil))
	g.is("c", 13, 11) // two who were kept have their grace
}

// What the doc of presence says a user takes.
func TestBytesOfAPresentUser(t *testing.T) {
	const users = 200_000
	p := newPresence(func(streams.Group) ([]streams.User, bool) { return nil, false })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for from := 0; from < users; from += 1000 {
		names := make([]string, 1000)
		for i := range names {
			names[i] = fmt.Sprint("user-", from+i)
		}
		m := some("r", false, names, nil)
		m.Edge, m.Turn = "a", uint64(from/1000+1)
		p.hear(m, time.UnixMilli(1e12))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / users
	t.Logf("%.0f bytes a user", each)
	if each > 100 {
		t.Errorf("a present user takes %.0f bytes", each)
	}
	runtime.KeepAlive(p)
}
