package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// The kinds of channels.
const (
	kindPublic  = "public"
	kindPrivate = "private"
	kindThread  = "thread"
)

const kindRoom = "room"

// maxChannelNames is how many names a group's channels use up, the deleted ones
// included: their names stay taken, and each costs a record.
const maxChannelNames = 5 * streams.MaxChannels

// about is what a channel is: what its events on @ say, and its pins.
type about struct {
	infoSeq    streams.Seq // newest event on @ about the channel
	creator    streams.User
	parent     *streampb.Parent          // of a thread
	members    map[streams.User]struct{} // whom a private channel names
	settings   *streampb.ChannelSettings // nil: all defaults
	deleted    bool
	pinned     []streams.Number // oldest pin first
	attributed bool             // it has, or once had, attributes
	tied       bool             // and some tied to a presence
}

// lives reports whether a channel can be used: it is not deleted, nor is what
// it hangs from. A thread is gone with its parent without an event of its own.
func (s *State) lives(ch *channel) bool {
	if ch == nil || ch.deleted {
		return false
	}
	return ch.kind != kindThread || s.lives(s.channels[streams.Channel(ch.parent.GetChannel())])
}

// sees reports whether a channel is there for a member of the group: a public
// one for everybody, a private one for whom it names and who is in one of its
// read_groups, a thread for who sees its parent.
func (s *State) sees(u streams.User, ch *channel) bool {
	switch {
	case ch == nil:
		return false
	case ch.kind == kindThread:
		return s.sees(u, s.channels[streams.Channel(ch.parent.GetChannel())])
	case ch.kind != kindPrivate:
		return true
	}
	if _, named := ch.members[u]; named {
		return true
	}
	return s.inOneOf(u, ch.settings.GetReadGroups())
}

// inOneOf reports whether a user is in one of the named user groups.
func (s *State) inOneOf(u streams.User, groups []string) bool {
	if len(groups) == 0 {
		return false
	}
	for _, g := range s.standing(u).userGroups {
		if slices.Contains(groups, g) {
			return true
		}
	}
	return false
}

// find returns a living channel that the caller sees. Of any other it says the
// same whether it exists or not, and every command asks here first. Back ends
// see all.
func (s *State) find(r Request, name string) (streams.Channel, *channel, error) {
	c, err := streams.ParseChannel(name)
	if err != nil {
		return "", nil, err
	}
	if c.Reserved() {
		return "", nil, streams.Reject(streams.Forbidden, "this channel is the server's own")
	}
	ch := s.channels[c]
	if !s.lives(ch) || !r.Server && !s.sees(r.User, ch) {
		return "", nil, noChannel()
	}
	return c, ch, nil
}

func noChannel() error { return streams.NoChannel() }

// applyChannels folds what an event says about channels: those on @ about one
// of them, and departures, which take a user's name from all private ones.
func (s *State) applyChannels(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.ChannelCreated:
		s.applyChannelCreated(e, p)
	case streams.ChannelUpdated:
		if ch := s.newsOf(e, p.GetChannel()); ch != nil {
			ch.name, ch.settings = p.GetName(), p.GetSettings()
			for _, u := range p.GetAdded() {
				ch.members[streams.User(u)] = struct{}{}
			}
			for _, u := range p.GetRemoved() {
				delete(ch.members, streams.User(u))
			}
		}
	case streams.ChannelDeleted:
		if ch := s.newsOf(e, p.GetChannel()); ch != nil {
			ch.deleted = true
			ch.recalled, ch.lastSend, ch.pinned = nil, nil, nil
		}
	case streams.MemberLeft:
		s.dismiss(e, streams.User(p.GetMember()))
	case streams.MemberKicked:
		s.dismiss(e, streams.User(p.GetMember()))
	case streams.MemberBanned:
		s.dismiss(e, streams.User(p.GetMember()))
	}
}

// newsOf returns the channel an event on @ is about, nil where its record knows
// the event already.
func (s *State) newsOf(e *streams.Event, name string) *channel {
	ch := s.channels[streams.Channel(name)]
	if ch == nil || e.Seq <= ch.infoSeq {
		return nil
	}
	ch.infoSeq = e.Seq
	s.changed(Entity{Channel: streams.Channel(name)})
	return ch
}

func (s *State) applyChannelCreated(e *streams.Event, p streams.ChannelCreated) {
	name := streams.Channel(p.GetChannel())
	if s.channels[name] == nil {
		s.channels[name] = &channel{}
	}
	ch := s.newsOf(e, p.GetChannel())
	if ch == nil {
		return
	}
	ch.kind, ch.name, ch.creator = p.GetKind(), p.GetName(), e.User
	ch.parent, ch.settings = p.GetParent(), p.GetSettings()
	if ch.kind == kindPrivate {
		ch.members = make(map[streams.User]struct{}, len(p.GetMembers()))
		for _, u := range p.GetMembers() {
			ch.members[streams.User(u)] = struct{}{}
		}
	}
}

// dismiss takes who left, was kicked or banned from the private channels. Where
// the newest event about a channel is newer than the departure, the record was
// written after both.
func (s *State) dismiss(e *streams.Event, u streams.User) {
	for name, ch := range s.channels {
		if _, named := ch.members[u]; named && e.Seq > ch.infoSeq {
			delete(ch.members, u)
			s.changed(Entity{Channel: name})
		}
	}
}

// living counts the channels that can be used.
func (s *State) living() int {
	count := 0
	for name, ch := range s.channels {
		if !name.Reserved() && s.lives(ch) {
			count++
		}
	}
	return count
}

// slow is how long a user waits between two messages in a channel, in ms.
func (s *State) slow(ch *channel) int64 {
	if own := ch.settings.GetSlowModeMs(); own > 0 {
		return own
	}
	return s.meta.settings.GetSlowModeMs()
}

func (a *about) memberNames() []string {
	names := make([]string, 0, len(a.members))
	for u := range a.members {
		names = append(names, string(u))
	}
	slices.Sort(names)
	return names
}

// attributes is what a record says of whether the channel ever had any.
func (a *about) attributes() uint64 {
	if a.attributed {
		return 1
	}
	return 0
}

// aboutOf is what a record says of what a channel is.
func aboutOf(r *streampb.ChannelRecord) about {
	a := about{
		infoSeq: streams.Seq(r.GetInfoSeq()), creator: streams.User(r.GetCreator()), parent: r.GetParent(),
		settings: r.GetSettings(), deleted: r.GetDeleted(), attributed: r.GetAttributes() > 0, tied: r.GetTied(),
	}
	if r.GetKind() == kindPrivate {
		a.members = make(map[streams.User]struct{}, len(r.GetMembers()))
		for _, u := range r.GetMembers() {
			a.members[streams.User(u)] = struct{}{}
		}
	}
	for _, n := range r.GetPinned() {
		a.pinned = append(a.pinned, streams.Number(n))
	}
	return a
}
