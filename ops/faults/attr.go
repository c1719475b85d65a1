//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/throng/throng/streams"
)

// attrWorker changes one attribute of a group with compare-and-set, in
// competition with others, and remembers what came of it. Nothing is sent
// twice: what is not answered stays unknown.
type attrWorker struct {
	group  string
	name   string
	listen []string
	edge   int
	clock  func() time.Duration

	// Owned by run.
	known uint64 // version of the attribute as last heard of
	ops   []AttrOp
}

const (
	attrKey     = "contested"
	attrWorkers = 2 // for each group that has them
	attrGroups  = 3
	attrPause   = 60 * time.Millisecond
)

// attrsThere asks whether the product has attributes.
func attrsThere(ctx context.Context, listen, group string) (bool, error) {
	conn, err := dial(ctx, listen, "owner", nil)
	if err != nil {
		return false, err
	}
	defer conn.close()
	err = insist(conn, "attrs", map[string]any{"group": group}, nil)
	var r *refusal
	if errors.As(err, &r) && streams.Code(r.Code) == streams.BadRequest {
		return false, nil
	}
	return err == nil, err
}

// run works until stop is closed or ctx ends.
func (w *attrWorker) run(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		if conn, err := dial(ctx, w.listen[w.edge], "owner", nil); err == nil {
			done := w.session(ctx, conn, stop)
			conn.close()
			if done {
				return
			}
		}
		w.edge = (w.edge + 1) % len(w.listen)
		if !pause(ctx, 50*time.Millisecond) {
			return
		}
	}
}

// session reports whether there is no more to do; if not, the connection is of
// no more use.
func (w *attrWorker) session(ctx context.Context, conn *connection, stop <-chan struct{}) (done bool) {
	for {
		select {
		case <-stop:
			return true
		case <-ctx.Done():
			return true
		default:
		}
		if !w.change(conn) {
			return false
		}
		pause(ctx, attrPause)
	}
}

// change sets or deletes the attribute, mostly under a condition. It reports
// whether the connection lives.
func (w *attrWorker) change(conn *connection) (alive bool) {
	op := AttrOp{Group: w.group, Key: attrKey, Kind: AttrSet, Value: fmt.Sprintf("%s-%d", w.name, len(w.ops)), Began: w.clock()}
	arguments := map[string]any{"group": w.group}
	if rand.IntN(10) == 0 && w.known > 0 {
		op.Kind, op.Value = AttrDel, ""
		arguments["del"] = []string{attrKey}
	} else {
		arguments["set"] = map[string]string{attrKey: op.Value}
	}
	if op.Kind == AttrDel || rand.IntN(5) > 0 {
		v := w.known
		op.IfV = &v
		arguments["if_v"] = map[string]uint64{attrKey: v}
	}
	var ok struct {
		V uint64 `json:"v"`
	}
	err := conn.call("attr_set", arguments, &ok, answerWithin)
	at := w.clock()
	var r *refusal
	switch {
	case err == nil:
		op.V, op.Ended, w.known = ok.V, at, ok.V
		if op.Kind == AttrDel {
			w.known = 0
		}
	case errors.As(err, &r) && streams.Code(r.Code) == streams.Conflict && op.IfV != nil:
		current := r.Current[attrKey]
		op.Conflict, op.V, op.Found, op.Ended, w.known = true, current.V, current.Value, at, current.V
	}
	w.ops = append(w.ops, op)
	return err == nil || r != nil
}

// contest makes the workers where there are attributes.
func (r *run) contest(ctx context.Context) error {
	there, err := attrsThere(ctx, r.listen[0], r.groups[0])
	if err != nil || !there {
		return err
	}
	for _, group := range r.groups[:attrGroups] {
		for i := range attrWorkers {
			r.attrs = append(r.attrs, &attrWorker{
				group: group, name: fmt.Sprint(group, "-", i), listen: r.listen, edge: i % len(r.listen), clock: r.clock,
			})
		}
	}
	return nil
}

// startContest lets them work until stop is closed; wait returns what they did.
func (r *run) startContest(ctx context.Context, stop <-chan struct{}) (wait func() []AttrOp) {
	var all sync.WaitGroup
	for _, w := range r.attrs {
		all.Go(func() { w.run(ctx, stop) })
	}
	return func() (ops []AttrOp) {
		all.Wait()
		for _, w := range r.attrs {
			ops = append(ops, w.ops...)
		}
		return ops
	}
}
