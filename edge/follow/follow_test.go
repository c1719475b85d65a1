package follow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
)

// listener writes down what it is told.
type listener struct {
	follow.Config
	group *follow.Group
	said  []string
}

func (l *listener) Deliver(e ring.Entry)   { l.say("v%d", e.Event.V) }
func (l *listener) Stale(e *streams.Event) { l.say("stale%d", e.V) }
func (l *listener) Load(by follow.Cause) bool {
	l.say("load(%s)", by)
	return true
}
func (l *listener) say(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

func listen(unchecked bool) *listener {
	l := &listener{}
	l.group = follow.NewGroup(follow.Config{
		Receive:   func(streams.Channel, *follow.Channel) follow.Receiver { return l },
		Unchecked: unchecked,
	})
	return l
}

func (l *listener) live(epoch streams.Epoch, versions ...streams.Version) {
	for _, v := range versions {
		l.group.Live(event(epoch, v))
	}
}

func (l *listener) heard() string {
	said := strings.Join(l.said, " ")
	l.said = nil
	return said
}

func event(epoch streams.Epoch, v streams.Version) *streams.Event {
	return &streams.Event{Group: "g", Channel: "c", V: v, Seq: streams.Seq(10 * v), Epoch: epoch}
}

func entries(epoch streams.Epoch, from, upto streams.Version) (all []ring.Entry) {
	for v := from; v <= upto; v++ {
		all = append(all, ring.Entry{Event: event(epoch, v)})
	}
	return all
}

func expect(t *testing.T, l *listener, want string) {
	t.Helper()
	if got := l.heard(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatCameBeforeTheSnapshotIsTakenBehindIt(t *testing.T) {
	l := listen(false)
	l.live(1, 3, 4, 5)
	expect(t, l, "")
	l.group.Channel("c").Start(streams.Place{V: 4, Epoch: 1}, 4, 40)
	l.group.Opened()
	expect(t, l, "v5")
}

func TestAHoleIsLoadedAndWhatCameMeanwhileFollows(t *testing.T) {
	l := listen(false)
	l.group.Opened()
	c := l.group.Channel("c")
	l.live(1, 1, 4, 5, 5, 2, 7)
	expect(t, l, "v1 load(event) v2")
	if m, ok := c.Missing(); !ok || m != (follow.Missing{After: 2, Upto: 3, Lo: 20}) {
		t.Fatalf("missing: got %v %v", m, ok)
	}
	if first, second := c.Loaded(nil), c.Loaded(nil); first == 0 || second <= first {
		t.Errorf("pauses after nothing was read: got %v and %v", first, second)
	}
	if c.Loaded(entries(1, 3, 3)) != 0 {
		t.Error("a pause after progress")
	}
	expect(t, l, "v3 v4 v5")
	if m, ok := c.Missing(); !ok || m.After != 5 || m.Upto != 6 {
		t.Fatalf("missing: got %v %v", m, ok)
	}
	c.Loaded(entries(1, 6, 7))
	expect(t, l, "v6 v7")
	if _, ok := c.Missing(); ok || c.At() != 7 {
		t.Errorf("still loading at %d", c.At())
	}
}

func TestALoadGivesUpAndIsBegunAgain(t *testing.T) {
	l := listen(false)
	l.group.Opened()
	c := l.group.Channel("c")
	l.group.Want("c", 3, follow.ByBeacon)
	reads := 0
	for _, ok := c.Missing(); ok; _, ok = c.Missing() {
		c.Loaded(nil)
		reads++
	}
	if reads == 0 || reads > 100 {
		t.Errorf("gave up after %d reads", reads)
	}
	l.group.Want("c", 3, follow.ByWrite)
	c.Missing()
	c.Loaded(entries(1, 1, 3))
	expect(t, l, "load(beacon) load(write) v1 v2 v3")
}

func TestOfAnEndedTermOnlyWhatIsReadFromTheLogCounts(t *testing.T) {
	l := listen(false)
	l.group.Opened()
	l.live(5, 1)
	l.group.Fence(9)
	l.live(5, 2) // late, or never in the log
	l.live(9, 3)
	expect(t, l, "v1 stale2 load(event)")
	l.group.Channel("c").Loaded(entries(5, 2, 2))
	expect(t, l, "v2 v3")
	l.group.Live(&streams.Event{Group: "g", Channel: "new", V: 1, Epoch: 5})
	expect(t, l, "stale1") // a channel that comes up later knows the fence, too
}

func TestAClosedGroupDeliversNothing(t *testing.T) {
	l := listen(false)
	l.group.Opened()
	l.live(1, 1, 3)
	l.heard()
	l.group.Close()
	l.live(1, 2)
	c := l.group.Channel("c")
	c.Loaded(entries(1, 2, 2))
	if _, ok := c.Missing(); ok || l.group.Behind("c", 9) {
		t.Error("a closed group goes on loading")
	}
	expect(t, l, "")
}

// The hook must break what it is there to break.
func TestUncheckedTakesWhatDoesNotFollow(t *testing.T) {
	l := listen(true)
	l.group.Opened()
	l.live(1, 1, 4)
	expect(t, l, "v1 v4")
}

func TestBeaconsAreLateOnlyAfterAWhile(t *testing.T) {
	late, now, at := follow.NewLate(), time.Unix(0, 0), streams.Version(3)
	behind := func(h follow.Head) bool { return h.V > at }
	var wanted []streams.Version
	want := func(h follow.Head) { wanted = append(wanted, h.V) }
	late.Note(follow.Head{Group: "g", Channel: "c", V: 5}, now)
	late.Note(follow.Head{Group: "g", Channel: "d", V: 4}, now)
	late.Due(now.Add(50*time.Millisecond), behind, want)
	if len(wanted) > 0 || !late.Waiting() {
		t.Errorf("wanted %v at once", wanted)
	}
	at = 4 // d has arrived
	late.Due(now.Add(200*time.Millisecond), behind, want)
	if len(wanted) != 1 || wanted[0] != 5 || late.Waiting() {
		t.Errorf("wanted %v, waiting %v", wanted, late.Waiting())
	}
}
