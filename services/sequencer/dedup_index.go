package sequencer

import "math/bits"

// dedupIndex finds the numbers of the window's entries by their keys' hashes, in
// 11 to 21 bytes an entry. It is in many
// parts that grow on their own, so that none of them keeps the sequencer from
// deciding while it grows: the largest has some 16,000 entries.
type dedupIndex [1 << indexPartBits]indexPart

const indexPartBits = 8

// indexPart is a hash table with linear probing. Its slots are a power of two,
// at most three quarters of them used.
type indexPart struct {
	slots []indexSlot
	used  int
}

// indexSlot is an entry's number and, above it, the tag: bits of its hash that
// tell where it belongs, however many slots there are. 0 is an empty one.
type indexSlot uint64

const (
	slotUsed    indexSlot = 1 << 63
	tagBits               = 31
	firstSlots            = 16
	slotNumbers           = 32 // bits of a number
)

func slotOf(hash uint64, number uint32) indexSlot {
	return slotUsed | indexSlot(hash)<<(64-tagBits)>>1 | indexSlot(number)
}

func (s indexSlot) number() uint32 { return uint32(s) }

// home is where in a table of so many slots the entry belongs: the tag's high
// bits, so that a table that grows is read and written in one direction.
func (s indexSlot) home(slots int) int {
	return int(s &^ slotUsed >> (slotNumbers + tagBits - (bits.Len(uint(slots)) - 1)))
}

func (s indexSlot) tag() indexSlot { return s >> slotNumbers }

func (x *dedupIndex) part(hash uint64) *indexPart { return &x[hash>>(64-indexPartBits)] }

// indexSearch goes through the numbers of those entries whose hash is likely to
// be the one looked for.
type indexSearch struct {
	slots []indexSlot
	want  indexSlot
	at    int
}

func (x *dedupIndex) search(hash uint64) indexSearch {
	s := indexSearch{slots: x.part(hash).slots, want: slotOf(hash, 0)}
	if len(s.slots) > 0 {
		s.at = s.want.home(len(s.slots))
	}
	return s
}

// next returns false when there are no more.
func (s *indexSearch) next() (number uint32, more bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	for s.slots[s.at] != 0 { // some are empty
		slot := s.slots[s.at]
		s.at = (s.at + 1) & (len(s.slots) - 1)
		if slot.tag() == s.want.tag() {
			return slot.number(), true
		}
	}
	return 0, false
}

// put adds an entry.
func (x *dedupIndex) put(hash uint64, number uint32) {
	p := x.part(hash)
	if (p.used+1)*4 > len(p.slots)*3 {
		p.grow()
	}
	p.place(slotOf(hash, number))
	p.used++
}

func (p *indexPart) place(s indexSlot) {
	at := s.home(len(p.slots))
	for p.slots[at] != 0 {
		at = (at + 1) & (len(p.slots) - 1)
	}
	p.slots[at] = s
}

func (p *indexPart) grow() {
	former := p.slots
	p.slots = make([]indexSlot, max(firstSlots, 2*len(former)))
	for _, s := range former {
		if s != 0 {
			p.place(s)
		}
	}
}

// remove drops an entry that is there. Those that stand behind it because its
// slot was taken move up, so that no search ends before them.
func (x *dedupIndex) remove(hash uint64, number uint32) {
	p, s := x.part(hash), slotOf(hash, number)
	mask := len(p.slots) - 1
	hole := s.home(len(p.slots))
	for p.slots[hole] != s {
		hole = (hole + 1) & mask
	}
	for at := (hole + 1) & mask; p.slots[at] != 0; at = (at + 1) & mask {
		// It may move to the hole if that lies between its home and it.
		if (at-p.slots[at].home(len(p.slots)))&mask >= (at-hole)&mask {
			p.slots[hole] = p.slots[at]
			hole = at
		}
	}
	p.slots[hole] = 0
	p.used--
}
