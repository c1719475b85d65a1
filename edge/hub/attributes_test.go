package hub

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// ledger is a log of attributes and what it comes to.
type ledger []*streams.Event

func (l ledger) at(v int) map[string]*streampb.Attribute {
	all := map[string]*streampb.Attribute{}
	for _, e := range l[:v] {
		switch p := e.Payload.(type) {
		case streams.AttributeSet:
			all[p.GetKey()] = &streampb.Attribute{Key: p.GetKey(), Value: p.GetValue(), V: uint64(e.V), User: "alice"}
		case streams.AttributeDeleted:
			delete(all, p.GetKey())
		}
	}
	return all
}

// Pages are taken at versions the view has not come to, and events come in
// between them in every order that can be: from the newest page's version on
// the attributes are what the log says.
func TestPagesAndEventsInAnyOrderComeToWhatTheLogSays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 3000 {
		var log ledger
		for v := range 30 {
			e := &streams.Event{V: streams.Version(v + 1), User: "alice"}
			key := fmt.Sprint("k", random.IntN(6))
			if random.IntN(2) == 0 {
				e.Payload = streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: key, Value: fmt.Sprint(v)}}
			} else {
				e.Payload = streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: key}}
			}
			log = append(log, e)
		}
		a := &attributes{loading: make(chan struct{}), held: map[string]*streampb.Attribute{}, gone: map[string]uint64{}}
		hub := &Hub{config: Config{Metrics: NewMetrics(discard{})}}
		c := &channel{view: &View{hub: hub}, attrs: a}
		c.log = (follow.NewGroup(follow.Config{Receive: func(streams.Channel, *follow.Channel) follow.Receiver { return c }})).Channel("@")
		c.log.Start(streams.Place{V: 5}, 0, 0)
		owner, place, after, page := 5+random.IntN(10), 5, "", 0
		forward := func(upto int) {
			for ; place < upto; place++ {
				a.fold(c, log[place])
				c.log.Start(streams.Place{V: log[place].V}, 0, 0)
			}
		}
		var answer map[string]*streampb.Attribute // of the owner, on its way
		var taken int                             // as of which version
		for page < 3 {
			switch random.IntN(4) {
			case 0:
				owner = min(owner+random.IntN(6), len(log))
			case 1:
				forward(min(place+random.IntN(6), owner))
			case 2:
				if answer == nil {
					answer, taken = log.at(owner), owner
				}
			case 3:
				if answer == nil {
					continue
				}
				for _, key := range slices.Sorted(maps.Keys(answer)) {
					if key > after && (page == 2 || key <= fmt.Sprint("k", 2*page+1)) {
						a.put(answer[key])
					}
				}
				answer, after = nil, fmt.Sprint("k", 2*page+1)
				a.since = streams.Version(taken)
				page++
			}
		}
		a.loaded(c)
		forward(max(place, int(a.since)))
		if !a.current(c) {
			t.Fatalf("round %d: at %d, current from %d", round, place, a.since)
		}
		for ; ; forward(place + 1) {
			want := log.at(place)
			same := maps.EqualFunc(a.held, want, func(x, y *streampb.Attribute) bool { return x.GetV() == y.GetV() && x.GetValue() == y.GetValue() })
			bytes := int64(0)
			for _, attribute := range a.held {
				bytes += attributeBytes(attribute)
			}
			if !same || bytes != a.bytes || hub.attributes.Bytes() != bytes {
				t.Fatalf("round %d: at %d\ngot  %v of %d, %d bytes\nwant %v of %d", round, place, a.held, a.bytes, hub.attributes.Bytes(), want, bytes)
			}
			if place == len(log) {
				break
			}
		}
	}
}
