package races

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/ops/load"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// joiners is how many come at once in every run of all tests.
const joiners = 300

// It proves that however many come into a room at once, each edge asks its owner
// once for the attributes, and once for the group.
func TestOneLoadForAllWhoComeAtOnce(t *testing.T) {
	s := newStage(t)
	heard := eavesdrop(t, s.Conn)
	s.comeAtOnce(t)
	if loads := heard.loads(); !slices.Equal(loads, []int{1, 1}) {
		t.Errorf("the edges loaded the attributes %v times", loads)
	}
	if snapshots := heard.snapshots(); !slices.Equal(snapshots, []int{1, 1}) {
		t.Errorf("the edges asked for the group %v times", snapshots)
	}
}

// Edges that keep nothing ask again and again, which is noticed.
func TestEdgesThatLoadOftenAreFound(t *testing.T) {
	s := newStage(t, func(c *edge.Config) { c.AttributeBytes = 1 })
	heard := eavesdrop(t, s.Conn)
	s.comeAtOnce(t)
	s.comeAtOnce(t)
	if loads := heard.loads(); len(loads) != 2 || slices.Max(loads) < 2 {
		t.Errorf("the edges loaded the attributes %v times", loads)
	}
}

// comeAtOnce has many come into a new room.
func (s *stage) comeAtOnce(t *testing.T) {
	t.Helper()
	config := load.JoinConfig{Sessions: joiners, Attributes: 100, Token: userToken}
	for _, listen := range s.edges {
		config.URLs = append(config.URLs, "ws://"+listen+"/v1/ws")
	}
	var report load.JoinReport
	streamtest.Eventually(t, patience, "the partition is served", func() (made bool) {
		var err error
		report, err = load.Join(t.Context(), config)
		return err == nil
	})
	t.Log(report)
	if !report.OK() {
		t.Error("not all came in")
	}
}

func userToken(user string) (string, error) { return signed(jwt.MapClaims{"sub": user}) }

// eavesdropper hears what the owner of the partition is asked.
type eavesdropper struct {
	t    testing.TB
	conn *nats.Conn

	mu    sync.Mutex
	asked map[string]*reads // by who asks; guarded by mu
}

// reads are the requests of one edge.
type reads struct{ snapshots, loads int }

// eavesdrop begins to listen, until the test ends.
func eavesdrop(t testing.TB, conn *nats.Conn) *eavesdropper {
	t.Helper()
	e := &eavesdropper{t: t, conn: conn, asked: map[string]*reads{}}
	sub, err := conn.Subscribe(streams.CommandSubject(0), e.hear)
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return e
}

// hear runs on the subscription's goroutine.
func (e *eavesdropper) hear(msg *nats.Msg) {
	batch := &streampb.CommandBatch{}
	if err := proto.Unmarshal(msg.Data, batch); err != nil {
		e.t.Error(err)
		return
	}
	// Whoever asks has an inbox of its own: _INBOX.<connection>.<request>.
	who := msg.Reply[:max(0, strings.LastIndexByte(msg.Reply, '.'))]
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range batch.GetCommands() {
		r := e.asked[who]
		if r == nil {
			r = &reads{}
		}
		switch {
		case c.GetSnapshot() != nil:
			r.snapshots++
		case c.GetAttrs() != nil && c.GetAttrs().GetAfter() == "": // the first page
			r.loads++
		default:
			continue
		}
		e.asked[who] = r
	}
}

// by returns what was counted of each edge, ascending; all that was asked before
// is in it.
func (e *eavesdropper) by(count func(*reads) int) (counts []int) {
	e.t.Helper()
	if err := e.conn.Flush(); err != nil {
		e.t.Fatal(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range maps.Values(e.asked) {
		counts = append(counts, count(r))
	}
	slices.Sort(counts)
	return counts
}

func (e *eavesdropper) loads() []int { return e.by(func(r *reads) int { return r.loads }) }

func (e *eavesdropper) snapshots() []int { return e.by(func(r *reads) int { return r.snapshots }) }
