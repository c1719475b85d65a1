package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

type cardKey struct {
	channel streams.Channel
	n       streams.Number
}

// card is the reactions to one message. It is in memory while it is used; one
// that is not loaded holds only what was folded since the snapshot.
type card struct {
	held
	reactions []reaction // in order of their first use
	loaded    bool
	later     []reacted // what waits for the record, in order; empty when loaded
}

// usersAPiece is how many reactions count as much as a member in memory.
const usersAPiece = pieceBytes / 8

// reaction is one emoji and the hashes of who used it, ascending.
type reaction struct {
	emoji string
	users []uint64
}

// reacted is one folded event.
type reacted struct {
	seq   streams.Seq
	emoji string
	user  uint64
	on    bool
}

// applyReaction folds a reaction in. That a user has an emoji or not is an
// assignment, so the record may be of any age when it comes.
func (s *State) applyReaction(e *streams.Event, n uint64, emoji string, on bool) {
	k := s.cardOf(cardKey{e.Channel, streams.Number(n)})
	change := reacted{seq: e.Seq, emoji: emoji, user: streams.UserHash(e.User), on: on}
	if !k.loaded {
		k.later = append(k.later, change)
		return
	}
	k.apply(change)
	s.weigh(&k.held, k.total()/usersAPiece-k.extra)
	k.used = true
	s.changed(Entity{Channel: e.Channel, Card: streams.Number(n)})
}

// cardOf returns a message's card, a new one that is not loaded if there is
// none.
func (s *State) cardOf(key cardKey) *card {
	k := s.cards[key]
	if k == nil {
		k = &card{}
		if s.cards == nil {
			s.cards = map[cardKey]*card{}
		}
		s.cards[key] = k
	}
	return k
}

func (k *card) apply(c reacted) {
	if c.seq <= k.seq {
		return
	}
	k.seq = c.seq
	at := k.find(c.emoji)
	if at < 0 {
		if c.on {
			k.reactions = append(k.reactions, reaction{emoji: c.emoji, users: []uint64{c.user}})
		}
		return
	}
	r := &k.reactions[at]
	i, found := slices.BinarySearch(r.users, c.user)
	switch {
	case c.on && !found:
		r.users = slices.Insert(r.users, i, c.user)
	case !c.on && found:
		r.users = slices.Delete(r.users, i, i+1)
		if len(r.users) == 0 {
			k.reactions = slices.Delete(k.reactions, at, at+1)
		}
	}
}

func (k *card) find(emoji string) int {
	return slices.IndexFunc(k.reactions, func(r reaction) bool { return r.emoji == emoji })
}

// has reports whether a user has an emoji at the message, and how many have.
func (k *card) has(emoji string, u streams.User) (bool, int) {
	at := k.find(emoji)
	if at < 0 {
		return false, 0
	}
	_, found := slices.BinarySearch(k.reactions[at].users, streams.UserHash(u))
	return found, len(k.reactions[at].users)
}

func (k *card) total() int {
	total := 0
	for _, r := range k.reactions {
		total += len(r.users)
	}
	return total
}

// CardRecord is what a message has gathered; nil where it is not in memory.
func (s *State) CardRecord(c streams.Channel, n streams.Number) *streampb.CardRecord {
	k := s.cards[cardKey{c, n}]
	if k == nil || !k.loaded {
		return nil
	}
	record := &streampb.CardRecord{Seq: uint64(k.seq)}
	for _, r := range k.reactions {
		record.Reactions = append(record.Reactions, &streampb.ReactionRecord{Emoji: r.emoji, Users: slices.Clone(r.users)})
	}
	return record
}

// restoreCard puts a message's record back, an empty one where it has none, and
// folds over it what has come since.
func (s *State) restoreCard(e Entity, record *streampb.CardRecord) {
	k := s.cardOf(cardKey{e.Channel, e.Card})
	if k.loaded {
		return
	}
	k.seq, k.used, k.loaded = streams.Seq(record.GetSeq()), true, true
	for _, r := range record.GetReactions() {
		k.reactions = append(k.reactions, reaction{emoji: r.GetEmoji(), users: slices.Clone(r.GetUsers())})
	}
	for _, c := range k.later {
		if c.seq > k.seq {
			k.apply(c)
			s.changed(e)
		}
	}
	k.later = nil
	s.keep(e)
	s.weigh(&k.held, k.total()/usersAPiece)
}
