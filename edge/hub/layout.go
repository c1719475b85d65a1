package hub

import (
	"slices"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Kinds of channels, as streampb.ChannelInfo names them.
const (
	private = "private"
	thread  = "thread"
)

// maxNested is how deep threads hang from threads, at most.
const maxNested = 16

// layout is what a channel is, as far as it decides who sees it. Guarded by
// view.mu.
type layout struct {
	kind       string          // "" where nothing is known
	parent     streams.Channel // of a thread
	readGroups []string        // user groups that are in a private channel
	deleted    bool
	told       streams.Seq // up to where this is current
}

// inform takes what the owner says the group is; mu is held.
func (v *View) inform(s *streampb.Snapshot) {
	seq := streams.Seq(s.GetSeq())
	if seq < v.told {
		return
	}
	v.kind, v.settings, v.told = s.GetKind(), s.GetSettings(), seq
	for _, info := range s.GetChannels() {
		c := v.channel(streams.Channel(info.GetChannel()))
		c.layout = layout{
			kind: info.GetKind(), parent: streams.Channel(info.GetParent().GetChannel()),
			readGroups: info.GetSettings().GetReadGroups(), deleted: info.GetDeleted(), told: seq,
		}
	}
	v.reviewAll()
}

// fold keeps what the view knows about the group current. It comes before the
// event is in the ring, so that nobody takes from there what they must not
// see; mu is held.
func (v *View) fold(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.GroupUpdated:
		v.groupUpdated(e, p)
	case streams.ChannelCreated:
		c := v.channel(streams.Channel(p.GetChannel()))
		c.known = true
		if e.Seq > c.told {
			c.layout = layout{
				kind: p.GetKind(), parent: streams.Channel(p.GetParent().GetChannel()),
				readGroups: p.GetSettings().GetReadGroups(), told: e.Seq,
			}
		}
		v.named(e, p.GetMembers(), nil)
	case streams.ChannelUpdated:
		c := v.channel(streams.Channel(p.GetChannel()))
		regrouped := false
		if e.Seq > c.told {
			regrouped = !slices.Equal(c.readGroups, p.GetSettings().GetReadGroups())
			c.readGroups, c.told = p.GetSettings().GetReadGroups(), e.Seq
		}
		v.named(e, p.GetAdded(), p.GetRemoved())
		if regrouped {
			v.reviewAll()
		}
	case streams.ChannelDeleted:
		c := v.channel(streams.Channel(p.GetChannel()))
		c.deleted, c.told = true, max(c.told, e.Seq)
		v.endDeleted()
	default:
		if e.Channel != streams.MembersChannel {
			return // nearly all events
		}
		if user, state := streams.MemberOf(e); user != "" {
			v.memberIs(user, state, e)
		}
		if blocker, _ := blocking(e); blocker != "" {
			for user := range v.members { // the other one, and strangers
				if user != blocker {
					v.about(user, e)
				}
			}
		}
	}
}

func (v *View) groupUpdated(e *streams.Event, p streams.GroupUpdated) {
	if p.GetDeleted() {
		v.gone = true
		v.endDeleted()
		return
	}
	if e.Seq <= v.told {
		return
	}
	before := v.settings.GetHistory()
	v.kind, v.settings, v.told = p.GetKind(), p.GetSettings(), e.Seq
	if v.settings.GetHistory() != before {
		v.reviewAll()
	}
}

// endDeleted ends the subscriptions on what is no more; mu is held.
func (v *View) endDeleted() {
	for _, c := range v.channels {
		why := Removed
		switch {
		case v.gone:
			why = Left
		case v.exists(c):
			continue
		}
		for _, s := range slices.Clone(c.subs) {
			s.detach()
			s.finish(why)
		}
	}
}

// exists reports whether a channel and all it hangs from are there; mu is
// held.
func (v *View) exists(c *channel) bool {
	for range maxNested {
		if c == nil || c.deleted || v.gone {
			return false
		}
		if c.kind != thread {
			return true
		}
		c = v.channels[c.parent]
	}
	return false
}

// sees reports whether a member sees a channel; mu is held.
func (v *View) sees(m *member, c *channel) bool {
	if !v.exists(c) {
		return false
	}
	for c.kind == thread { // exists has seen its end
		c = v.channels[c.parent]
	}
	if c.kind != private || v.hub.config.Revealing {
		return true
	}
	_, named := m.named[c.name]
	return named || m.inOneOf(c.readGroups)
}

// veil is the private channel an event on @ is about, "" for what everybody
// may know; mu is held.
func (v *View) veil(e *streams.Event) streams.Channel {
	if v.hub.config.Revealing {
		return ""
	}
	var name streams.Channel
	switch p := e.Payload.(type) {
	case streams.ChannelCreated:
		if name = streams.Channel(p.GetChannel()); p.GetKind() != private && p.GetKind() != thread {
			return ""
		}
	case streams.ChannelUpdated:
		name = streams.Channel(p.GetChannel())
	case streams.ChannelDeleted:
		name = streams.Channel(p.GetChannel())
	default:
		return ""
	}
	for range maxNested {
		c := v.channels[name]
		switch {
		case c == nil || c.kind == "" || c.kind == private:
			return name // of what nothing is known, nothing is told
		case c.kind != thread:
			return ""
		}
		name = c.parent
	}
	return name
}

// dress gives an entry what all readers of the ring need of it; changed is
// false if that is what it had. view.mu is held.
func (c *channel) dress(entry ring.Entry) (dressed ring.Entry, changed bool) {
	dressed, changed = c.redact(entry)
	if at := expires(entry.Event); entry.Expires != at {
		dressed.Expires, changed = at, true
	}
	if c.name != streams.GroupChannel {
		return dressed, changed
	}
	if veil := c.view.veil(entry.Event); veil != entry.Veil {
		dressed.Veil, changed = veil, true
		if veil != "" && dressed.Hidden == nil {
			dressed.Hidden = wire.AppendHidden(nil, entry.Event)
		}
	}
	return dressed, changed
}
