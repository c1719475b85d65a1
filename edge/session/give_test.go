package session

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/transport"
	"github.com/throng/throng/streams"
)

// fullAt is a socket that takes so many bytes and then no more.
type fullAt struct {
	transport.Conn
	room  int
	taken []byte
}

func (c *fullAt) Write(p []byte) (int, error) {
	n := min(c.room, len(p))
	c.room -= n
	c.taken = append(c.taken, p[:n]...)
	return n, nil
}

// Wherever a socket stops taking a batch: what it has and what is kept for it
// are whole frames, and the cursor is behind the last of them.
func TestABatchMayBeTakenUpToAnyByte(t *testing.T) {
	b := &batch{from: 4, to: 30}
	for i, upto := range []streams.Version{14, 24, 30} {
		b.frames = transport.AppendFrame(b.frames, transport.Text, make([]byte, 10+i))
		b.marks = append(b.marks, mark{end: len(b.frames), upto: upto})
	}
	for room := range len(b.frames) + 1 {
		now := time.Now()
		sh := &shard{now: now, wheel: transport.NewWheel[*session](time.Second, now)}
		conn := &fullAt{room: room}
		s := &session{shard: sh, conn: conn}
		f := &follow{session: s, cursor: b.from}
		whole := sh.give(f, b)
		has := append(conn.taken, s.unsent...)
		want := b.from
		for _, m := range b.marks {
			if m.end <= len(has) {
				want = m.upto
			}
		}
		ends := len(has) == 0
		for _, m := range b.marks {
			ends = ends || m.end == len(has)
		}
		if !ends || f.cursor != want || string(has) != string(b.frames[:len(has)]) {
			t.Errorf("room for %d: %d bytes taken and kept, at v %d, want %d", room, len(has), f.cursor, want)
		}
		if whole != (room == len(b.frames)) || s.blocked == whole || f.dirty == whole {
			t.Errorf("room for %d: all %v, blocked %v, dirty %v", room, whole, s.blocked, f.dirty)
		}
	}
}

// What is joined may hold events from after a subscription was suspended or
// ended, so it is not given to any that is not live.
func TestOnlyLiveSubscriptionsAreGivenWhatIsJoined(t *testing.T) {
	metrics := NewMetrics(prometheus.NewRegistry())
	for _, state := range []int32{pending, suspended, gone} {
		now := time.Now()
		b := &batch{from: 1, to: 2, frames: []byte("frame"), marks: []mark{{end: 5, upto: 2}}}
		sh := &shard{
			now: now, wheel: transport.NewWheel[*session](time.Second, now),
			endpoint: &Endpoint{config: Config{Metrics: metrics}},
			batch:    batches{all: []*batch{b}, used: 1, last: b},
		}
		conn := &fullAt{room: 100}
		f := &follow{session: &session{shard: sh, conn: conn}, cursor: 1}
		f.state.Store(state)
		sh.pass(&audience{members: []*follow{f}})
		if len(conn.taken) > 0 || f.cursor != 1 {
			t.Errorf("state %d: it was given %q", state, conn.taken)
		}
	}
}
