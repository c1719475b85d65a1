package projections

import (
	"container/list"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
)

// maxPlaces is how many channels of one partition are remembered: about 250
// bytes each. One that is forgotten costs a query when it speaks again.
const maxPlaces = 8192

// places are how far one partition's channels are taken, the least recently
// used first to go. A place may be forgotten only once the event it rests on
// is stored, because it is read back from there.
type places struct {
	limit int
	byKey map[history.Place]*list.Element
	order *list.List // of *place, most recently used in front, so by seq
}

type place struct {
	key  history.Place
	at   streams.Place
	last streams.Seq // of the newest event taken since it was read, 0 for none
}

func newPlaces(limit int) *places {
	return &places{limit: limit, byKey: map[history.Place]*list.Element{}, order: list.New()}
}

func (p *places) has(key history.Place) bool { return p.byKey[key] != nil }

// at returns the place of a channel; it must be there.
func (p *places) at(key history.Place) streams.Place { return p.byKey[key].Value.(*place).at }

// put remembers where a channel is taken to; last is 0 for what was read.
func (p *places) put(key history.Place, at streams.Place, last streams.Seq) {
	element := p.byKey[key]
	if element == nil {
		p.byKey[key] = p.order.PushFront(&place{key: key, at: at, last: last})
		return
	}
	known := element.Value.(*place)
	known.at, known.last = at, last
	p.order.MoveToFront(element)
}

// trim forgets places beyond the limit that rest on nothing newer than stored.
func (p *places) trim(stored streams.Seq) {
	for len(p.byKey) > p.limit {
		element := p.order.Back()
		oldest := element.Value.(*place)
		if oldest.last > stored {
			return
		}
		p.order.Remove(element)
		delete(p.byKey, oldest.key)
	}
}
