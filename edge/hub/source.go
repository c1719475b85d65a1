package hub

import (
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// Crowd takes a channel's events for many subscriptions at once, so that an
// event wakes it once however many they are. Wake is called under the view's
// lock: it must not wait and not call back.
type Crowd interface {
	// Wake tells that there may be something to take.
	Wake(*Source)
}

// Source is a channel as it is taken from. It says nothing about who may take:
// that is for each subscription to tell.
type Source struct {
	channel *channel // static
	crowds  []crowd  // guarded by view.mu; as many as there are shards
}

// crowd is one of those who are woken, and for how many subscriptions.
type crowd struct {
	Crowd
	subscriptions int
}

// join counts a subscription of a crowd; view.mu is held.
func (s *Source) join(c Crowd) {
	for i := range s.crowds {
		if s.crowds[i].Crowd == c {
			s.crowds[i].subscriptions++
			return
		}
	}
	s.crowds = append(s.crowds, crowd{c, 1})
}

// leave is the end of join; view.mu is held.
func (s *Source) leave(c Crowd) {
	for i := range s.crowds {
		if s.crowds[i].Crowd != c {
			continue
		}
		if s.crowds[i].subscriptions--; s.crowds[i].subscriptions == 0 {
			s.crowds = append(s.crowds[:i], s.crowds[i+1:]...)
		}
		return
	}
}

// wake wakes every crowd; view.mu is held.
func (s *Source) wake() {
	for _, c := range s.crowds {
		c.Wake(s)
	}
}

// Group is the channel's group.
func (s *Source) Group() streams.Group { return s.channel.view.group }

// Channel is the channel's name.
func (s *Source) Channel() streams.Channel { return s.channel.name }

// Head is how far the channel has come; what is up to there can be taken.
func (s *Source) Head() streams.Version { return streams.Version(s.channel.head.Load()) }

// Take is [Subscription.Take] for everybody: entries have the form for readers
// of whom nothing is known. Who may be given another one, [Subscription.Shares]
// tells.
func (s *Source) Take(out []ring.Entry, cursor streams.Version, count, bytes int) (entries []ring.Entry, gap *wire.Missing) {
	return s.take(nil, out, cursor, count, bytes)
}

func (s *Source) take(by *sight, out []ring.Entry, cursor streams.Version, count, bytes int) (entries []ring.Entry, gap *wire.Missing) {
	head := s.Head() // first: what is up to here has been in the ring
	before := len(out)
	out, lost := s.channel.ring.Take(out, cursor, head, count, bytes)
	if lost > cursor {
		gap = &wire.Missing{After: cursor, Upto: lost}
	}
	by.present(out[before:])
	if s.channel.view.hub.config.WithoutContiguity {
		gap = nil
	}
	return out, gap
}
