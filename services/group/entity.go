package group

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Entity names one record of a group's snapshot: the group's own if nothing is
// set, the channel's if that alone is; with Attribute or Card set, the
// attribute of the channel or what the message has gathered; or the member's.
//
// The group and its channels are in memory for as long as a term lasts. The
// others are loaded when a command first needs them ([State.Missing],
// [State.Restore]) and forgotten again ([State.Evict]).
type Entity struct {
	Channel   streams.Channel
	Member    streams.User
	Attribute string
	Card      streams.Number
}

// AllMembers as Entity.Member stands for every member record of the group.
const AllMembers streams.User = "*"

// MaxListed is how many members a group may have for its owner to list them.
// Of larger groups the projections tell.
const MaxListed = 1000

// held is what every entity begins with that is loaded and forgotten.
type held struct {
	seq   streams.Seq // newest event folded in; 0: the log knows nothing of it
	used  bool        // since eviction last came by
	extra int         // memory beyond a plain entity's, in pieces of [pieceBytes]

	changed, writing bool // of members: what the sets of residents say of the others
}

// pieceBytes is about what a member takes in memory: what counts as one entity
// where others hold much more.
const pieceBytes = 256

// residents is which entities are in memory that need not be.
type residents struct {
	queue   []Entity // in the order in which eviction looks at them
	head    int      // what lies before it has been looked at
	writing map[Entity]struct{}
	extra   int  // of all entities in memory
	total   *int // of all groups that share a bound; nil: nobody counts

	// Members say themselves that they changed or are being written, and are
	// listed here: there may be a hundred thousand of them, and looking for each
	// in a set would be most of the work of eviction.
	changedMembers, writtenMembers []streams.User
}

// CountIn makes the state count in total what it holds that could be evicted.
func (s *State) CountIn(total *int) {
	s.residents.total = total
	*total += s.Held() + s.residents.extra
}

// Held is how many entities are in memory that could be loaded again.
func (s *State) Held() int { return len(s.residents.queue) - s.residents.head }

// keep notes that an entity has come into memory.
func (s *State) keep(e Entity) {
	s.residents.queue = append(s.residents.queue, e)
	if s.residents.total != nil {
		*s.residents.total++
	}
}

// weigh notes that an entity takes more memory by some pieces, or less.
func (s *State) weigh(h *held, by int) {
	h.extra += by
	s.residents.extra += by
	if s.residents.total != nil {
		*s.residents.total += by
	}
}

// changed notes that an entity's record is older than the entity.
func (s *State) changed(e Entity) {
	if s.dirtied == e && len(s.dirty) > 0 {
		return // as with most of the events of a busy channel
	}
	s.dirty[e], s.dirtied = struct{}{}, e
}

// memberChanged is changed for a member.
func (s *State) memberChanged(u streams.User, m *member) {
	if !m.changed {
		m.changed = true
		s.residents.changedMembers = append(s.residents.changedMembers, u)
	}
}

// unsaved reports whether an entity's record is older than the entity, or on
// its way.
func (s *State) unsaved(e Entity, h *held) bool {
	if e.Member != "" {
		return h.changed || h.writing
	}
	_, changed := s.dirty[e]
	_, writing := s.residents.writing[e]
	return changed || writing
}

// heldOf returns what an entity begins with, nil for one that is not in memory.
func (s *State) heldOf(e Entity) *held {
	switch {
	case e.Card != 0:
		if k := s.cards[cardKey{e.Channel, e.Card}]; k != nil && k.loaded {
			return &k.held
		}
	case e.Attribute == AllAttributes:
		if a := s.attrs[e.Channel]; a != nil {
			return &a.held
		}
	case e.Member != "":
		if m := s.members[e.Member]; m != nil {
			return &m.held
		}
	}
	return nil
}

// forget drops an entity from memory.
func (s *State) forget(e Entity) {
	switch {
	case e.Card != 0:
		delete(s.cards, cardKey{e.Channel, e.Card})
		return
	case e.Attribute == AllAttributes:
		delete(s.attrs, e.Channel)
		return
	}
	if m := s.members[e.Member]; e.Member != "" && m != nil {
		s.whole = s.whole && m.seq == 0
		delete(s.members, e.Member)
	}
}

// Evict looks at up to visits entities and drops those that were not used
// since it last came by, whose record is stored, and that busy (nil: none) does
// not want kept. It returns how many it looked at, fewer only if there are no
// more.
func (s *State) Evict(visits int, busy func(Entity) bool) (visited int) {
	r := &s.residents
	for visits = min(visits, s.Held()); visited < visits; visited++ {
		e := r.queue[r.head]
		r.queue[r.head] = Entity{}
		r.head++
		h := s.heldOf(e)
		if h.used || s.unsaved(e, h) || busy != nil && busy(e) {
			h.used = false
			r.queue = append(r.queue, e)
			continue
		}
		s.weigh(h, -h.extra)
		s.forget(e)
		if r.total != nil {
			*r.total--
		}
	}
	if r.head > 1024 && r.head > len(r.queue)/2 {
		r.queue = append([]Entity(nil), r.queue[r.head:]...)
		r.head = 0
	}
	return visited
}

// need collects the entities that are not in memory.
type need struct {
	state   *State
	missing []Entity
}

func (n *need) add(e Entity) {
	if h := n.state.heldOf(e); h != nil {
		h.used = true
		if e.Attribute != AllAttributes || n.state.attrs[e.Channel].loaded {
			return
		}
	}
	n.missing = append(n.missing, e)
}

func (n *need) member(u streams.User) {
	if u == "" || n.state.whole && n.state.members[u] == nil {
		return // known not to be there
	}
	n.add(Entity{Member: u})
}

// memberNamed is member for a name that was not parsed: Decide refuses what
// is none.
func (n *need) memberNamed(name string) {
	if u, err := streams.ParseUser(name); err == nil {
		n.member(u)
	}
}

func (n *need) everyMember() {
	if !n.state.whole {
		n.missing = append(n.missing, Entity{Member: AllMembers})
	}
}

// Missing returns the entities a command needs that are not in memory. While
// there are any, Decide must not be called; after [State.Restore] of them there
// may be others. The same entity may be in it more than once.
func (s *State) Missing(r Request) []Entity {
	if !s.Exists() {
		return nil
	}
	n := &need{state: s}
	s.missingMembers(r, n)
	s.missingParts(r, n)
	return n.missing
}

// Restore brings an entity into memory from its record, nil for one that has
// none. What is in memory stays as it is: it is as new or newer. After all
// records of [AllMembers] that itself is restored, with nil. It fails on bytes
// that are no record.
func (s *State) Restore(e Entity, record []byte) error {
	switch {
	case e.Card != 0:
		k := &streampb.CardRecord{}
		if err := proto.Unmarshal(record, k); err != nil {
			return fmt.Errorf("record of message %d: %w", e.Card, err)
		}
		s.restoreCard(e, k)
	case e.Attribute == AllAttributes:
		s.attributesOf(e.Channel).loaded = true
	case e.Attribute != "":
		a := &streampb.AttributeRecord{}
		if err := proto.Unmarshal(record, a); err != nil {
			return fmt.Errorf("record of an attribute: %w", err)
		}
		s.restoreAttribute(e, a)
	case e.Member == AllMembers:
		s.whole = true
	case e.Member != "":
		m := &streampb.MemberRecord{}
		if err := proto.Unmarshal(record, m); err != nil {
			return fmt.Errorf("record of member %s: %w", e.Member, err)
		}
		if s.members[e.Member] == nil && (m.GetSeq() != 0 || !s.whole) {
			s.members[e.Member] = restoreMember(m)
			s.keep(e)
		}
	default:
		return fmt.Errorf("restore %+v: no entity that is loaded", e)
	}
	return nil
}

// RestoreTooMany is Restore of [AllMembers] where there are too many records
// to be read: they are listed elsewhere.
func (s *State) RestoreTooMany() { s.elsewhere = true }

// TakeDirty returns the entities that changed since the last call. Until
// [State.Saved] none of them is evicted.
func (s *State) TakeDirty() []Entity {
	r := &s.residents
	entities := make([]Entity, 0, len(s.dirty)+len(r.changedMembers))
	for e := range s.dirty {
		if e.Attribute != AllAttributes { // that has no record of its own
			entities = append(entities, e)
		}
	}
	r.writing, s.dirty = s.dirty, map[Entity]struct{}{}
	r.writtenMembers, r.changedMembers = r.changedMembers, nil
	for _, u := range r.writtenMembers {
		m := s.members[u]
		m.changed, m.writing = false, true
		entities = append(entities, Entity{Member: u})
	}
	return entities
}

// Unsaved says that some of them may not be: all are to be taken again.
func (s *State) Unsaved() {
	for e := range s.residents.writing {
		s.dirty[e] = struct{}{}
	}
	for _, u := range s.residents.writtenMembers {
		s.memberChanged(u, s.members[u])
	}
	s.Saved()
}

// Saved says that the records of all that TakeDirty returned are stored.
func (s *State) Saved() {
	for _, u := range s.residents.writtenMembers {
		s.members[u].writing = false
	}
	s.residents.writing, s.residents.writtenMembers = nil, nil
}

// Record is an entity as it is now, nil for one that is not there.
func (s *State) Record(e Entity) proto.Message {
	switch {
	case e.Member != "":
		if r := s.MemberRecord(e.Member); r != nil {
			return r
		}
	case e.Card != 0:
		if r := s.CardRecord(e.Channel, e.Card); r != nil {
			return r
		}
	case e.Attribute != "":
		if r := s.AttributeRecord(e.Channel, e.Attribute); r != nil {
			return r
		}
	case e.Channel != "":
		if r := s.ChannelRecord(e.Channel); r != nil {
			return r
		}
	default:
		return s.GroupRecord()
	}
	return nil
}
