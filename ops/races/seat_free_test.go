package races

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/throng/throng/ops/faults"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// settled is an operation with what it was answered.
func settled(op faults.AttrOp, f frame, at time.Duration) (faults.AttrOp, error) {
	op.Ended = at
	if f.Error != nil {
		if streams.Code(f.Error.Code) != streams.Conflict {
			return op, f.Error
		}
		current := f.Error.Current[op.Key]
		op.Conflict, op.V, op.Found = true, current.V, current.Value
		return op, nil
	}
	var ok struct {
		V uint64 `json:"v"`
	}
	err := json.Unmarshal(f.OK, &ok)
	op.V = ok.V
	return op, err
}

// giveUp has the connections of those end who held seats before, which must free
// nothing, and then of those who hold them. It waits until all seats are free,
// and lets everybody come back.
func (c *contest) giveUp(t *testing.T, before []holder, held map[string]holder) {
	t.Helper()
	gone := map[*contender]bool{}
	for _, h := range held {
		gone[h.by] = true
	}
	var former []*contender
	for _, h := range before {
		if !gone[h.by] {
			gone[h.by] = true
			former = append(former, h.by)
		}
	}
	for _, u := range former {
		u.client.close()
	}
	streamtest.Eventually(t, 3*goneWithin, "former holders are out", func() bool {
		var ok struct {
			Members int `json:"members"`
		}
		c.owner.must(t, "presence", object{"group": "room"}, &ok)
		return ok.Members == len(c.users)+1-len(former)
	})
	ended := time.Now()
	for u := range gone {
		u.client.close() // again, of some
	}
	deadline := time.NewTimer(3 * goneWithin)
	defer deadline.Stop()
	for range held {
		select {
		case f := <-c.freed:
			took := f.at.Sub(ended)
			if took < 0 {
				t.Errorf("%s was freed while its holder was there", f.Key)
			}
			c.slowest = max(c.slowest, took)
			if took > goneWithin {
				t.Errorf("%s was free %v after its holder had gone", f.Key, took)
			}
			c.mu.Lock()
			c.ops = append(c.ops, faults.AttrOp{
				Group: "room", Key: f.Key, Kind: faults.AttrDel, V: f.V, Began: ended.Sub(c.began), Ended: f.at.Sub(c.began),
			})
			c.mu.Unlock()
		case <-deadline.C:
			t.Fatal("not all seats are free")
		}
	}
	for u := range gone {
		u.comes(t)
	}
}

// judgeSeats looks in the log for what was freed: each seat as often as its
// holder went, each time from its last holder.
func judgeSeats(events []*streams.Event, times, seats int) (problems []string) {
	freed, by := map[string]int{}, map[string]streams.User{}
	for _, e := range events {
		switch p := e.Payload.(type) {
		case streams.AttributeSet:
			by[p.GetKey()] = e.User
		case streams.AttributeDeleted:
			if by[p.GetKey()] == "" {
				problems = append(problems, fmt.Sprintf("%s was freed at %d, and nobody had it", p.GetKey(), e.Seq))
			}
			if p.GetReason() != "gone" {
				problems = append(problems, fmt.Sprintf("%s was freed at %d because of %q", p.GetKey(), e.Seq, p.GetReason()))
			}
			freed[p.GetKey()]++
			delete(by, p.GetKey())
		}
	}
	for key, n := range freed {
		if n != times {
			problems = append(problems, fmt.Sprintf("%s was freed %d times of %d", key, n, times))
		}
	}
	if len(freed) != seats {
		problems = append(problems, fmt.Sprintf("%d of %d seats were freed", len(freed), seats))
	}
	return problems
}
