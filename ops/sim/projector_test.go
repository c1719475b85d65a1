package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// projector is one process of projections.
type projector struct {
	world *world
	name  string
	conn  *conn
	loop  *projections.Stepped
	state int // closed, opening, following or failed
	busy  [3]bool

	nextTell time.Time
}

const (
	closed = iota
	opening
	following
	failed // what is on its way is waited for, then it asks where it stands
)

func newProjector(w *world, number int) *projector {
	p := &projector{world: w, name: fmt.Sprintf("p%d", number)}
	p.boot()
	return p
}

func (p *projector) boot() {
	w := p.world
	p.conn = w.connect(p.name)
	log := eventlog.NewReaderOver(p.conn, w.log.name)
	p.loop = projections.NewStepped(0, log, sinkClient{w.sink, p.conn}, 1+w.below(40))
	p.state, p.busy = closed, [3]bool{}
}

func (p *projector) step() {
	w := p.world
	switch {
	case w.chance(0.006):
		w.trace("%s crashes", p.name)
		p.conn.die()
		p.boot()
	case w.chance(0.006):
		p.conn.paused = w.below(200)
	case p.conn.paused > 0 && w.severity > 0:
		p.conn.paused--
	case p.state == following:
		p.conn.paused = 0
		p.move(w.below(5))
	case p.state != opening && p.conn.tasks == 0:
		p.open()
	}
}

// open asks the sink where it stands.
func (p *projector) open() {
	if p.state == failed && p.world.sabotage.goesOn {
		p.loop.Skip()
		p.state = following
		return
	}
	p.state = opening
	conn := p.conn
	p.world.start(conn, func() {
		err := p.loop.Open(context.Background())
		switch {
		case conn.dead:
		case err != nil:
			p.state = closed
		default:
			p.state = following
		}
	})
}

// move lets one stage go on.
func (p *projector) move(stage int) {
	w := p.world
	stages := []func(context.Context) error{p.loop.Read, p.loop.WriteState, p.loop.WriteEvents}
	switch {
	case stage < len(stages):
		p.run(stage, stages[stage])
	case stage == 3:
		p.loop.Gather()
	case w.now.After(p.nextTell):
		p.nextTell = w.now.Add(300 * time.Millisecond)
		p.tell()
	}
}

// tell is what the loop's watch does each second.
func (p *projector) tell() {
	w := p.world
	p.loop.Look(w.log.first, w.log.last())
	data, err := proto.Marshal(&streampb.Position{Seq: uint64(p.loop.Stored())})
	if err != nil {
		panic(err)
	}
	_ = p.conn.Publish(&nats.Msg{Subject: streams.PositionSubject(0), Data: data})
}

// run lets a stage run unless it does.
func (p *projector) run(stage int, f func(context.Context) error) {
	if p.busy[stage] {
		return
	}
	p.busy[stage] = true
	conn := p.conn
	p.world.start(conn, func() {
		err := f(context.Background())
		if conn.dead {
			return
		}
		p.busy[stage] = false
		if err != nil {
			p.world.trace("%s fails", p.name)
			p.state = failed
		}
	})
}

// unrest says what there is still to do.
func (p *projector) unrest() string {
	if stored := p.loop.Stored(); stored != p.world.log.last() {
		return fmt.Sprintf("has stored %d of %d", stored, p.world.log.last())
	}
	return ""
}
