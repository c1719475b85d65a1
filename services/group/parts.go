package group

import (
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// notLoaded refuses what needs an entity that could not be brought into memory.
func notLoaded() error {
	return streams.RejectRetry(streams.Unavailable, 100*time.Millisecond, "what the command is about can't be loaded now")
}

// applyParts folds what an event says about attributes and cards.
func (s *State) applyParts(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.AttributeSet:
		s.applyAttribute(e, p.GetKey(), attributeSet(e, p))
	case streams.AttributeDeleted:
		s.applyAttribute(e, p.GetKey(), attributeDeleted(e))
	case streams.Reacted:
		s.applyReaction(e, p.GetTarget(), p.GetEmoji(), true)
	case streams.Unreacted:
		s.applyReaction(e, p.GetTarget(), p.GetEmoji(), false)
	}
}

// missingParts asks for the attributes and cards a command needs. What the
// caller does not see is not looked for.
func (s *State) missingParts(r Request, n *need) {
	if s.may(r, ReadGroup) != nil {
		return
	}
	switch body := r.Body.(type) {
	case *Departure:
		n.tied()
	case *streampb.SetAttributes:
		if c, ch, err := s.attributeChannel(r, body.GetChannel()); err == nil {
			n.attributes(c, ch)
		}
	case *streampb.ReadAttributes:
		if c, ch, err := s.attributeChannel(r, body.GetChannel()); err == nil {
			n.attributes(c, ch)
		}
	case *streampb.React:
		n.card(r, body.GetChannel(), body.GetN())
	case *streampb.Unreact:
		n.card(r, body.GetChannel(), body.GetN())
	}
}

func (n *need) attributes(c streams.Channel, ch *channel) {
	if ch.attributed {
		n.add(Entity{Channel: c, Attribute: AllAttributes})
	}
}

func (n *need) card(r Request, name string, number uint64) {
	if c, ch, err := n.state.find(r, name); err == nil && n.state.holds(r, ch, number) == nil {
		n.add(Entity{Channel: c, Card: streams.Number(number)})
	}
}

// Unfolded returns the cards that events were folded for before their records
// were loaded. A new owner restores them before it writes a snapshot: only
// then do they have a record that reflects those events.
func (s *State) Unfolded() []Entity {
	var entities []Entity
	for key, k := range s.cards {
		if !k.loaded {
			entities = append(entities, Entity{Channel: key.channel, Card: key.n})
		}
	}
	return entities
}
