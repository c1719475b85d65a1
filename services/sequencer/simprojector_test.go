package sequencer

import (
	"context"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// simProjector reads the log in pages and writes them to a sink as the
// projections do: first the records, which may be written twice, then the
// position, from which it goes on after a crash.
type simProjector struct {
	world *simWorld
	log   *eventlog.Reader

	busy     bool
	position streams.Seq
	epoch    streams.Epoch
	places   map[channelKey]streams.Place
	chunk    []*streams.Event // taken, not written

	// The sink.
	stored  streams.Seq
	records map[channelKey]map[streams.Version]*streams.Event
}

func newSimProjector(w *simWorld) *simProjector {
	p := &simProjector{world: w, records: map[channelKey]map[streams.Version]*streams.Event{}, places: map[channelKey]streams.Place{}}
	p.log = eventlog.NewReaderOver(w.connect("projector"), w.log.name)
	return p
}

func (p *simProjector) step() {
	w := p.world
	if p.busy {
		return
	}
	p.busy = true
	defer func() { p.busy = false }()
	switch {
	case w.chance(0.01):
		w.trace("the projector restarts at %d", p.stored)
		p.restart()
	case p.position > p.stored:
		p.write()
	default:
		p.read()
	}
}

func (p *simProjector) restart() {
	p.position, p.epoch, p.chunk, p.places = p.stored, 0, nil, map[channelKey]streams.Place{}
}

// place is where a channel stands: remembered, or as the sink has it.
func (p *simProjector) place(key channelKey) streams.Place {
	place, known := p.places[key]
	if !known {
		for v, e := range p.records[key] {
			if v > place.V {
				place = streams.Place{V: v, Epoch: e.Epoch}
			}
		}
	}
	place.Epoch = max(place.Epoch, p.epoch)
	return place
}

func (p *simProjector) read() {
	w, from := p.world, p.position
	page, _, err := p.log.Page(context.Background(), streams.LogFilter(0), from+1, 1+w.below(30))
	if err != nil || p.position != from {
		return
	}
	for _, m := range page {
		if m.Seq != p.position+1 {
			w.problem("the projector reads %d after %d", m.Seq, p.position)
		}
		p.position = m.Seq
		token, _ := streams.ParseLog(m.Subject)
		if token.Fence {
			p.epoch = max(p.epoch, streams.Epoch(m.Seq))
		}
		if token.Group == "" {
			continue
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			panic(err)
		}
		key := channelKey{e.Group, e.Channel}
		place := p.place(key)
		if streams.Judge(place, e) != streams.Belongs {
			continue
		}
		p.epoch = max(p.epoch, e.Epoch)
		p.places[key] = place.After(e)
		p.chunk = append(p.chunk, e)
	}
}

// write stores the chunk; it may fail before, within and behind.
func (p *simProjector) write() {
	w, upto := p.world, len(p.chunk)
	failed := w.chance(0.05)
	if failed {
		upto = w.below(upto + 1)
	}
	for _, e := range p.chunk[:upto] {
		key := channelKey{e.Group, e.Channel}
		if p.records[key] == nil {
			p.records[key] = map[streams.Version]*streams.Event{}
		}
		if have := p.records[key][e.V]; have != nil && have.Seq != e.Seq {
			w.problem("the sink has %s/%s v %d of seq %d and is given seq %d", e.Group, e.Channel, e.V, have.Seq, e.Seq)
		}
		p.records[key][e.V] = e
	}
	if failed || w.chance(0.02) {
		p.restart()
		return
	}
	p.stored, p.chunk = p.position, nil
	if p.stored > w.log.last() {
		w.problem("the projector's position %d is ahead of the log's %d", p.stored, w.log.last())
	}
}
