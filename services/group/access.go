package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// access is what an edge must know of a user to decide what they may read.
func (s *State) access(u streams.User) *streampb.Access {
	m := s.standing(u)
	a := &streampb.Access{
		Role: m.role, JoinedSeq: uint64(m.joinedSeq), MutedUntil: m.mutedUntil,
		Banned: m.banned, UserGroups: m.userGroups, Blocked: s.blocks(u),
	}
	if m.visiting {
		a.JoinedSeq = 0 // that of a membership which is over
	}
	for name, ch := range s.channels {
		if _, named := ch.members[u]; named {
			a.Channels = append(a.Channels, string(name))
		}
	}
	slices.Sort(a.Channels)
	return a
}
