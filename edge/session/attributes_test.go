package session_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
)

// standing is an attribute as an answer says it.
type standing struct {
	Value string
	V     uint64
	User  string
}

// attrsAnswer is an answer to attrs, or to subscribe on @.
type attrsAnswer struct {
	V       uint64
	Full    bool
	Attrs   map[string]standing
	Changes []struct {
		Op, Key, Value, User string
		V                    uint64
	}
	Events []event

	after uint64 // what was asked
	keys  []string
}

// stand is the slow obvious fold of the attributes up to a version.
func stand(events []*streams.Event, v uint64) map[string]standing {
	all := map[string]standing{}
	for _, e := range events[:v] {
		switch p := e.Payload.(type) {
		case streams.AttributeSet:
			all[p.GetKey()] = standing{p.GetValue(), uint64(e.V), string(e.User)}
		case streams.AttributeDeleted:
			delete(all, p.GetKey())
		}
	}
	return all
}

func only(all map[string]standing, keys []string) map[string]standing {
	if keys != nil {
		maps.DeleteFunc(all, func(key string, _ standing) bool { return !slices.Contains(keys, key) })
	}
	return all
}

// verify checks an answer against the log.
func (a attrsAnswer) verify(t *testing.T, events []*streams.Event) {
	t.Helper()
	want := only(stand(events, a.V), a.keys)
	got := a.Attrs
	if !a.Full {
		got = only(stand(events, a.after), a.keys)
		last := a.after
		for _, c := range a.Changes {
			if c.V <= last {
				t.Errorf("change %d behind %d", c.V, last)
			}
			last = c.V
			if c.Op == "set" {
				got[c.Key] = standing{c.Value, c.V, c.User}
			} else {
				delete(got, c.Key)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("after %d keys %v full %v: at v %d\ngot  %v\nwant %v", a.after, a.keys, a.Full, a.V, got, want)
	}
}

// Many change attributes through two edges, one of which loses live events and
// has little memory, while others read: every answer is what the log says at
// the version it gives.
func TestAttributesAreWhatTheLogSays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := edgetest.New(t)
	s.Group(t)
	var turn atomic.Uint64
	poor, _ := s.Start(t, func(c *edge.Config) {
		c.RingEvents, c.AttributeBytes = 60, 1
		c.Lose = func(msg *nats.Msg) bool { return strings.Contains(msg.Subject, ".live.") && turn.Add(1)%7 == 0 }
	})
	edges := []*edge.Edge{s.Edge, poor}
	var mu sync.Mutex
	var answers []attrsAnswer // guarded by mu
	post := func(e *edge.Edge, user, command, object string) []byte {
		status, body, _ := edgetest.Post(t, e, "dev:"+user, command, object)
		if status != http.StatusOK {
			t.Errorf("%s %s: %v", command, object, body)
		}
		data, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
		}
		return data
	}
	var writers, readers sync.WaitGroup
	var over atomic.Bool
	for i := range 3 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		writers.Go(func() {
			for step := range 60 {
				e := edges[random.IntN(2)]
				channel := []string{"@", "@", "c"}[random.IntN(3)]
				keys := random.Perm(12)
				object := fmt.Sprintf(`{"group":"g","channel":"%s","set":{"k%d":"%d.%d","k%d":"%d"},"del":["k%d"]}`, channel, keys[0], i, step, keys[1], step, keys[2])
				var set struct{ V uint64 }
				_ = json.Unmarshal(post(e, "alice", "attr_set", object), &set)
				if channel != "@" {
					continue
				}
				// What was answered is visible to the next read through the same edge.
				a := attrsAnswer{}
				_ = json.Unmarshal(post(e, "alice", "attrs", `{"group":"g"}`), &a)
				if a.V < set.V {
					t.Errorf("read v %d after writing v %d", a.V, set.V)
				}
				mu.Lock()
				answers = append(answers, a)
				mu.Unlock()
			}
		})
	}
	for i := range 3 {
		random := rand.New(rand.NewPCG(seed, uint64(100+i)))
		c := connected(t, edges[i%2], "bob")
		readers.Go(func() {
			known := uint64(0)
			for !over.Load() {
				if random.IntN(3) == 0 { // takes the place of the others in a poor memory
					c.ok("attrs", `{"group":"g","channel":"c"}`)
				}
				a := attrsAnswer{after: known}
				var f frame
				switch random.IntN(4) {
				case 0:
					f = c.answer(c.ask("subscribe", `{"group":"g","channel":"@"}`))
					a.Full = true
				case 1:
					f = c.answer(c.ask("attrs", `{"group":"g"}`))
				case 2:
					f = c.answer(c.ask("attrs", fmt.Sprintf(`{"group":"g","after":%d}`, known)))
				default:
					a.keys = []string{"k1", "k2", "k3"}
					f = c.answer(c.ask("attrs", fmt.Sprintf(`{"group":"g","after":%d,"keys":["k3","k1","k2","k1"]}`, known)))
				}
				if f.Error != nil {
					t.Errorf("%+v", f.Error)
					return
				}
				if err := json.Unmarshal(f.OK, &a); err != nil {
					t.Error(err)
				}
				known = a.V
				mu.Lock()
				answers = append(answers, a)
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	over.Store(true)
	readers.Wait()
	events, partial := s.Owner.Events("g", "@"), 0
	for _, a := range answers {
		a.verify(t, events)
		if !a.Full {
			partial++
		}
	}
	if len(answers) < 60 || partial < 10 {
		t.Errorf("%d answers, %d of them changes", len(answers), partial)
	}
	for i, e := range edges {
		a := attrsAnswer{}
		_ = json.Unmarshal(post(e, "bob", "attrs", `{"group":"g","channel":"c"}`), &a)
		a.verify(t, s.Owner.Events("g", "c"))
		t.Logf("edge %d: %d answers, %d of them changes, %d loads", i, len(answers), partial, s.Owner.AttributeLoads.Load())
	}
}

func TestAttributesAreLoadedOncePerEdgeHoweverManyCome(t *testing.T) {
	s := edgetest.New(t)
	s.OK(t, "dev:alice", "create_group", `{"group":"g","kind":"room","name":"R"}`)
	for i := range 20 {
		s.OK(t, "dev:alice", "attr_set", fmt.Sprintf(`{"group":"g","set":{"seat:%d":"","name:%d":"x"}}`, i, i))
	}
	const users = 150
	var all sync.WaitGroup
	for i := range users {
		all.Go(func() {
			c := connected(t, s.Edge, fmt.Sprint("u", i))
			if ok := c.ok("subscribe", `{"group":"g","channel":"@"}`); len(ok["attrs"].(map[string]any)) != 40 {
				t.Errorf("user %d: %v", i, ok["attrs"])
			}
		})
	}
	all.Wait()
	if loads := s.Owner.AttributeLoads.Load(); loads != 1 {
		t.Errorf("%d loads", loads)
	}
	if n := s.Gauge(t, "throng_edge_attribute_loads_total"); n != 1 {
		t.Errorf("%v loads counted", n)
	}
}

func TestAConditionThatFailsSaysHowItStands(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	v := s.OK(t, "dev:alice", "attr_set", `{"group":"g","set":{"seat":"alice"},"if_v":{"seat":0}}`)["v"].(float64)
	status, body := s.Post(t, "dev:bob", "attr_set", `{"group":"g","set":{"seat":"bob","x":"y"},"if_v":{"seat":0,"free":7}}`)
	want := map[string]any{"seat": map[string]any{"value": "alice", "v": v}, "free": map[string]any{"v": 0.0}}
	refusal, _ := body["error"].(map[string]any)
	if status != 409 || refusal["code"] != "conflict" || fmt.Sprint(refusal["current"]) != fmt.Sprint(want) {
		t.Errorf("%d %v, want %v", status, body, want)
	}
}
