package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// member is how one user stands in the group. A stranger has one, too, once
// the log or the snapshot has been looked at for them: with seq 0.
type member struct {
	held
	role        streampb.Role // ROLE_NONE: left, kicked, banned, waiting, or never there
	joined      int64         // ms since 1970 UTC, of the latest join
	joinedSeq   streams.Seq   // of that join
	mutedUntil  int64         // ms since 1970 UTC, 0: not muted, forGood
	bannedUntil int64         // ms since 1970 UTC, 0: for good
	banned      bool
	waiting     bool // asked to join, not decided
	blocksPeer  bool // direct: does not take what the other sends
	userGroups  []string
	visiting    bool // in a room by presence alone; of copies only, see room.go
}

// forGood is the end of a mute that has none.
const forGood = -1

var stranger member

// standing returns how a user stands; their record must be in memory, or that
// they have none known. Who is in a room by presence alone stands as a member.
func (s *State) standing(u streams.User) *member {
	m := s.logged(u)
	if m.role == everybody && s.visits(u, m) {
		visitor := *m
		visitor.role, visitor.visiting = anyMember, true
		return &visitor
	}
	return m
}

// logged is standing as the events tell it.
func (s *State) logged(u streams.User) *member {
	if m := s.seated[u]; m != nil {
		return m
	}
	if m := s.members[u]; m != nil {
		return m
	}
	return &stranger
}

func (s *State) role(u streams.User) streampb.Role { return s.standing(u).role }

func (s *State) mutedUntil(u streams.User) int64 { return s.standing(u).mutedUntil }

// state is the member as events and records carry it.
func (m *member) state() *streampb.MemberState {
	return &streampb.MemberState{
		Role: m.role, Joined: m.joined, JoinedSeq: uint64(m.joinedSeq), MutedUntil: m.mutedUntil,
		Banned: m.banned, BannedUntil: m.bannedUntil, Waiting: m.waiting,
		UserGroups: m.userGroups, BlocksPeer: m.blocksPeer,
	}
}

// set is the inverse of state.
func (m *member) set(p *streampb.MemberState) {
	m.role, m.joined, m.joinedSeq = p.GetRole(), p.GetJoined(), streams.Seq(p.GetJoinedSeq())
	m.mutedUntil, m.banned, m.bannedUntil = p.GetMutedUntil(), p.GetBanned(), p.GetBannedUntil()
	m.waiting, m.blocksPeer = p.GetWaiting(), p.GetBlocksPeer()
	m.userGroups = slices.Clone(p.GetUserGroups())
}

// applyMember folds an event of @members.
func (s *State) applyMember(e *streams.Event) {
	u, after := streams.MemberOf(e)
	if u == "" {
		return
	}
	census := streams.CensusOf(e)
	if after == nil {
		after, census = s.beforeStates(e, u)
	}
	if census != nil && e.Seq > s.meta.seq {
		s.meta.seq, s.meta.census = e.Seq, copied(census)
		s.goesInside(e, u, after.GetRole())
		if join, ok := e.Payload.(streams.MemberJoined); ok && join.GetInvite() != "" {
			s.useInvite(join.GetInvite())
		}
		s.changed(Entity{})
	}
	m := s.members[u]
	if m == nil {
		m = &member{}
		s.members[u] = m
		s.keep(Entity{Member: u})
	}
	if e.Seq <= m.seq {
		return
	}
	if (m.role == streampb.Role_ROLE_NONE) != (after.GetRole() == streampb.Role_ROLE_NONE) {
		s.sorted = nil
	}
	m.set(after)
	if _, joins := e.Payload.(streams.MemberJoined); joins && m.joinedSeq == 0 {
		m.joinedSeq = e.Seq
	}
	m.seq, m.used = e.Seq, true
	s.memberChanged(u, m)
}

// beforeStates makes up what joins and leaves did not carry at first. There
// was no moderation and one owner then, who could not leave.
func (s *State) beforeStates(e *streams.Event, u streams.User) (*streampb.MemberState, *streampb.Census) {
	after := s.standing(u).state()
	var members uint64
	switch p := e.Payload.(type) {
	case streams.MemberJoined:
		if members = p.GetMembers(); after.GetRole() == streampb.Role_ROLE_NONE {
			after.Joined, after.JoinedSeq = e.TS, uint64(e.Seq)
		}
		after.Role = p.GetRole()
	case streams.MemberLeft:
		members, after.Role = p.GetMembers(), streampb.Role_ROLE_NONE
	}
	return after, censusBefore(members)
}

// censusBefore is the census of which only the members were counted.
func censusBefore(members uint64) *streampb.Census {
	return &streampb.Census{Members: members, Owners: min(members, 1)}
}

// copied is a copy of a census, empty for none. Many members are added one
// after the other: proto.Clone would take longer than all the rest of deciding.
func copied(c *streampb.Census) *streampb.Census {
	return &streampb.Census{Members: c.GetMembers(), Moderators: c.GetModerators(), Admins: c.GetAdmins(), Owners: c.GetOwners()}
}

// censusAfter counts a member that had one role and gets another.
func (s *State) censusAfter(had, gets streampb.Role) *streampb.Census {
	return counted(s.meta.census, had, gets)
}

// counted is a census after a member that had one role got another.
func counted(before *streampb.Census, had, gets streampb.Role) *streampb.Census {
	c := copied(before)
	count := func(role streampb.Role, by uint64) {
		if role != streampb.Role_ROLE_NONE {
			c.Members += by
		}
		switch role {
		case moderator:
			c.Moderators += by
		case admin:
			c.Admins += by
		case owner:
			c.Owners += by
		}
	}
	count(had, ^uint64(0))
	count(gets, 1)
	return c
}

// MemberRecord is a member as they are now, nil for one that is not in memory.
func (s *State) MemberRecord(u streams.User) *streampb.MemberRecord {
	m := s.members[u]
	if m == nil {
		return nil
	}
	return &streampb.MemberRecord{Seq: uint64(m.seq), State: m.state()}
}

func restoreMember(r *streampb.MemberRecord) *member {
	m := &member{held: held{seq: streams.Seq(r.GetSeq()), used: true}}
	if state := r.GetState(); state != nil {
		m.set(state)
		return m
	}
	m.role, m.joined = r.GetRole(), r.GetJoined() // written before there were states
	return m
}
