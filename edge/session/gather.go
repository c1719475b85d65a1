package session

import (
	"slices"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/transport"
	"github.com/throng/throng/edge/wire"
)

// outbox is the frames of the next write of one session, in one WebSocket
// message. A shard has one for all its sessions.
type outbox struct {
	settled
	frames  []byte // finished, but for the header of the message
	begin   int    // of the message in frames; -1 while it has not begun
	entries []ring.Entry
	events  [][]byte
	count   int // events
}

func (o *outbox) reset() {
	if cap(o.frames) > 4*messageBytes {
		o.frames = nil // a large answer; do not keep its size for ever
	}
	o.settled, o.frames, o.begin, o.count = settled{}, o.frames[:0], -1, 0
}

// separate begins a frame of the message.
func (o *outbox) separate() {
	if o.begin < 0 {
		o.begin = len(o.frames)
		o.frames = transport.BeginFrame(o.frames)
		return
	}
	o.frames = append(o.frames, '\n')
}

// add appends a frame.
func (o *outbox) add(frame []byte) {
	o.separate()
	o.frames = append(o.frames, frame...)
}

// finish ends the message.
func (o *outbox) finish() {
	if o.begin >= 0 {
		o.frames = transport.EndFrame(o.frames, o.begin, transport.Text)
	}
}

// gather joins what is to be said next into one message: answers first, then
// what is to be delivered to this session by itself. false means there is
// nothing.
func (s *session) gather(out *outbox) (some bool) {
	metrics := s.endpoint.config.Metrics
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if s.hungUp || s.said { // nothing follows a close frame
		return false
	}
	if s.pong != nil {
		out.frames = transport.AppendFrame(out.frames, transport.Pong, s.pong)
		s.pong = nil
	}
	s.gatherReplies(out)
	for key := range s.left {
		if key.channel == "" {
			out.add(wire.AppendLeft(nil, key.group))
		} else {
			out.add(wire.AppendRemoved(nil, key.group, key.channel))
		}
	}
	s.left = nil
	// While the connection closes, answers still go out and events do not.
	for s.closing == nil && len(s.dirty) > 0 && len(out.frames) < messageBytes {
		f := s.dirty[0]
		s.dirty[0] = nil
		s.dirty = s.dirty[1:]
		if f.hint {
			s.hinted = append(s.hinted, f)
			continue
		}
		f.dirty = false
		if f.state.Load() == live {
			s.deliver(f, out)
		}
	}
	if len(s.dirty) == 0 {
		s.dirty = nil
	}
	s.deliverHeads(out)
	for _, frame := range s.signals {
		out.add(frame)
	}
	s.signals = nil
	out.finish()
	if out.begin >= 0 {
		metrics.messages.Inc()
	}
	metrics.deliveries.Add(float64(out.count))
	return len(out.frames) > 0
}

// forget lets go of follows that are no longer installed; s.mu is held.
func (s *session) forget() {
	var over []*follow
	for _, f := range s.dropped {
		s.shard.leave(f)
		if f.ended { // else whoever uninstalled it gives it back
			over = append(over, f)
		}
	}
	s.dropped = nil
	if over != nil {
		s.tasks.Go(func() { release(over) })
	}
}

// gatherReplies appends what there is room for; s.mu is held.
func (s *session) gatherReplies(out *outbox) {
	for len(s.replies) > 0 && len(out.frames) < messageBytes {
		r := s.replies[0]
		s.replies[0] = reply{}
		s.replies = s.replies[1:]
		if r.frame != nil {
			out.add(r.frame)
		}
		if r.slot {
			out.slots++
		}
		if r.read {
			out.reads++
		}
		if r.arm != nil {
			s.arm(r.arm)
		}
	}
	if len(s.replies) == 0 {
		s.replies = nil
	}
}

// arm begins to deliver behind what was said so far; s.mu is held.
func (s *session) arm(f *follow) {
	if f.ended || s.gone || !slices.Contains(s.follows, f) || !f.state.CompareAndSwap(pending, live) {
		return
	}
	s.shard.join(f)
	if f.sub.Head() > f.cursor {
		s.queue(f)
	}
}

// deliver appends one block of a channel and puts the channel at the end of
// the queue if it has more; s.mu is held.
func (s *session) deliver(f *follow, out *outbox) {
	entries, gap := f.sub.Take(out.entries[:0], f.cursor, wire.BlockEvents, messageBytes)
	out.entries = entries
	if f.state.Load() != live { // see follow.state
		clear(entries)
		return
	}
	if gap != nil {
		out.separate()
		out.frames = wire.AppendGap(out.frames, f.key.group, f.key.channel, *gap)
		f.cursor = gap.Upto
		s.endpoint.config.Metrics.gaps.WithLabelValues(string(gapSlow)).Inc()
	}
	if len(entries) > 0 {
		out.events = out.events[:0]
		for _, e := range entries {
			out.events = append(out.events, e.JSON)
		}
		out.separate()
		out.frames = wire.AppendBlock(out.frames, f.key.group, f.key.channel, out.events)
		f.cursor = entries[len(entries)-1].Event.V
		out.count += len(entries)
	}
	clear(out.entries)
	clear(out.events)
	if f.sub.Head() > f.cursor {
		s.queue(f)
	}
}
