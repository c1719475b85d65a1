package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// appended is a send that took from began to ended.
func appended(id string, v uint64, began, ended int64) porcupine.Operation {
	return porcupine.Operation{Input: appendInput{sendOp, id}, Output: appendOutput{v, v, 10 * v}, Call: began, Return: ended}
}

func readHead(kind appendKind, v uint64, began, ended int64) porcupine.Operation {
	return porcupine.Operation{Input: appendInput{kind: kind}, Output: appendOutput{v: v}, Call: began, Return: ended}
}

// The model takes what may be, and refuses each thing that may not.
func TestAppendModel(t *testing.T) {
	at := func(o porcupine.Operation, v, n, seq uint64) porcupine.Operation {
		o.Output = appendOutput{v, n, seq}
		return o
	}
	other := porcupine.Operation{Input: appendInput{kind: otherOp}, Output: appendOutput{2, 1, 15}, Call: 0, Return: 99}
	for name, row := range map[string]struct {
		legal bool
		list  []porcupine.Operation
	}{
		"one after the other":                   {true, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 2, 3, 4)}},
		"at once, the later begun first":        {true, []porcupine.Operation{appended("a", 2, 1, 5), appended("b", 1, 2, 4)}},
		"a retry gets the first place":          {true, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 2, 3, 4), appended("a", 1, 5, 6)}},
		"a read that lags":                      {true, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 2, 3, 4), readHead(laggedOp, 1, 9, 10)}},
		"an exact read":                         {true, []porcupine.Operation{appended("a", 1, 1, 2), readHead(exactOp, 1, 3, 4)}},
		"an event of another kind":              {true, []porcupine.Operation{appended("a", 1, 1, 2), other, at(appended("b", 3, 3, 4), 3, 2, 30)}},
		"two at one place":                      {false, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 1, 3, 4)}},
		"a retry gets another place":            {false, []porcupine.Operation{appended("a", 1, 1, 2), appended("a", 2, 3, 4)}},
		"a retry gets another's place":          {false, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 2, 3, 4), appended("a", 2, 5, 6)}},
		"a place is left out":                   {false, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 3, 3, 4)}},
		"answered before the other began":       {false, []porcupine.Operation{appended("a", 2, 1, 2), appended("b", 1, 3, 4)}},
		"a read of the future":                  {false, []porcupine.Operation{readHead(laggedOp, 1, 1, 2), appended("a", 1, 3, 4)}},
		"an exact read that lags":               {false, []porcupine.Operation{appended("a", 1, 1, 2), appended("b", 2, 3, 4), readHead(exactOp, 1, 5, 6)}},
		"the number of messages jumps":          {false, []porcupine.Operation{appended("a", 1, 1, 2), at(appended("b", 2, 3, 4), 2, 3, 20)}},
		"the place in the group goes back":      {false, []porcupine.Operation{appended("a", 1, 1, 2), at(appended("b", 2, 3, 4), 2, 2, 5)}},
		"an event of another kind got a number": {false, []porcupine.Operation{appended("a", 1, 1, 2), at(other, 2, 2, 15)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := porcupine.CheckOperations(appendModel(appendOutput{}), row.list); got != row.legal {
				t.Errorf("legal is %v, want %v", got, row.legal)
			}
		})
	}
}

// A long history is checked in slices, and a wrong order is found wherever it
// stands, at the seams too.
func TestSlicesLeaveNothingOut(t *testing.T) {
	const count = 3*sliceOps + 17
	history := func() History {
		h := History{Partitions: 1, Replicas: []Replica{{}}}
		h.Replicas[0].Records = []Record{{Seq: 1, Fence: true}}
		for v := uint64(1); v <= count; v++ {
			at := time.Duration(v) * ms
			id := fmt.Sprint("m", v)
			e := Entry{Channel: general, V: v, N: v, Seq: v + 1, Kind: "message", User: "alice", ID: id}
			h.Replicas[0].Records = append(h.Replicas[0].Records, Record{Seq: v + 1, Epoch: 1, Event: e})
			h.Sends = append(h.Sends, Send{Channel: general, User: "alice", ID: id, Attempts: []Attempt{
				{Conn: int(v), Began: at, Ended: at + 100*time.Microsecond, Outcome: Acked, V: v, N: v, Seq: v + 1},
			}})
		}
		return h
	}
	if v := Check(history()); !v.OK() || v.Unchecked != 0 {
		t.Fatalf("got %v: %s", v, details(v))
	}
	for _, at := range []int{0, sliceOps/2 - 1, sliceOps / 2, sliceOps - 1, sliceOps, 2*sliceOps - 1, count - 2} {
		h := history()
		a, b := &h.Sends[at].Attempts[0], &h.Sends[at+1].Attempts[0]
		a.Began, a.Ended, b.Began, b.Ended = b.Began, b.Ended, a.Began, a.Ended
		if v := Check(h); v.Counts[NotLinear] == 0 {
			t.Errorf("the places of the sends %d and %d against the clock: %v", at, at+1, v)
		}
	}
}

// The register takes what may be, and refuses each thing that may not.
func TestRegisterModel(t *testing.T) {
	version := func(v uint64) *uint64 { return &v }
	set := func(value string, v uint64, began, ended time.Duration) AttrOp {
		return AttrOp{Kind: AttrSet, Value: value, V: v, Began: began, Ended: ended}
	}
	swapped := func(value string, ifV, v uint64, began, ended time.Duration) AttrOp {
		return AttrOp{Kind: AttrSet, Value: value, IfV: version(ifV), V: v, Began: began, Ended: ended}
	}
	refused := func(ifV, v uint64, found string, began, ended time.Duration) AttrOp {
		return AttrOp{Kind: AttrSet, Value: "new", IfV: version(ifV), Conflict: true, V: v, Found: found, Began: began, Ended: ended}
	}
	get := func(value string, v uint64, began, ended time.Duration) AttrOp {
		return AttrOp{Kind: AttrGet, Found: value, V: v, Began: began, Ended: ended}
	}
	for name, row := range map[string]struct {
		legal bool
		list  []AttrOp
	}{
		"set and read":                           {true, []AttrOp{set("a", 5, 1, 2), get("a", 5, 3, 4)}},
		"read of nothing":                        {true, []AttrOp{get("", 0, 1, 2)}},
		"made once":                              {true, []AttrOp{swapped("a", 0, 5, 1, 9), refused(0, 5, "a", 2, 8)}},
		"swapped in turn":                        {true, []AttrOp{swapped("a", 0, 5, 1, 2), swapped("b", 5, 6, 3, 4), refused(5, 6, "b", 5, 6)}},
		"deleted and made again":                 {true, []AttrOp{set("a", 5, 1, 2), {Kind: AttrDel, V: 6, Began: 3, Ended: 4}, get("", 0, 5, 6), swapped("b", 0, 7, 7, 8)}},
		"an unknown set took effect":             {true, []AttrOp{set("a", 0, 1, 0), get("a", 7, 3, 4)}},
		"an unknown set did not, or later":       {true, []AttrOp{set("a", 0, 1, 0), get("", 0, 3, 4)}},
		"an unknown swap lost against another":   {true, []AttrOp{set("a", 5, 1, 2), swapped("b", 5, 0, 3, 0), swapped("c", 5, 6, 4, 5), get("c", 6, 6, 7)}},
		"an unknown swap won against another":    {true, []AttrOp{set("a", 5, 1, 2), swapped("b", 5, 0, 3, 0), refused(5, 6, "b", 4, 5), get("b", 6, 6, 7)}},
		"two swaps from one version":             {false, []AttrOp{set("a", 5, 1, 2), swapped("b", 5, 6, 3, 9), swapped("c", 5, 7, 4, 8)}},
		"made twice":                             {false, []AttrOp{swapped("a", 0, 5, 1, 9), swapped("b", 0, 6, 2, 8)}},
		"refused though it held":                 {false, []AttrOp{set("a", 5, 1, 2), refused(5, 5, "a", 3, 4)}},
		"refused with what was never there":      {false, []AttrOp{set("a", 5, 1, 2), refused(4, 6, "b", 3, 4)}},
		"a read of what is gone":                 {false, []AttrOp{set("a", 5, 1, 2), set("b", 6, 3, 4), get("a", 5, 5, 6)}},
		"a lost update":                          {false, []AttrOp{set("a", 5, 1, 2), get("", 0, 3, 4)}},
		"a version goes back":                    {false, []AttrOp{set("a", 5, 1, 2), set("b", 4, 3, 4)}},
		"another value under the same version":   {false, []AttrOp{set("a", 5, 1, 2), get("b", 5, 3, 4)}},
		"an unknown set took effect twice":       {false, []AttrOp{set("a", 0, 1, 0), get("a", 7, 3, 4), set("b", 8, 5, 6), get("a", 9, 7, 8)}},
		"an unknown swap took effect regardless": {false, []AttrOp{set("a", 5, 1, 2), set("b", 6, 3, 4), swapped("c", 5, 0, 5, 0), get("c", 7, 6, 7)}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range row.list {
				row.list[i].Group, row.list[i].Key = "g", "k"
			}
			v := Check(History{Attrs: row.list})
			if got := v.Counts[NotLinear] == 0; got != row.legal {
				t.Errorf("legal is %v, want %v", got, row.legal)
			}
		})
	}
}
