package hub

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// announceEvery is how often the owners are told who came and went here, and
	// wholeEvery after how many of these they are told of everybody. An owner
	// takes an edge for gone that it has not heard for 3 s.
	announceEvery = time.Second
	wholeEvery    = 10
	// presentUsers bounds the users of one message, so that it stays below
	// NATS's default limit of 1 MiB.
	presentUsers = 8192
	// calledSize is how many questions of owners wait. When it is full a further
	// one is dropped: the next whole list answers it.
	calledSize = 64
)

// moved notes that a user's first subscription in the group began here, or the
// last one ended; mu is held.
func (v *View) moved(user streams.User, here bool) {
	if v.moves == nil {
		v.moves = map[streams.User]bool{}
	}
	v.moves[user] = here
}

// Present reports whether a user has a live subscription in a room here.
func (h *Hub) Present(g streams.Group, user streams.User) bool {
	v := h.view(g)
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m := v.members[user]
	return v.kind == room && m != nil && len(m.subs) > 0
}

// room is the kind of groups where presence is membership.
const room = "room"

// EntersBySubscribing reports whether who subscribes becomes a member by it.
func (v *View) EntersBySubscribing() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kind == room && v.settings.GetJoin() == "open" && !v.gone
}

// Entered makes the view ask the owner anew about a user who was let in: in a
// large room no event tells of that.
func (v *View) Entered(user streams.User) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if m := v.members[user]; m != nil && len(m.subs) == 0 && m.asking == nil {
		m.known = false
	}
}

// call notes that an owner asks for everybody.
func (h *Hub) call(p streams.Partition) {
	select {
	case h.called <- p:
	default:
	}
}

// announce tells the owners of partitions who is present here, until ctx ends.
func (h *Hub) announce(ctx context.Context) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	a := announcer{hub: h, turns: map[streams.Partition]uint64{}, told: map[streams.Partition]bool{}}
	for ticks := 1; ; ticks++ {
		select {
		case <-tick.C:
			a.tell(nil, ticks%wholeEvery == 0)
		case p := <-h.called:
			a.tell(&p, true)
		case <-ctx.Done():
			return
		}
	}
}

// announcer is owned by announce.
type announcer struct {
	hub   *Hub
	turns map[streams.Partition]uint64
	told  map[streams.Partition]bool // somebody was present when it last spoke
}

// tell speaks to the owner of one partition, or of all (nil).
func (a *announcer) tell(only *streams.Partition, whole bool) {
	views := map[streams.Partition][]*View{}
	a.hub.mu.RLock()
	for _, v := range a.hub.views {
		if only == nil || v.partition == *only {
			views[v.partition] = append(views[v.partition], v)
		}
	}
	for p := range a.told {
		if _, some := views[p]; !some && (only == nil || p == *only) {
			views[p] = nil // the last group there was closed
		}
	}
	a.hub.mu.RUnlock()
	for p, list := range views {
		a.partition(p, list, whole)
	}
}

// partition tells of the groups of one partition, in as many messages as it
// takes. Nothing is said where nobody is and nobody was.
func (a *announcer) partition(p streams.Partition, views []*View, whole bool) {
	message := &streampb.Present{Edge: a.hub.edge, Whole: whole}
	users, anybody, said := 0, false, false
	for _, v := range views {
		group, present := v.presence(whole)
		anybody = anybody || present
		for group != nil {
			rest := cut(group, presentUsers-users)
			message.Groups = append(message.Groups, group)
			users += len(group.GetHere()) + len(group.GetGone())
			if users >= presentUsers {
				a.send(p, message)
				message, users, said = &streampb.Present{Edge: a.hub.edge}, 0, true
			}
			group = rest
		}
	}
	if len(message.GetGroups()) > 0 || !said && (anybody || a.told[p]) {
		a.send(p, message)
	}
	if a.told[p] = anybody; !anybody {
		delete(a.told, p)
	}
}

// cut shortens a group's part to so many users and returns the rest, nil for
// none.
func cut(g *streampb.PresentGroup, users int) *streampb.PresentGroup {
	if len(g.GetHere())+len(g.GetGone()) <= users {
		return nil
	}
	rest := &streampb.PresentGroup{Group: g.GetGroup()}
	here := min(users, len(g.GetHere()))
	g.Here, rest.Here = g.GetHere()[:here], g.GetHere()[here:]
	gone := min(users-here, len(g.GetGone()))
	g.Gone, rest.Gone = g.GetGone()[:gone], g.GetGone()[gone:]
	return rest
}

func (a *announcer) send(p streams.Partition, message *streampb.Present) {
	a.turns[p]++
	message.Turn = a.turns[p]
	data, err := proto.Marshal(message)
	if err == nil {
		err = a.hub.config.Conn.Publish(streams.PresenceSubject(p), data)
	}
	if err != nil {
		// The owner misses a turn and asks for everybody, or hears them soon.
		a.hub.config.Logger.Debug("tell who is present", "partition", p, "err", err)
	}
}

// presence is what the owner is told of the group now: everybody, or what has
// changed since it was last told. nil is nothing.
func (v *View) presence(whole bool) (group *streampb.PresentGroup, anybody bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	moves := v.moves
	v.moves = nil
	anybody = v.following > 0
	group = &streampb.PresentGroup{Group: string(v.group), Whole: whole}
	if whole {
		if !anybody {
			return nil, false
		}
		for user, m := range v.members {
			if len(m.subs) > 0 {
				group.Here = append(group.Here, string(user))
			}
		}
		return group, true
	}
	if len(moves) == 0 {
		return nil, anybody
	}
	for user, here := range moves {
		if here {
			group.Here = append(group.Here, string(user))
		} else {
			group.Gone = append(group.Gone, string(user))
		}
	}
	return group, anybody
}
