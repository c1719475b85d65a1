package sequencer

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// sweepEvery is how often it is looked who has gone.
	sweepEvery = 250 * time.Millisecond
	// settleWithin is how long a new owner waits before it takes anybody for
	// gone: each edge that lives has spoken seven times by then. With a crashed
	// owner's lease and a sweep that is less than the 10 s in which what hangs
	// on a presence ends.
	settleWithin = 7 * time.Second
	// hearingSize bounds the messages of edges that wait. What does not fit is
	// dropped; an edge's next one shows that a turn is missing, and all are asked
	// for everybody.
	hearingSize = 256
	// askEvery is how often all edges are asked at most, and how often the owner
	// tells itself something, to know that it hears at all.
	askEvery = time.Second
	// deafAfter is how long the owner may not hear itself before what it has
	// not heard of edges says nothing.
	deafAfter = 2500 * time.Millisecond
)

// hearing is a term's link to the edges.
type hearing struct {
	// Static.
	stop  func()
	inbox chan *nats.Msg // hearingSize; never closed
	self  string         // what the owner calls itself; no edge's name begins so

	// Owned by serve.
	settled time.Time // nobody is taken for gone before
	heard   time.Time // itself
	asked   time.Time // the edges; and told itself something
	wanted  bool      // the edges are to be asked
	turn    uint64
	empty   map[streams.Group]time.Time // rooms that may not stand empty for long: since when they do
	leaving map[streams.Group]struct{}  // groups with departures that are not decided and stored
}

// attend makes the term hear the edges, and asks them all.
func (t *term) attend() error {
	now := t.sequencer.config.Now()
	h := &hearing{
		inbox: make(chan *nats.Msg, hearingSize), self: fmt.Sprintf("@%d", t.log.Epoch()),
		settled: now.Add(settleWithin), heard: now, wanted: true,
		empty: map[streams.Group]time.Time{}, leaving: map[streams.Group]struct{}{},
	}
	p := t.sequencer.config.Partition
	stop, err := t.sequencer.transport.Subscribe(streams.PresenceSubject(p), h.inbox)
	if err != nil {
		return fmt.Errorf("listen for who is present: %w", err)
	}
	h.stop, t.hearing = stop, h
	for g, st := range t.fold.groups {
		if st.Binds() {
			t.presence.doubt[g] = struct{}{}
		}
		if st.IdleAfter() > 0 {
			h.empty[g] = now
		}
	}
	t.ask(now)
	return nil
}

func (h *hearing) close() {
	if h != nil {
		h.stop()
	}
}

// ask asks all edges for everybody, and tells the owner itself something.
func (t *term) ask(now time.Time) {
	h, p := t.hearing, t.sequencer.config.Partition
	h.asked = now
	h.turn++
	echo, err := proto.Marshal(&streampb.Present{Edge: h.self, Turn: h.turn})
	if err == nil {
		err = t.sequencer.transport.Publish(&nats.Msg{Subject: streams.PresenceSubject(p), Data: echo})
	}
	if err == nil && h.wanted {
		h.wanted = false
		err = t.sequencer.transport.Publish(&nats.Msg{Subject: streams.PresenceCallSubject(p)})
	}
	if err != nil { // it is asked again, and heard nothing meanwhile
		h.wanted = true
		t.sequencer.config.Logger.Debug("ask who is present", "err", err)
	}
}

// hear takes one message of an edge.
func (t *term) hear(msg *nats.Msg) {
	h, now := t.hearing, t.sequencer.config.Now()
	m := &streampb.Present{}
	if err := proto.Unmarshal(msg.Data, m); err != nil || m.GetEdge() == "" {
		return
	}
	if m.GetEdge()[0] == '@' { // an owner speaks to itself
		if m.GetEdge() == h.self {
			h.heard = now
		}
		return
	}
	if t.presence.hear(m, now) {
		h.wanted = true
	}
}

// touch takes an edge's word that who sends a command is present.
func (t *term) touch(b *Batch) {
	for i := range b.Commands {
		c := &b.Commands[i]
		if !c.Request.Present || c.Invalid != nil {
			continue
		}
		if _, joins := c.Request.Body.(*streampb.Join); joins {
			continue // who may not is not here by asking
		}
		if st := t.fold.groups[c.Group]; st != nil && st.Room() {
			t.presence.touch(c.Group, c.Request.User, t.sequencer.config.Now().Add(goneAfter))
		}
	}
}

// enters takes a join that no event tells of, or that of a member.
func (t *term) enters(c *Command) {
	t.presence.enter(c.Group, c.Request.User, t.comesUntil(c))
}

// comesUntil is when who joins must have a subscription.
func (t *term) comesUntil(c *Command) time.Time {
	now := t.sequencer.config.Now()
	if c.Request.Present {
		return now.Add(goneAfter)
	}
	return now.Add(comesWithin)
}

// note takes what an event of a command says about who is here.
func (t *term) note(c *Command, e *streams.Event) {
	now := t.sequencer.config.Now()
	switch p := e.Payload.(type) {
	case streams.MemberJoined:
		if p.GetGuest() {
			t.presence.enter(e.Group, streams.User(p.GetMember()), t.comesUntil(c))
		}
	case streams.MemberLeft, streams.MemberKicked, streams.MemberBanned:
		if u, _ := streams.MemberOf(e); t.fold.groups[e.Group].Room() {
			t.presence.leave(e.Group, u, now)
		}
	case streams.AttributeSet:
		if p.GetAutoDelete() {
			t.presence.expect(e.Group, e.User, now.Add(goneAfter))
			if t.presence.watch(e.Group, e.User) && t.hearing != nil {
				t.hearing.wanted = true
			}
		}
	case streams.GroupUpdated:
		if t.hearing != nil && t.fold.groups[e.Group].IdleAfter() > 0 {
			if _, known := t.hearing.empty[e.Group]; !known {
				t.hearing.empty[e.Group] = now
			}
		}
	}
}

// keeps tells who must be kept where a community's users are only counted.
func (t *term) keeps(g streams.Group) (users []streams.User, may bool) {
	st := t.fold.groups[g]
	if st == nil || st.Room() {
		return nil, false
	}
	return st.Bound(), len(st.MissingTied()) == 0
}

// attend makes all groups ask around.
func (f *fold) attend(around group.Around) {
	f.around = around
	for _, st := range f.groups {
		st.Attend(around)
	}
}
