package session

import (
	"time"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/edge/wire"
)

// outbox is what the writer reuses from message to message. Owned by write.
type outbox struct {
	frames  []byte // of the next message
	entries []ring.Entry
	events  [][]byte
	over    []*follow
	slots   int // commands whose answers are in frames
	reads   int // of them, those with large answers
}

// write sends everything the session says, pings included, until it ends.
func (s *session) write() {
	defer s.cancel(errEnded)
	fifth := time.NewTicker(s.endpoint.config.Heartbeat / 5)
	defer fifth.Stop()
	var out outbox
	var hints <-chan time.Time // while heads wait for their time
	for ticks := 0; ; {
		alive := true
		select {
		case <-hints:
			hints = nil
		case <-s.wakeup:
		case <-fifth.C:
			ticks++
			alive = s.beat(ticks)
		case <-s.timer.C:
			s.outOfTime()
		}
		for alive && s.gather(&out) {
			alive = s.flush(&out)
		}
		if !alive {
			s.close(0, "")
			_ = s.conn.SetReadDeadline(time.Now()) // ends the reader
			return
		}
		if wait := s.headsWait(); wait > 0 && hints == nil {
			hints = time.After(wait)
		}
		if end := s.ending(); end != nil {
			s.sayGoodbye(end)
			return
		}
	}
}

// beat looks every fifth of a heartbeat whether the peer is silent, and pings
// it every fifth time; false means that the peer is gone.
func (s *session) beat(ticks int) bool {
	began := time.Now()
	if s.silent(began) {
		s.close(closeSilent, "silent")
		return true
	}
	if ticks%5 != 0 {
		return true
	}
	err := s.conn.WriteControl(websocket.PingMessage, nil, began.Add(writeDeadline))
	s.wrote(began)
	return err == nil
}

// wrote notes the end of a write: a peer that kept it waiting was slow, not
// silent, because it could not see our pings.
func (s *session) wrote(began time.Time) {
	if time.Since(began) > time.Second {
		s.hear()
	}
}

// silent reports whether the peer was not heard for two heartbeats and what is
// left of the 60 s a peer may take to drain its socket, at the default of 25 s.
func (s *session) silent(now time.Time) bool {
	heartbeat := s.endpoint.config.Heartbeat
	return now.UnixNano()-s.heard.Load() > (2*heartbeat + 2*heartbeat/5).Nanoseconds()
}

// outOfTime ends a connection that did not connect, or whose token expired.
func (s *session) outOfTime() {
	s.mu.Lock()
	connected := s.connected
	s.mu.Unlock()
	if connected {
		s.close(closeExpired, "the token has expired")
	} else {
		s.close(closeUnauthorized, "no connect")
	}
}

// flush writes the gathered frames as one message.
func (s *session) flush(out *outbox) bool {
	release(out.over)
	clear(out.over)
	out.over = out.over[:0]
	if len(out.frames) == 0 {
		return true
	}
	began := time.Now()
	patience := writeDeadline
	if s.deaf() {
		patience = lingerFor
	}
	_ = s.conn.SetWriteDeadline(began.Add(patience)) // never fails
	if err := s.conn.WriteMessage(websocket.TextMessage, out.frames); err != nil {
		return false
	}
	s.endpoint.config.Metrics.messages.Inc()
	s.wrote(began)
	for range out.slots {
		<-s.slots
	}
	for range out.reads {
		<-s.reads
	}
	out.frames, out.slots, out.reads = out.frames[:0], 0, 0
	if cap(out.frames) > 2*messageBytes {
		out.frames = nil // a large answer; do not keep its size for ever
	}
	return true
}

// gather joins what is to be said next into one message: answers first, then
// events. false means there is nothing.
func (s *session) gather(out *outbox) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.replies) > 0 && len(out.frames) < messageBytes {
		r := s.replies[0]
		s.replies[0] = reply{}
		s.replies = s.replies[1:]
		out.add(r.frame)
		if r.slot {
			out.slots++
		}
		if r.read {
			out.reads++
		}
		if f := r.arm; f != nil && !f.ended && s.follows[f.key] == f {
			f.armed = true
			if f.sub.Head() > f.cursor {
				s.queue(f)
			}
		}
	}
	if len(s.replies) == 0 {
		s.replies = nil
	}
	for key := range s.left {
		if key.channel == "" {
			out.add(wire.AppendLeft(nil, key.group))
		} else {
			out.add(wire.AppendRemoved(nil, key.group, key.channel))
		}
		delete(s.left, key)
	}
	out.over = append(out.over, s.over...)
	s.over = nil
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
		s.deliver(f, out)
	}
	s.deliverHeads(out)
	if len(s.dirty) == 0 {
		s.dirty = nil
	}
	for _, frame := range s.signals {
		out.add(frame)
	}
	s.signals = nil
	return len(out.frames) > 0 || len(out.over) > 0
}

// add appends a frame.
func (o *outbox) add(frame []byte) {
	o.separate()
	o.frames = append(o.frames, frame...)
}

func (o *outbox) separate() {
	if len(o.frames) > 0 {
		o.frames = append(o.frames, '\n')
	}
}

// deliver appends one block of a channel and puts the channel at the end of
// the queue if it has more; s.mu is held.
func (s *session) deliver(f *follow, out *outbox) {
	clear(out.entries)
	entries, gap := f.sub.Take(out.entries[:0], f.cursor, wire.BlockEvents, messageBytes)
	out.entries = entries
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
		s.endpoint.config.Metrics.deliveries.Add(float64(len(entries)))
	}
	if f.sub.Head() > f.cursor {
		s.queue(f)
	}
}

// ending returns how to end the connection, nil if it goes on. One that drains
// ends when everything it has taken is answered.
func (s *session) ending() *closing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil && s.draining && len(s.slots) == 0 {
		s.closing = &closing{code: websocket.CloseServiceRestart, reason: "restarting"}
	}
	return s.closing
}

// sayGoodbye writes the close frame and lets the reader wait a little for the
// peer's.
func (s *session) sayGoodbye(end *closing) {
	if end.code == 0 {
		return
	}
	deadline := time.Now().Add(lingerFor)
	data := websocket.FormatCloseMessage(end.code, end.reason)
	_ = s.conn.WriteControl(websocket.CloseMessage, data, deadline) // the peer may be gone
	_ = s.conn.SetReadDeadline(deadline)
}
