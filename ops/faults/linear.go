package faults

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/throng/throng/streams"
)

// A channel is an append log, and its sends are linearizable: each takes effect
// once, at a moment between its begin and its answer, and gets the next place.
// Reads may lag, since edges follow the log; they may not tell what nobody has
// sent yet. What reads at rest is exact.

// appendInput is an operation on a channel's log.
type appendInput struct {
	kind appendKind
	id   string // of a send: user and client_id
}

type appendKind int

const (
	sendOp   appendKind = iota
	otherOp             // an event of another kind, by whomever
	laggedOp            // a read that may lag
	exactOp             // a read of the head
)

// appendOutput is where an operation stands, or how far a read came.
type appendOutput struct{ v, n, seq uint64 }

// appendState is a log as a list from its newest entry back. It is not changed
// once it is made.
type appendState struct {
	appendOutput
	id     string
	before *appendState
	sum    uint64 // of all entries, to compare by
}

func (s *appendState) append(id string, at appendOutput) *appendState {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %d %d %d", s.sum, id, at.v, at.n, at.seq)
	return &appendState{appendOutput: at, id: id, before: s, sum: h.Sum64()}
}

// at is the entry of a version, nil if it is not in the list.
func (s *appendState) at(v uint64) *appendState {
	for s != nil && s.v > v {
		s = s.before
	}
	if s == nil || s.v != v {
		return nil
	}
	return s
}

// has reports whether a message is in the list.
func (s *appendState) has(id string) bool {
	for ; s != nil; s = s.before {
		if s.id == id {
			return true
		}
	}
	return false
}

// appendModel is a log that begins where it is said.
func appendModel(start appendOutput) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &appendState{appendOutput: start, sum: start.v} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(*appendState), input.(appendInput), output.(appendOutput)
			switch {
			case in.kind == laggedOp:
				return out.v <= s.v, s
			case in.kind == exactOp:
				return out.v == s.v, s
			case out.v <= s.v: // sent again: the first one's place
				first := s.at(out.v)
				return in.kind == sendOp && first != nil && first.id == in.id && first.appendOutput == out, s
			}
			n := s.n
			if in.kind == sendOp {
				n++
			}
			if out.v != s.v+1 || out.n != n || out.seq <= s.seq || in.kind == sendOp && s.has(in.id) {
				return false, s
			}
			return true, s.append(in.id, out)
		},
		Equal: func(a, b any) bool {
			s, t := a.(*appendState), b.(*appendState)
			return s.appendOutput == t.appendOutput && s.sum == t.sum
		},
		Hash: func(state any) uint64 { return state.(*appendState).sum },
	}
}

const (
	// sliceOps bounds what is checked at once. Slices overlap by half, so that
	// each pair of operations that stand near each other meets in one.
	sliceOps = 2000
	// sliceWithin bounds the search; a slice that takes longer is unchecked.
	sliceWithin = 20 * time.Second
)

// linear checks every channel's operations against the model.
func (c *checker) linear() {
	operations := c.operations()
	for at, list := range operations {
		c.verdict.Operations += len(list)
		slices.SortStableFunc(list, func(a, b porcupine.Operation) int {
			return cmp.Or(
				cmp.Compare(a.Output.(appendOutput).v, b.Output.(appendOutput).v),
				cmp.Compare(a.Input.(appendInput).kind, b.Input.(appendInput).kind),
				cmp.Compare(a.Call, b.Call))
		})
		for from := 0; from < len(list); from += sliceOps / 2 {
			slice := wholeVersions(list, from)
			if len(slice) == 0 {
				continue
			}
			switch porcupine.CheckOperationsTimeout(appendModel(c.startOf(at, slice)), slice, sliceWithin) {
			case porcupine.Illegal:
				c.found(NotLinear, "%v: the %d operations from v %d to v %d fit no order", at, len(slice),
					slice[0].Output.(appendOutput).v, slice[len(slice)-1].Output.(appendOutput).v)
			case porcupine.Unknown:
				c.verdict.Unchecked++
			}
			if from+sliceOps >= len(list) {
				break
			}
		}
	}
}

// wholeVersions is a slice of operations sorted by v, from the first of a
// version on.
func wholeVersions(list []porcupine.Operation, from int) []porcupine.Operation {
	for from > 0 && from < len(list) && list[from].Output.(appendOutput).v == list[from-1].Output.(appendOutput).v {
		from++
	}
	return list[min(from, len(list)):min(from+sliceOps, len(list))]
}

// startOf is where the log stood before a slice.
func (c *checker) startOf(at Channel, slice []porcupine.Operation) appendOutput {
	first := slice[0].Output.(appendOutput).v
	before := c.logs[at]
	for i := len(before) - 1; i >= 0; i-- {
		if before[i].V < first {
			return appendOutput{before[i].V, before[i].N, before[i].Seq}
		}
	}
	return appendOutput{}
}

// operations are what was done to each channel. A send that was never answered
// may have taken effect at any time after its begin; if it is in the log it did,
// and its place is known from there.
func (c *checker) operations() map[Channel][]porcupine.Operation {
	all := map[Channel][]porcupine.Operation{}
	add := func(at Channel, in appendInput, out appendOutput, began, ended int64) {
		all[at] = append(all[at], porcupine.Operation{Input: in, Output: out, Call: began, Return: ended})
	}
	known := map[message]bool{}
	for i := range c.Sends {
		s := &c.Sends[i]
		key := message{s.User, s.ID}
		e, there := c.byID[key]
		known[key] = true
		in := appendInput{sendOp, s.User + " " + s.ID}
		acked := false
		for _, a := range s.Attempts {
			if a.Outcome == Acked {
				// Retries of one message share their begin: which of them took
				// effect, nobody can tell.
				add(s.Channel, in, appendOutput{a.V, a.N, a.Seq}, int64(s.Attempts[0].Began), int64(a.Ended))
				acked = true
			}
		}
		if !acked && there {
			add(s.Channel, in, appendOutput{e.V, e.N, e.Seq}, int64(s.Attempts[0].Began), math.MaxInt64)
		}
	}
	for at, log := range c.logs {
		for _, e := range log {
			out := appendOutput{e.V, e.N, e.Seq}
			switch {
			case e.Kind != string(streams.KindMessage):
				add(at, appendInput{kind: otherOp, id: e.ID}, out, math.MinInt64, math.MaxInt64)
			case !known[message{e.User, e.ID}]: // found already as unexpected
				add(at, appendInput{sendOp, e.User + " " + e.ID}, out, math.MinInt64, math.MaxInt64)
			}
		}
	}
	for _, r := range c.Readers {
		for _, s := range r.Subscriptions {
			if s.Ended > 0 && s.V > 0 {
				add(r.Channel, appendInput{kind: laggedOp}, appendOutput{v: s.V}, int64(s.Began), int64(s.Ended))
			}
		}
	}
	for _, h := range c.Heads {
		add(h.Channel, appendInput{kind: exactOp}, appendOutput{v: h.V}, int64(h.Began), int64(h.Ended))
	}
	return all
}
