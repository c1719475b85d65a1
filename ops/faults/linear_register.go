package faults

import (
	"time"

	"github.com/anishathalye/porcupine"
)

// An attribute is a register with compare-and-set: it is set under a condition
// on its version, refused with what it is, and read.

// AttrKind is what is done to an attribute.
type AttrKind string

const (
	AttrSet AttrKind = "set"
	AttrDel AttrKind = "del"
	AttrGet AttrKind = "get" // exact: at the owner, or at rest
)

// AttrOp is one operation on one attribute. Times are since the start of the
// run.
type AttrOp struct {
	Group string        `json:"group"`
	Key   string        `json:"key"`
	Kind  AttrKind      `json:"kind"`
	Value string        `json:"value"`          // to set
	IfV   *uint64       `json:"if_v,omitempty"` // the condition; 0: it does not exist
	Began time.Duration `json:"began"`
	Ended time.Duration `json:"ended"` // 0 where the outcome is unknown

	Conflict bool   `json:"conflict,omitempty"` // the condition did not hold
	V        uint64 `json:"v"`                  // it got; of a conflict or read: it had, 0 for none
	Found    string `json:"found,omitempty"`    // value of a read or conflict
}

// register is the state of one attribute. A set whose answer is unknown gives a
// version that nobody was told: some one above floor, until it is seen.
type register struct {
	value  string
	exists bool
	v      uint64 // 0 where it does not exist, or is not known
	floor  uint64 // newest version that was ever known
	hidden bool   // v is not known
}

// is reports whether the register may have this version, and what it is then.
func (r register) is(v uint64) (register, bool) {
	switch {
	case !r.exists:
		return r, v == 0
	case r.hidden && v > r.floor:
		r.v, r.floor, r.hidden = v, v, false
		return r, true
	}
	return r, !r.hidden && v == r.v
}

// holds returns what the register is where a condition on it held.
func (r register) holds(condition *uint64) (register, bool) {
	if condition == nil {
		return r, true
	}
	return r.is(*condition)
}

// changed is the register after a change that got v, 0 where it is not known.
func (r register) changed(op AttrOp, v uint64) register {
	next := register{floor: max(r.floor, r.v, v), exists: op.Kind == AttrSet}
	if next.exists {
		next.value, next.v, next.hidden = op.Value, v, v == 0
	}
	return next
}

// step returns all states that an operation may leave behind.
func (r register) step(op AttrOp) (next []any) {
	switch {
	case op.Kind == AttrGet:
		if seen, ok := r.is(op.V); ok && (op.V == 0 || seen.value == op.Found) {
			return []any{seen}
		}
	case op.Ended == 0: // it took effect, or its condition did not hold, or both are possible
		if held, ok := r.holds(op.IfV); ok {
			next = append(next, held.changed(op, 0))
		}
		if op.IfV != nil && (r.hidden || (r.exists && r.v != *op.IfV) || (!r.exists && *op.IfV != 0)) {
			next = append(next, r)
		}
	case op.Conflict:
		if seen, ok := r.is(op.V); ok && op.IfV != nil && op.V != *op.IfV && (op.V == 0 || seen.value == op.Found) {
			return []any{seen}
		}
	default:
		if held, ok := r.holds(op.IfV); ok && op.V > max(held.floor, held.v) {
			return []any{held.changed(op, op.V)}
		}
	}
	return next
}

// registerModel is one attribute that does not exist at first.
func registerModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{register{}} },
		Step:  func(state, input, _ any) []any { return state.(register).step(input.(AttrOp)) },
		Equal: func(a, b any) bool { return a == b },
	}
	return model.ToModel()
}

// registers checks every attribute's operations against the model.
func (c *checker) registers() {
	type key struct{ group, key string }
	byKey := map[key][]porcupine.Operation{}
	var end time.Duration
	for _, op := range c.Attrs {
		end = max(end, op.Began, op.Ended)
	}
	for _, op := range c.Attrs {
		k, ended := key{op.Group, op.Key}, op.Ended
		if ended == 0 {
			ended = end + 1
		}
		byKey[k] = append(byKey[k], porcupine.Operation{Input: op, Output: op, Call: int64(op.Began), Return: int64(ended)})
	}
	c.verdict.Operations += len(c.Attrs)
	for k, list := range byKey {
		switch porcupine.CheckOperationsTimeout(registerModel(), list, sliceWithin) {
		case porcupine.Illegal:
			c.found(NotLinear, "attribute %s of %s: its %d operations fit no order", k.key, k.group, len(list))
		case porcupine.Unknown:
			c.verdict.Unchecked++
		}
	}
}
