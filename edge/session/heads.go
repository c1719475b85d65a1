package session

import (
	"slices"
	"time"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// headsEvery is the least time between two heads frames of a session: however
// busy its channels are, mode hint costs no more.
const headsEvery = time.Second

// countsLooked is among how many of the newest events of @members one is looked
// for that carries the members' count: mutes and roles do not.
const countsLooked = 50

// mentionsLooked bounds the events that are looked at for a mention, of one
// channel for one frame. Beyond it a mention may go unmarked; the reader sees it
// when it reads.
const mentionsLooked = 200

// deliverHeads appends one frame with the heads of all channels in mode hint
// that moved, if it is time for one; s.mu is held.
func (s *session) deliverHeads(out *outbox) {
	now := time.Now()
	if len(s.hinted) == 0 || s.closing != nil || now.Before(s.headsAt) {
		return
	}
	heads := make([]wire.Head, 0, len(s.hinted))
	for _, f := range s.hinted {
		f.dirty = false
		v, n := f.sub.Position()
		mention, members := s.mentioned(f, out), f.members(v, out)
		if f.state.Load() != live {
			continue
		}
		heads = append(heads, wire.Head{
			Group: f.key.group, Channel: f.key.channel, V: v, N: n, Mention: mention, Members: members,
		})
		f.cursor = v
	}
	s.hinted = nil
	if len(heads) == 0 {
		return
	}
	s.headsAt = now.Add(headsEvery)
	out.separate()
	out.frames = wire.AppendHeads(out.frames, heads)
}

// mentioned reports whether something behind the follow's cursor mentions the
// session's user; s.mu is held.
func (s *session) mentioned(f *follow, out *outbox) bool {
	entries, _ := f.sub.Take(out.entries[:0], f.cursor, mentionsLooked, messageBytes)
	out.entries = entries
	defer clear(entries)
	return slices.ContainsFunc(entries, func(e ring.Entry) bool {
		m, ok := e.Event.Payload.(streams.MessagePosted)
		return ok && (m.GetMentionAll() || slices.Contains(m.GetMentions(), string(s.caller.User)))
	})
}

// members returns how many members the group had at version v of @members, 0
// for other channels and where nothing of late says so. So who follows @members
// by hints has the count within a second, however many come and go.
func (f *follow) members(v streams.Version, out *outbox) (count uint64) {
	if f.key.channel != streams.MembersChannel {
		return 0
	}
	entries, _ := f.sub.Take(out.entries[:0], max(v, countsLooked)-countsLooked, countsLooked, messageBytes)
	out.entries = entries
	defer clear(entries)
	for _, e := range entries {
		if census := streams.CensusOf(e.Event); census != nil {
			count = census.GetMembers()
		}
	}
	return count
}
