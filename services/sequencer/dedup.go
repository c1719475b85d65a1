package sequencer

import (
	"hash/maphash"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// dedup is the duplicate window: what was answered to each (user, client id)
// lately. It is part of the fold: a new owner takes it from the snapshot and
// the log behind it.
//
// A client id is kept for dedupKeep after it was accepted; an id whose own
// time lies further back than streams.DedupWindow is refused before. Since an
// id may run ahead of the clock by streams.MaxClockAhead, no repetition falls
// between the two.
type dedup struct {
	entries map[dedupKey]outcome
	order   []accepted // oldest first; what lies before head has been dropped
	head    int
	fresh   []*streampb.DedupEntry // not in a snapshot yet, oldest first
}

const dedupKeep = streams.DedupWindow + streams.MaxClockAhead + time.Minute

// maxDedup bounds the window's memory at some 400 MB a partition, 4,000
// commands a second over the whole window. When it is full, commands with a
// new id are answered unavailable.
const maxDedup = 4 << 20

// dedupKey holds a hash of the user instead of the name. The seed is secret to
// the process, so nobody can aim at another's ids.
type dedupKey struct {
	user uint64
	id   streams.ClientID
}

var dedupSeed = maphash.MakeSeed()

func keyOf(u streams.User, id streams.ClientID) dedupKey {
	return dedupKey{user: maphash.String(dedupSeed, string(u)), id: id}
}

// outcome is what the command was answered.
type outcome struct {
	v   streams.Version
	n   streams.Number
	seq streams.Seq
	ts  int64
	// attempt tells a repetition by who took the command from its sender, who
	// had no answer, from one by the sender.
	attempt uint32
}

type accepted struct {
	at  int64 // ms since 1970 UTC
	key dedupKey
}

func newDedup() *dedup { return &dedup{entries: map[dedupKey]outcome{}} }

func (d *dedup) find(u streams.User, id streams.ClientID) (outcome, bool) {
	o, ok := d.entries[keyOf(u, id)]
	return o, ok
}

// add notes what a command led to; at is when it was accepted.
func (d *dedup) add(e *streams.Event, at int64) {
	if e.ClientID.IsZero() || !e.Answer {
		return
	}
	if d.note(keyOf(e.User, e.ClientID), outcome{v: e.V, n: e.N, seq: e.Seq, ts: e.TS, attempt: e.Attempt}, at) {
		d.fresh = append(d.fresh, &streampb.DedupEntry{
			User: string(e.User), ClientId: e.ClientID.Bytes(), V: uint64(e.V), N: uint64(e.N),
			Seq: uint64(e.Seq), Ts: e.TS, Accepted: at, Attempt: e.Attempt,
		})
	}
}

// restore puts an entry of a snapshot back.
func (d *dedup) restore(e *streampb.DedupEntry) error {
	id, err := streams.ClientIDFromBytes(e.GetClientId())
	if err != nil {
		return err
	}
	d.note(keyOf(streams.User(e.GetUser()), id), outcome{
		v: streams.Version(e.GetV()), n: streams.Number(e.GetN()), seq: streams.Seq(e.GetSeq()), ts: e.GetTs(), attempt: e.GetAttempt(),
	}, e.GetAccepted())
	return nil
}

// note keeps the first outcome of a command and reports whether it was the first.
func (d *dedup) note(key dedupKey, o outcome, at int64) bool {
	if _, known := d.entries[key]; known {
		return false
	}
	d.entries[key] = o
	d.order = append(d.order, accepted{at: at, key: key})
	return true
}

func (d *dedup) full() bool { return len(d.entries) >= maxDedup }

// expire drops what was accepted longer than dedupKeep ago, also from what a
// snapshot was to hold and there was none.
func (d *dedup) expire(now int64) {
	for d.head < len(d.order) && d.order[d.head].at+dedupKeep.Milliseconds() < now {
		delete(d.entries, d.order[d.head].key)
		d.head++
	}
	for len(d.fresh) > 0 && d.fresh[0].GetAccepted()+dedupKeep.Milliseconds() < now {
		d.fresh = d.fresh[1:]
	}
	if d.head > 1024 && d.head > len(d.order)/2 {
		d.order = append([]accepted(nil), d.order[d.head:]...)
		d.head = 0
	}
}

// check rejects an id that is no valid one now. reference is the time the
// command claims: now, or that of what is imported.
func checkAge(id streams.ClientID, now, reference int64) error {
	switch {
	case id.Millis() > now+streams.MaxClockAhead.Milliseconds():
		return streams.Reject(streams.BadRequest, "client_id lies over a minute in the future")
	case id.Millis() < reference-streams.DedupWindow.Milliseconds():
		return streams.Reject(streams.StaleClientID, "client_id is older than %v: make a new one", streams.DedupWindow)
	}
	return nil
}
