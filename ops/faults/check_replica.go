package faults

import (
	"hash/fnv"
	"slices"
)

// replicas compares the copies of each partition and folds what most of them
// have.
func (c *checker) replicas() {
	for p := range c.Partitions {
		var copies []*Replica
		for i := range c.Replicas {
			if c.Replicas[i].Partition == p {
				copies = append(copies, &c.Replicas[i])
			}
		}
		if len(copies) == 0 {
			c.found(Unread, "no copy of partition %d was read", p)
			continue
		}
		reference := common(copies)
		for _, other := range copies {
			if other != reference {
				c.compare(reference, other)
			}
		}
		c.fold(reference)
	}
}

// common is the copy that most others equal, the first of several.
func common(copies []*Replica) *Replica {
	sums, count := make([]uint64, len(copies)), map[uint64]int{}
	for i, r := range copies {
		h := fnv.New64a()
		for _, record := range r.Records {
			for _, n := range []uint64{record.Seq, record.Digest} {
				_, _ = h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)})
			}
		}
		sums[i] = h.Sum64()
		count[sums[i]]++
	}
	best := 0
	for i, sum := range sums {
		if count[sum] > count[sums[best]] {
			best = i
		}
	}
	return copies[best]
}

// compare finds every record that one of two copies lacks or has otherwise.
func (c *checker) compare(a, b *Replica) {
	x, y := slices.Clone(a.Records), slices.Clone(b.Records)
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Seq < y[0].Seq:
			c.found(Diverged, "partition %d: %s lacks %d, %s has it: %+v", a.Partition, b.Node, x[0].Seq, a.Node, x[0].Event)
			x = x[1:]
		case len(x) == 0 || y[0].Seq < x[0].Seq:
			c.found(Diverged, "partition %d: %s lacks %d, %s has it: %+v", a.Partition, a.Node, y[0].Seq, b.Node, y[0].Event)
			y = y[1:]
		default:
			if x[0].Digest != y[0].Digest {
				c.found(Diverged, "partition %d: %s has %+v where %s has %+v", a.Partition, a.Node, x[0], b.Node, y[0])
			}
			x, y = x[1:], y[1:]
		}
	}
}
