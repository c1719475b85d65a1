package hub

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Hide takes a message out of a user's sight, on all edges, and returns when that
// is stored. A back end hides for the user it names. Errors are
// [*streams.Rejection]: not_member, not_found, conflict for too many,
// unavailable.
func (v *View) Hide(ctx context.Context, r Reader, name streams.Channel, n streams.Number) error {
	ctx, cancel := context.WithTimeout(ctx, owner.Deadline)
	defer cancel()
	if err := v.Admit(ctx, r); err != nil {
		return err
	}
	c, err := v.find(ctx, r, name)
	if err != nil {
		return err
	}
	if err := v.mayHide(ctx, r, c, n); err != nil {
		return err
	}
	all, err := v.hub.config.Hidden.Add(ctx, r.User, v.group, name, n)
	if err != nil {
		return err
	}
	v.hide(r.User, name, all)
	data, err := proto.Marshal(&streampb.Hidden{User: string(r.User), N: uint64(n)})
	if err == nil {
		err = v.hub.config.Conn.Publish(streams.HideSubject(v.partition, v.group, name), data)
	}
	if err != nil {
		v.hub.config.Logger.Debug("tell of a hidden message", "group", v.group, "err", err) // the others look for it
	}
	return nil
}

// mayHide refuses a message that does not exist, and one too many.
func (v *View) mayHide(ctx context.Context, r Reader, c *channel, n streams.Number) error {
	v.mu.Lock()
	head, total := c.log.Messages(), 0
	if m := v.members[r.User]; m != nil {
		for _, numbers := range m.hidden {
			total += len(numbers)
		}
	}
	v.mu.Unlock()
	if total >= streams.MaxHiddenInGroup {
		return hidden.TooMany()
	}
	if n <= head {
		return nil
	}
	// Another edge may have shown it already.
	snapshot, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	for _, info := range snapshot.GetChannels() {
		if streams.Channel(info.GetChannel()) == c.name && n <= streams.Number(info.GetN()) {
			return nil
		}
	}
	return streams.NoMessage()
}

// hide takes what a user hides, and lets their subscriptions show it no more.
func (v *View) hide(user streams.User, name streams.Channel, numbers hidden.Numbers) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if m := v.members[user]; m.hide(name, numbers) {
		for _, s := range m.subs {
			if s.channel.name == name {
				s.sight.Store(v.sight(s.reader, m, s.channel))
			}
		}
	}
}

// hide adds to what the user hides; grown is false if that is nothing new.
func (m *member) hide(name streams.Channel, numbers hidden.Numbers) (grown bool) {
	if m == nil {
		return false
	}
	all, grown := m.hidden[name].With(numbers)
	if !grown {
		return false
	}
	if m.hidden == nil {
		m.hidden = map[streams.Channel]hidden.Numbers{}
	}
	m.hidden[name] = all
	return true
}

// loadHidden reads what a user hides, unless it was read before. What is heard
// of meanwhile is added as well. view.mu is not held.
func (v *View) loadHidden(ctx context.Context, user streams.User, m *member) error {
	v.mu.Lock()
	loaded := m.hiddenLoaded
	v.mu.Unlock()
	if loaded {
		return nil
	}
	found, err := v.hub.config.Hidden.Load(ctx, user, v.group)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m.hiddenLoaded = true
	for name, numbers := range found {
		m.hide(name, numbers)
	}
	return nil
}

// hidden takes a record another edge may have written.
func (h *Hub) hidden(r hidden.Record) {
	if v := h.view(r.Group); v != nil {
		v.hide(r.User, r.Channel, r.Numbers)
	}
}

// hide takes what another edge tells at once.
func (f *feed) hide(g streams.Group, c streams.Channel, data []byte) {
	told := &streampb.Hidden{}
	if err := proto.Unmarshal(data, told); err != nil {
		f.hub.config.Logger.Warn("read what is hidden", "partition", f.partition, "err", err)
		return
	}
	f.hub.hidden(hidden.Record{
		User: streams.User(told.GetUser()), Group: g, Channel: c, Numbers: hidden.Numbers{streams.Number(told.GetN())},
	})
}
