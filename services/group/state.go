package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// State is a group as of some sequence of its partition's log.
type State struct {
	group    streams.Group
	meta     meta
	channels map[streams.Channel]*channel
	members  map[streams.User]*member
	attrs    map[streams.Channel]*attributes // what of them is in memory; see attribute.go
	cards    map[cardKey]*card               // likewise; see card.go
	sorted   []streams.User                  // current members by name, of a whole group; nil when out of date
	dirty    map[Entity]struct{}
	dirtied  Entity // the last that came into dirty; it is there unless dirty is empty

	around Around                   // nil: nobody tells who is present
	seated map[streams.User]*member // what stands in for members' records within one decision; see room.go

	residents residents
	whole     bool // who is not in members has no record
	elsewhere bool // there are too many member records to read them all
}

type meta struct {
	seq      streams.Seq // 0: the group does not exist
	kind     string
	name     string
	settings *streampb.Settings
	created  int64 // ms since 1970 UTC
	census   *streampb.Census
	invites  []*streampb.InviteRecord // oldest first, at most streams.MaxInvites
	deleted  bool
	inside   map[streams.User]bool // of a room: who is logged as a member, and whether as a guest; see room.go
}

type channel struct {
	seq             streams.Seq // newest event, the next one's prev
	v               streams.Version
	n               streams.Number
	mentionAllCount uint64
	kind, name      string
	recalled        []streams.Number       // numbers of recalled messages, ascending, at most maxRecalled
	lastSend        map[streams.User]int64 // ms since 1970 UTC, kept only under slow mode
	about                                  // what it is, apart from where its log stands; see channel.go
}

// maxRecalled is how many recalled numbers a channel remembers, so that no
// answer holds their bodies: some 200 KB of a record. Beyond it the oldest are
// forgotten; what old messages say now is ClickHouse's to tell.
const maxRecalled = 1 << 16

// New returns the state of a group that does not exist yet.
func New(g streams.Group) *State {
	return &State{
		group:    g,
		channels: map[streams.Channel]*channel{},
		members:  map[streams.User]*member{},
		dirty:    map[Entity]struct{}{},
	}
}

// Exists reports whether the group has been created and not deleted.
func (s *State) Exists() bool { return s.meta.seq != 0 && !s.meta.deleted }

// Place is how far a channel's log has come, for [streams.Judge].
func (s *State) Place(c streams.Channel) streams.Place {
	if ch := s.channels[c]; ch != nil {
		return streams.Place{V: ch.v}
	}
	return streams.Place{}
}

// Messages is the number of messages in a channel.
func (s *State) Messages(c streams.Channel) streams.Number {
	if ch := s.channels[c]; ch != nil {
		return ch.n
	}
	return 0
}

// Head is the sequence of a channel's newest event, 0 for none.
func (s *State) Head(c streams.Channel) streams.Seq {
	if ch := s.channels[c]; ch != nil {
		return ch.seq
	}
	return 0
}

// Position is how far one channel has come.
type Position struct {
	Channel streams.Channel
	V       streams.Version
	N       streams.Number
	Seq     streams.Seq // of its newest event
}

// Positions is where all channels stand, in no order.
func (s *State) Positions() []Position {
	positions := make([]Position, 0, len(s.channels))
	for name, ch := range s.channels {
		positions = append(positions, Position{Channel: name, V: ch.v, N: ch.n, Seq: ch.seq})
	}
	return positions
}

// Number gives a decided event its place in its channel: V, N, Prev and
// MentionAllCount. The caller sets Seq, Epoch and TS, then calls Apply.
func (s *State) Number(e *streams.Event) {
	e.Group = s.group
	e.V, e.N, e.Prev, e.MentionAllCount = 1, 0, 0, 0
	if ch := s.channels[e.Channel]; ch != nil {
		e.V, e.N, e.Prev, e.MentionAllCount = ch.v+1, ch.n, ch.seq, ch.mentionAllCount
	}
	if p, ok := e.Payload.(streams.MessagePosted); ok {
		e.N++
		if p.GetMentionAll() {
			e.MentionAllCount++
		}
	}
}

// Apply folds an event in. Entities that are newer than the event stay as
// they are.
func (s *State) Apply(e *streams.Event) {
	switch p := e.Payload.(type) {
	case streams.GroupUpdated:
		s.applyGroupUpdated(e, p)
	case streams.InviteCreated:
		s.applyInvite(e, p)
	case streams.InviteRevoked:
		s.applyInviteRevoked(e, p)
	default:
		s.applyMember(e)
	}
	s.applyChannels(e)
	// The head last: the channel a message is in must exist before.
	s.applyHead(e)
	s.applyParts(e)
}

func (s *State) applyGroupUpdated(e *streams.Event, p streams.GroupUpdated) {
	if e.Seq <= s.meta.seq {
		return
	}
	if s.meta.seq == 0 {
		s.meta.created = e.TS
		s.whole = true // seen from its beginning
	}
	s.meta.seq = e.Seq
	s.meta.kind, s.meta.name, s.meta.settings = p.GetKind(), p.GetName(), p.GetSettings()
	s.meta.deleted = p.GetDeleted()
	s.changed(Entity{})
}

func (s *State) applyHead(e *streams.Event) {
	ch := s.channels[e.Channel]
	if ch == nil {
		ch = &channel{}
		s.channels[e.Channel] = ch
	}
	if e.Seq <= ch.seq {
		return
	}
	ch.seq, ch.v, ch.n, ch.mentionAllCount = e.Seq, e.V, e.N, e.MentionAllCount
	s.changed(Entity{Channel: e.Channel})
	switch p := e.Payload.(type) {
	case streams.MessageRecalled:
		ch.recall(streams.Number(p.GetTarget()))
		ch.unpin(streams.Number(p.GetTarget()))
	case streams.Pinned:
		ch.pin(streams.Number(p.GetTarget()))
	case streams.Unpinned:
		ch.unpin(streams.Number(p.GetTarget()))
	case streams.MessagePosted:
		s.Observe(e)
	}
}

// Observe notes what slow mode needs of a message: when its sender last wrote.
// Recovery calls it for messages older than the snapshot, too.
func (s *State) Observe(e *streams.Event) {
	ch := s.channels[e.Channel]
	if ch == nil || ch.deleted || s.slow(ch) == 0 {
		return
	}
	slow := s.slow(ch)
	if ch.lastSend == nil {
		ch.lastSend = map[streams.User]int64{}
	}
	if len(ch.lastSend) >= 10_000 {
		for u, ts := range ch.lastSend { // only the waiting matter
			if ts+slow <= e.TS {
				delete(ch.lastSend, u)
			}
		}
	}
	ch.lastSend[e.User] = max(ch.lastSend[e.User], e.TS)
}

func (c *channel) isRecalled(n streams.Number) bool {
	_, found := slices.BinarySearch(c.recalled, n)
	return found
}

func (c *channel) recall(n streams.Number) {
	at, found := slices.BinarySearch(c.recalled, n)
	if found {
		return
	}
	if len(c.recalled) >= maxRecalled {
		c.recalled = slices.Delete(c.recalled, 0, 1)
		at = max(0, at-1)
	}
	c.recalled = slices.Insert(c.recalled, at, n)
}

func (c *channel) recalledNumbers() []uint64 {
	numbers := make([]uint64, len(c.recalled))
	for i, n := range c.recalled {
		numbers[i] = uint64(n)
	}
	return numbers
}

// sortedMembers returns the current members by name. The slice is kept until
// somebody joins or leaves.
func (s *State) sortedMembers() []streams.User {
	if s.sorted == nil {
		s.sorted = make([]streams.User, 0, s.meta.census.GetMembers())
		for u, m := range s.members {
			if m.role != streampb.Role_ROLE_NONE {
				s.sorted = append(s.sorted, u)
			}
		}
		slices.Sort(s.sorted)
	}
	return s.sorted
}
