package sequencer

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/throng/throng/streams"
)

// dedup is the duplicate window: what was answered to each (user, client id)
// lately. It is part of the fold: a new owner takes it from the snapshot and
// the log behind it.
//
// A client id is kept for dedupKeep after it was accepted; an id whose own
// time lies further back than streams.DedupWindow is refused before. Since an
// id may run ahead of the clock by streams.MaxClockAhead, no repetition falls
// between the two.
//
// A takeover brings a million entries into it within a fraction of a second, so
// nothing in it is allocated for one entry alone, and nothing holds a pointer
// that the garbage collector would follow.
type dedup struct {
	blocks []*dedupBlock // oldest first
	base   uint32        // number of the first entry of the first block
	head   uint32        // number of the oldest entry
	next   uint32        // number of the next entry; numbers begin anew after the last
	index  dedupIndex
	fresh  []piece // not in a snapshot yet, oldest first
}

const dedupKeep = streams.DedupWindow + streams.MaxClockAhead + time.Minute

// maxDedup bounds the window's memory at some 400 MB a partition, 4,000
// commands a second over the whole window. When it is full, commands with a
// new id are answered unavailable.
const maxDedup = 4 << 20

// dedupBlock is entries in the order in which they were accepted: 18 KB, all of
// what a quiet partition takes. Their number divides that of all numbers.
type dedupBlock [dedupBlockEntries]accepted

const dedupBlockEntries = 256

// accepted is an entry.
type accepted struct {
	key     dedupKey
	outcome outcome
	at      int64 // ms since 1970 UTC
}

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

// hash is where the index looks for a key.
func (k *dedupKey) hash() uint64 {
	var b [8 + len(k.id)]byte
	binary.LittleEndian.PutUint64(b[:], k.user)
	copy(b[8:], k.id[:])
	return maphash.Bytes(dedupSeed, b[:])
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

func newDedup() *dedup { return &dedup{} }

func (d *dedup) find(u streams.User, id streams.ClientID) (outcome, bool) {
	key := keyOf(u, id)
	if a := d.lookup(&key, key.hash()); a != nil {
		return a.outcome, true
	}
	return outcome{}, false
}

// lookup returns the entry of a key, nil for none.
func (d *dedup) lookup(key *dedupKey, hash uint64) *accepted {
	search := d.index.search(hash)
	for number, more := search.next(); more; number, more = search.next() {
		if a := d.entry(number); a.key == *key {
			return a
		}
	}
	return nil
}

// entry returns the entry of a number from head up to next.
func (d *dedup) entry(number uint32) *accepted {
	at := number - d.base
	return &d.blocks[at/dedupBlockEntries][at%dedupBlockEntries]
}

// add notes what a command led to; at is when it was accepted.
func (d *dedup) add(e *streams.Event, at int64) {
	if e.ClientID.IsZero() || !e.Answer {
		return
	}
	a := accepted{
		key:     keyOf(e.User, e.ClientID),
		outcome: outcome{v: e.V, n: e.N, seq: e.Seq, ts: e.TS, attempt: e.Attempt},
		at:      at,
	}
	if d.note(&a) {
		d.fresh = addToPieces(d.fresh, e.User, &a)
	}
}

// note keeps the first outcome of a command and reports whether it was the first.
func (d *dedup) note(a *accepted) bool {
	hash := a.key.hash()
	if d.lookup(&a.key, hash) != nil {
		return false
	}
	if int(d.next-d.base) == len(d.blocks)*dedupBlockEntries {
		d.blocks = append(d.blocks, new(dedupBlock))
	}
	number := d.next
	d.next++
	*d.entry(number) = *a
	d.index.put(hash, number)
	return true
}

func (d *dedup) count() int { return int(d.next - d.head) }

func (d *dedup) full() bool { return d.count() >= maxDedup }

// expire drops what was accepted longer than dedupKeep ago, also from what a
// snapshot was to hold and there was none: pieces of which all is so old.
func (d *dedup) expire(now int64) {
	for d.head != d.next {
		oldest := d.entry(d.head)
		if oldest.at+dedupKeep.Milliseconds() >= now {
			break
		}
		d.index.remove(oldest.key.hash(), d.head)
		d.head++
		if d.head-d.base == dedupBlockEntries {
			d.blocks[0] = nil
			d.blocks, d.base = d.blocks[1:], d.head
		}
	}
	for len(d.fresh) > 0 && d.fresh[0].newest+dedupKeep.Milliseconds() < now {
		d.fresh = d.fresh[1:]
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
