package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// AllAttributes as Entity.Attribute stands for every attribute record of the
// channel: they are loaded and forgotten together, since most of what asks for
// one asks for all, and how many there are must be known.
const AllAttributes = "*"

// attributes is what a channel's attributes are; those of @ are the group's.
// A set that is not loaded holds only what was folded since the snapshot.
type attributes struct {
	held
	all    map[string]*attribute // deleted ones, too, until their records are dropped
	living int
	tied   map[streams.User]map[string]struct{} // keys that go with a user's presence
	sorted []string                             // living keys, ascending; nil when out of date
	loaded bool
}

// attribute is one key as its newest event left it.
type attribute struct {
	seq        streams.Seq
	v          streams.Version
	ts         int64 // ms since 1970 UTC
	user       streams.User
	value      string
	autoDelete bool
	protected  bool
	deleted    bool
}

// pieces is what an attribute takes in memory; 0 for none.
func (at *attribute) pieces(key string) int {
	if at == nil {
		return 0
	}
	return 1 + (len(key)+len(at.value))/pieceBytes
}

// setAttribute puts a key where its newest event left it.
func (s *State) setAttribute(a *attributes, key string, next *attribute) {
	old := a.all[key]
	if old != nil && next.seq <= old.seq {
		return
	}
	s.weigh(&a.held, next.pieces(key)-old.pieces(key))
	if lives, lived := !next.deleted, old != nil && !old.deleted; lives != lived {
		a.sorted = nil
		if lives {
			a.living++
		} else {
			a.living--
		}
	}
	if old != nil && old.autoDelete {
		a.untie(old.user, key)
	}
	if next.autoDelete {
		if a.tied == nil {
			a.tied = map[streams.User]map[string]struct{}{}
		}
		if a.tied[next.user] == nil {
			a.tied[next.user] = map[string]struct{}{}
		}
		a.tied[next.user][key] = struct{}{}
	}
	a.all[key] = next
	a.seq = max(a.seq, next.seq)
}

func (a *attributes) untie(u streams.User, key string) {
	delete(a.tied[u], key)
	if len(a.tied[u]) == 0 {
		delete(a.tied, u)
	}
}

// get returns a key that exists, else nil.
func (a *attributes) get(key string) *attribute {
	if at := a.all[key]; at != nil && !at.deleted {
		return at
	}
	return nil
}

// keys returns what exists, ascending. The slice is kept until a key comes or
// goes.
func (a *attributes) keys() []string {
	if a.sorted == nil {
		a.sorted = make([]string, 0, a.living)
		for key, at := range a.all {
			if !at.deleted {
				a.sorted = append(a.sorted, key)
			}
		}
		slices.Sort(a.sorted)
	}
	return a.sorted
}

// attributesOf returns the set of a channel, a new one that is not loaded if
// there is none.
func (s *State) attributesOf(c streams.Channel) *attributes {
	a := s.attrs[c]
	if a == nil {
		a = &attributes{all: map[string]*attribute{}}
		if s.attrs == nil {
			s.attrs = map[streams.Channel]*attributes{}
		}
		s.attrs[c] = a
		s.keep(Entity{Channel: c, Attribute: AllAttributes})
	}
	return a
}

// applyAttribute folds a change of an attribute in. The event has all of what
// the key is after it, so the set need not be loaded.
func (s *State) applyAttribute(e *streams.Event, key string, next *attribute) {
	a, ch := s.attributesOf(e.Channel), s.channels[e.Channel]
	if !ch.attributed { // the first there ever was: what is in memory is all
		ch.attributed, a.loaded = true, true
		s.changed(Entity{Channel: e.Channel})
	}
	if next.autoDelete && !ch.tied {
		ch.tied = true
		s.changed(Entity{Channel: e.Channel})
	}
	s.setAttribute(a, key, next)
	a.used = true
	s.changed(Entity{Channel: e.Channel, Attribute: key})
	s.changed(Entity{Channel: e.Channel, Attribute: AllAttributes}) // no record: it keeps the set in memory
}

func attributeSet(e *streams.Event, p streams.AttributeSet) *attribute {
	return &attribute{
		seq: e.Seq, v: e.V, ts: e.TS, user: e.User, value: p.GetValue(),
		autoDelete: p.GetAutoDelete(), protected: p.GetProtected(),
	}
}

func attributeDeleted(e *streams.Event) *attribute {
	return &attribute{seq: e.Seq, v: e.V, ts: e.TS, user: e.User, deleted: true}
}

// AttributeRecord is one attribute as it is now, nil for one that is not in
// memory.
func (s *State) AttributeRecord(c streams.Channel, key string) *streampb.AttributeRecord {
	a := s.attrs[c]
	if a == nil || a.all[key] == nil {
		return nil
	}
	at := a.all[key]
	return &streampb.AttributeRecord{Seq: uint64(at.seq), Deleted: at.deleted, Attribute: at.shown(key)}
}

// shown is an attribute as answers and records have it.
func (at *attribute) shown(key string) *streampb.Attribute {
	return &streampb.Attribute{
		Key: key, Value: at.value, V: uint64(at.v), User: string(at.user), Ts: at.ts,
		AutoDelete: at.autoDelete, Protected: at.protected,
	}
}

// restoreAttribute puts one record back; what is in memory is as new or newer.
func (s *State) restoreAttribute(e Entity, r *streampb.AttributeRecord) {
	a, was := s.attributesOf(e.Channel), r.GetAttribute()
	if a.loaded || r.GetSeq() == 0 {
		return // there is none, or this record was read before, and may be older than what was forgotten since
	}
	s.setAttribute(a, e.Attribute, &attribute{
		seq: streams.Seq(r.GetSeq()), v: streams.Version(was.GetV()), ts: was.GetTs(), user: streams.User(was.GetUser()),
		value: was.GetValue(), autoDelete: was.GetAutoDelete(), protected: was.GetProtected(), deleted: r.GetDeleted(),
	})
}

// Buried returns up to limit keys of a channel that are deleted and whose
// records tell nothing that the checkpoint, up to which all is stored, does
// not: they are forgotten here, and the caller drops their records. more tells
// whether there are, or will be, others.
func (s *State) Buried(c streams.Channel, checkpoint streams.Seq, limit int) (keys []string, more bool) {
	a := s.attrs[c]
	if a == nil || !a.loaded { // then whoever loads it finds them
		return nil, false
	}
	if a.living == len(a.all) {
		return nil, false
	}
	for key, at := range a.all {
		if !at.deleted {
			continue
		}
		if at.seq > checkpoint || len(keys) == limit {
			more = true
			continue
		}
		keys = append(keys, key)
		s.weigh(&a.held, -at.pieces(key))
		delete(a.all, key)
	}
	slices.Sort(keys)
	return keys, more
}
