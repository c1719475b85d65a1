package group

import (
	"slices"
	"unicode/utf8"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// maxAttributePage bounds one answer to a read of attributes: bytes of keys,
// values and users.
const maxAttributePage = 256 << 10

// attributeChannel finds whose attributes a command is about: @ and nothing
// stand for the group's own.
func (s *State) attributeChannel(r Request, name string) (streams.Channel, *channel, error) {
	if name == "" || name == string(streams.GroupChannel) {
		return streams.GroupChannel, s.channels[streams.GroupChannel], nil
	}
	return s.find(r, name)
}

// loadedAttributes returns the set of a channel. One that never had any needs
// no loading.
func (s *State) loadedAttributes(c streams.Channel, ch *channel) (*attributes, error) {
	a := s.attrs[c]
	switch {
	case !ch.attributed && a == nil:
		return &attributes{}, nil
	case a != nil && (a.loaded || !ch.attributed):
		return a, nil
	}
	return nil, notLoaded()
}

// change is what one key becomes; value is nil for one that is deleted.
type change struct {
	key   string
	value *string
}

func (s *State) setAttributes(r Request, body *streampb.SetAttributes, now int64) (Decision, error) {
	c, ch, err := s.attributeChannel(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if err := s.may(r, SetAttribute); err != nil {
		return Decision{}, err
	}
	if err := s.taken(r); err != nil {
		return Decision{}, err
	}
	if err := s.speaks(r, now); err != nil {
		return Decision{}, err
	}
	changes, err := checkAttributes(body)
	if err != nil {
		return Decision{}, err
	}
	a, err := s.loadedAttributes(c, ch)
	if err != nil {
		return Decision{}, err
	}
	if err := a.compare(body.GetIfV()); err != nil {
		return Decision{}, err
	}
	living := a.living
	var events []*streams.Event
	for _, want := range changes {
		old := a.get(want.key)
		if old == nil && want.value == nil {
			continue
		}
		if old != nil && old.protected && old.user != r.User && !s.has(r, OverrideProtected) {
			return Decision{}, streams.Reject(streams.Forbidden, "an attribute is protected by who set it")
		}
		switch {
		case want.value == nil:
			living--
			events = append(events, event(r, c, streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: want.key}}))
			continue
		case old == nil:
			living++
		}
		events = append(events, event(r, c, streams.AttributeSet{AttributeSet: &streampb.AttributeSet{
			Key: want.key, Value: *want.value, AutoDelete: body.GetAutoDelete(), Protected: body.GetProtect(),
		}}))
	}
	if living > streams.MaxAttributes && living > a.living {
		return Decision{}, streams.Reject(streams.Conflict, "a channel has at most %d attributes", streams.MaxAttributes)
	}
	if len(events) == 0 {
		return answer(&streampb.Result{V: uint64(ch.v), Already: true})
	}
	events[len(events)-1].Answer = true
	return Decision{Events: events}, nil
}

// checkAttributes returns what a command changes, ascending by key.
func checkAttributes(body *streampb.SetAttributes) ([]change, error) {
	if len(body.GetSet())+len(body.GetDel()) == 0 {
		return nil, streams.Reject(streams.BadRequest, "there is nothing to set or delete")
	}
	if len(body.GetSet())+len(body.GetDel()) > streams.MaxSetKeys || len(body.GetIfV()) > streams.MaxSetKeys {
		return nil, streams.Reject(streams.BadRequest, "a command names at most %d keys", streams.MaxSetKeys)
	}
	changes := make([]change, 0, len(body.GetSet())+len(body.GetDel()))
	for key, value := range body.GetSet() {
		if len(value) > streams.MaxAttribute {
			return nil, streams.Reject(streams.TooLarge, "a value is longer than %d bytes", streams.MaxAttribute)
		}
		if !utf8.ValidString(value) {
			return nil, streams.Reject(streams.BadRequest, "a value is not UTF-8")
		}
		changes = append(changes, change{key: key, value: &value})
	}
	for _, key := range body.GetDel() {
		changes = append(changes, change{key: key})
	}
	for _, c := range changes {
		if !validKey(c.key) {
			return nil, badKey()
		}
	}
	for key := range body.GetIfV() {
		if !validKey(key) {
			return nil, badKey()
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return compareKeys(a.key, b.key) })
	for i := 1; i < len(changes); i++ {
		if changes[i].key == changes[i-1].key {
			return nil, streams.Reject(streams.BadRequest, "a key is named twice")
		}
	}
	return changes, nil
}

func badKey() error {
	return streams.Reject(streams.BadRequest, "a key must be 1 to %d of A-Z a-z 0-9 _ - . : + =", streams.MaxAttributeKey)
}

func compareKeys(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func validKey(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '-', c == '.', c == ':', c == '+', c == '=':
		default:
			return false
		}
	}
	return len(key) >= 1 && len(key) <= streams.MaxAttributeKey
}

// compare rejects where a key is at another version than its sender believes,
// and tells what all such keys are.
func (a *attributes) compare(want map[string]uint64) error {
	var current []streams.AttributeNow
	for key, v := range want {
		now := streams.AttributeNow{Key: key}
		if at := a.get(key); at != nil {
			now.Value, now.V = at.value, at.v
		}
		if uint64(now.V) != v {
			current = append(current, now)
		}
	}
	if current == nil {
		return nil
	}
	slices.SortFunc(current, func(x, y streams.AttributeNow) int { return compareKeys(x.Key, y.Key) })
	refusal := streams.Reject(streams.Conflict, "an attribute has changed")
	refusal.Current = current
	return refusal
}

// readAttributes is a page of the attributes, in order of their keys.
func (s *State) readAttributes(r Request, body *streampb.ReadAttributes) (Decision, error) {
	c, ch, err := s.attributeChannel(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	a, err := s.loadedAttributes(c, ch)
	if err != nil {
		return Decision{}, err
	}
	keys := a.keys()
	at, found := slices.BinarySearch(keys, body.GetAfter())
	if found {
		at++
	}
	page, size := &streampb.AttributePage{V: uint64(ch.v)}, 0
	for ; at < len(keys); at++ {
		shown := a.all[keys[at]].shown(keys[at])
		size += len(shown.GetKey()) + len(shown.GetValue()) + len(shown.GetUser())
		if size > maxAttributePage {
			page.After = keys[at-1]
			break
		}
		page.Attributes = append(page.Attributes, shown)
	}
	return answer(&streampb.Result{Attributes: page})
}
