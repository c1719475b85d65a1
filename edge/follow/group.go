package follow

import "github.com/throng/throng/streams"

// maxPending is how many live events are kept until the group is open. What
// comes beyond is dropped and loaded like everything that is missed.
const maxPending = 4096

// Config of a [Group].
type Config struct {
	// Receive returns who a channel is followed for; it is called once for each,
	// when it first comes up. Required.
	Receive func(streams.Channel, *Channel) Receiver
	// Unchecked takes every event as the next one. Only tests set it, to show
	// that their checkers notice.
	Unchecked bool
}

// Group follows the channels of one group. What comes before the owner's
// snapshot is kept until [Group.Opened].
type Group struct {
	config   Config
	channels map[streams.Channel]*Channel
	epoch    streams.Epoch // of the newest fence that was heard
	opened   bool
	closed   bool
	pending  []*streams.Event // at most maxPending, nil once opened
}

// NewGroup returns a group that is not open yet.
func NewGroup(config Config) *Group {
	return &Group{config: config, channels: map[streams.Channel]*Channel{}}
}

// Channel returns a channel, made on first sight at its beginning.
func (g *Group) Channel(name streams.Channel) *Channel {
	c := g.channels[name]
	if c == nil {
		c = &Channel{unchecked: g.config.Unchecked, place: streams.Place{Epoch: g.epoch}}
		c.to = g.config.Receive(name, c)
		g.channels[name] = c
	}
	return c
}

// Live takes an event as it came from the stream.
func (g *Group) Live(e *streams.Event) {
	switch {
	case g.closed:
	case g.opened:
		g.Channel(e.Channel).live(e)
	case len(g.pending) < maxPending:
		g.pending = append(g.pending, e)
	}
}

// Fence ends all terms before epoch.
func (g *Group) Fence(epoch streams.Epoch) {
	g.epoch = max(g.epoch, epoch)
	for _, c := range g.channels {
		c.fence(epoch)
	}
}

// Opened takes what came live since the group was followed. All channels of
// the owner's snapshot have been started.
func (g *Group) Opened() {
	g.opened = true
	for _, e := range g.pending {
		g.Channel(e.Channel).live(e)
	}
	g.pending = nil
}

// Following reports whether the group is open and not closed.
func (g *Group) Following() bool { return g.opened && !g.closed }

// Behind reports whether a channel that is followed has not come to a version.
func (g *Group) Behind(name streams.Channel, version streams.Version) bool {
	c := g.channels[name]
	return g.Following() && c != nil && c.place.V < version
}

// Want tells that a channel has come to a version; see [Channel.Want].
func (g *Group) Want(name streams.Channel, version streams.Version, by Cause) {
	if g.Behind(name, version) {
		g.channels[name].Want(version, by)
	}
}

// Close ends following: nothing is delivered any more, and loads end.
func (g *Group) Close() {
	g.closed = true
	for _, c := range g.channels {
		c.closed = true
	}
}
