package races

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/throng/throng/ops/faults"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

var grabs = flag.Int("races.grabs", 1, "how often the seats are grabbed, taken over some times and given up")

const (
	contenders = 200
	seats      = 8
	takeovers  = 3 // of all seats, between a grab and giving up
	// goneWithin is how long what is tied to a presence may outlast it, as promised.
	goneWithin = 10 * time.Second
)

// It proves that of many who set the same key under the same condition one
// wins, that what each was answered fits one order of the key's changes, and
// that a seat is free once, and only then, when its last holder is gone.
func TestOneOfManyGetsTheSeat(t *testing.T) {
	c := newContest(t, contenders, seats)
	for grab := range *grabs {
		held := map[string]holder{} // none: the condition is that there is no such key
		held = c.oneEach(t, c.grab(t, fmt.Sprint("grab ", grab), held))
		c.converge(t, held)
		var former []holder
		for i := range takeovers {
			former = slices.AppendSeq(former, maps.Values(held))
			held = c.oneEach(t, c.grab(t, fmt.Sprint("takeover ", grab, ".", i), held))
			c.converge(t, held)
		}
		c.giveUp(t, former, held)
	}
	if v := faults.Check(faults.History{Attrs: c.all()}); !v.OK() || v.Unchecked > 0 {
		t.Errorf("%v, %d unchecked: %v", v, v.Unchecked, v.Violations)
	} else {
		t.Logf("%d operations on %d keys fit an order; the last seat was free %v after its holder had gone", len(c.all()), seats, c.slowest)
	}
	for _, problem := range judgeSeats(c.events(t, "room"), *grabs, seats) {
		t.Error(problem)
	}
}

// Who sets without the condition they claim wins too, and both checkers notice.
func TestASeatForTwoIsFound(t *testing.T) {
	c := newContest(t, 6, 1)
	c.careless = true
	winners := c.grab(t, "grab", map[string]holder{})
	if len(winners) != 6 {
		t.Errorf("%d of 6 won", len(winners))
	}
	if v := faults.Check(faults.History{Attrs: c.all()}); v.Counts[faults.NotLinear] == 0 {
		t.Errorf("six winners of one seat fit an order: %v", v)
	}
}

// A seat that is freed twice, or not at all, is found.
func TestASeatThatIsNotFreedOnceIsFound(t *testing.T) {
	c := newContest(t, 2, 1)
	held := c.oneEach(t, c.grab(t, "grab", map[string]holder{}))
	taken := c.events(t, "room")
	if len(judgeSeats(taken, 1, 1)) == 0 {
		t.Error("a seat that is not freed went unnoticed")
	}
	c.giveUp(t, nil, held)
	freed := c.events(t, "room")
	if problems := judgeSeats(freed, 1, 1); len(problems) != 0 {
		t.Error(problems)
	}
	last := slices.IndexFunc(freed, func(e *streams.Event) bool { return e.Kind() == streams.KindAttrDel })
	if len(judgeSeats(append(freed, freed[last]), 1, 1)) == 0 {
		t.Error("a seat that is freed twice went unnoticed")
	}
}

// contest is a room with contenders on both edges.
type contest struct {
	*stage
	began    time.Time
	owner    *client // of the room, who is in it
	keys     []string
	users    []*contender
	freed    chan freeing // deletions as the owner hears of them
	careless bool         // conditions are claimed and not sent
	slowest  time.Duration

	mu  sync.Mutex
	ops []faults.AttrOp // guarded by mu
}

// contender is one user and their connection.
type contender struct {
	name   string
	listen string
	client *client
}

// holder is who has a seat, and the version of the event that gave it.
type holder struct {
	by *contender
	v  uint64
}

// freeing is a key's deletion, when it was heard of.
type freeing struct {
	event
	at time.Time
}

func newContest(t *testing.T, users, keys int) *contest {
	t.Helper()
	c := &contest{stage: newStage(t), began: time.Now(), freed: make(chan freeing, 1024)} // more than are freed in a run
	c.owner = connect(t, c.edges[0], "dev:owner", func(f frame) {
		if f.Block == nil {
			return
		}
		for _, e := range f.Block.Events {
			if e.Kind == string(streams.KindAttrDel) {
				c.freed <- freeing{e, f.at}
			}
		}
	})
	streamtest.Eventually(t, patience, "the room is made", func() bool {
		return c.owner.call(t.Context(), "create_group", object{"group": "room", "kind": "room", "name": "R"}, nil) == nil
	})
	c.owner.must(t, "subscribe", object{"group": "room", "channel": "@"}, nil)
	for i := range keys {
		c.keys = append(c.keys, fmt.Sprint("seat-", i))
	}
	for i := range users {
		u := &contender{name: fmt.Sprint("u", i), listen: c.edges[i%2]}
		u.comes(t)
		c.users = append(c.users, u)
	}
	return c
}

// comes connects a contender and lets them into the room.
func (u *contender) comes(t *testing.T) {
	t.Helper()
	u.client = connect(t, u.listen, "dev:"+u.name, nil)
	u.client.must(t, "subscribe", object{"group": "room", "channel": "@", "mode": "hint"}, nil)
}

// won is one success.
type won struct {
	key string
	holder
}

// grab lets everybody set every key at once, under the condition that it is
// still as held says. Each begins with another key.
func (c *contest) grab(t *testing.T, name string, held map[string]holder) (winners []won) {
	t.Helper()
	start := make(chan struct{}) // closed when all are ready
	var all sync.WaitGroup
	for i, u := range c.users {
		all.Go(func() {
			<-start
			type sent struct {
				op     faults.AttrOp
				answer <-chan frame
			}
			var under []sent
			for j := range c.keys {
				key := c.keys[(i+j)%len(c.keys)]
				v := held[key].v
				op := faults.AttrOp{
					Group: "room", Key: key, Kind: faults.AttrSet, Value: name + " " + u.name, IfV: &v, Began: time.Since(c.began),
				}
				o := object{"group": "room", "set": object{key: op.Value}, "if_v": object{key: v}, "auto_delete": true}
				if c.careless {
					delete(o, "if_v")
				}
				answer, err := u.client.begin("attr_set", o)
				if err != nil {
					t.Errorf("%s: %v", u.name, err)
					return
				}
				under = append(under, sent{op, answer})
			}
			for _, s := range under {
				f, came := <-s.answer
				if !came {
					t.Errorf("%s: %v", u.name, errEnded)
					return
				}
				op, err := settled(s.op, f, f.at.Sub(c.began))
				if err != nil {
					t.Errorf("%s: %v", u.name, err)
				}
				c.mu.Lock()
				c.ops = append(c.ops, op)
				if !op.Conflict && err == nil {
					winners = append(winners, won{op.Key, holder{u, op.V}})
				}
				c.mu.Unlock()
			}
		})
	}
	close(start)
	all.Wait()
	return winners
}

func (c *contest) all() []faults.AttrOp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ops)
}

// oneEach checks that each seat has one holder.
func (c *contest) oneEach(t *testing.T, winners []won) map[string]holder {
	t.Helper()
	held := map[string]holder{}
	for _, w := range winners {
		if other, taken := held[w.key]; taken {
			t.Errorf("%s was won by %s and by %s", w.key, other.by.name, w.by.name)
		}
		held[w.key] = w.holder
	}
	if len(held) != len(c.keys) {
		t.Fatalf("%d of %d seats were won", len(held), len(c.keys))
	}
	return held
}

// converge waits until both edges tell the same holders.
func (c *contest) converge(t *testing.T, held map[string]holder) {
	t.Helper()
	for i := range c.edges {
		streamtest.Eventually(t, patience, "an edge tells who has the seats", func() bool {
			var ok struct {
				Attrs map[string]struct {
					V    uint64 `json:"v"`
					User string `json:"user"`
				} `json:"attrs"`
			}
			c.users[i].client.must(t, "attrs", object{"group": "room"}, &ok)
			for key, h := range held {
				if ok.Attrs[key].V != h.v || ok.Attrs[key].User != h.by.name {
					return false
				}
			}
			return len(ok.Attrs) == len(held)
		})
	}
}
