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
		mention := s.mentioned(f, out)
		if f.state.Load() != live {
			continue
		}
		heads = append(heads, wire.Head{Group: f.key.group, Channel: f.key.channel, V: v, N: n, Mention: mention})
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
