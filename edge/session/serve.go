package session

import (
	"time"

	"github.com/throng/throng/edge/transport"
)

// delivery is what writing needs. Owned by the shard.
type delivery struct {
	timer transport.Timer

	unsent  []byte    // the rest of a frame the socket did not take; at most one
	blocked bool      // the socket takes no more: nothing is written until it does
	since   time.Time // when that began
	owed    settled   // what is settled once unsent is written

	dirty  []*follow // to be served by themselves, each once
	hinted []*follow // dirty ones in mode hint, for the next heads frame

	headsAt time.Time // when the next heads frame may go out
	pingAt  time.Time // when to ping next
	closes  bool      // no events are delivered any more
	said    bool      // the close frame is written
	giveUp  time.Time // when to close whatever is unsaid; zero for not yet
	gone    bool      // closed
}

// settled is what an answer gives back once it is written.
type settled struct {
	slots int // commands that are answered
	reads int // of them, those with large answers
}

// Timer is the session's place in the shard's wheel.
func (s *session) Timer() *transport.Timer { return &s.timer }

// serve writes what a session has to say, as far as its socket takes it.
func (sh *shard) serve(s *session) {
	s.queued.Store(false) // before looking: what comes from here on queues it again
	if s.gone || !sh.unblock(s) {
		return
	}
	for range serveWrites {
		sh.out.reset()
		if !s.gather(&sh.out) {
			sh.conclude(s)
			return
		}
		if !sh.send(s, sh.out.frames, sh.out.settled) {
			return
		}
	}
	s.signal() // others first
}

// send writes finished frames, or the beginning of them, and reports whether
// more may follow.
func (sh *shard) send(s *session, frames []byte, what settled) bool {
	n, err := s.conn.Write(frames)
	switch {
	case err != nil:
		sh.end(s)
		return false
	case n < len(frames):
		s.unsent, s.owed = append([]byte(nil), frames[n:]...), what
		sh.block(s)
		return false
	}
	s.settled(what)
	return true
}

// block notes that a socket takes no more.
func (sh *shard) block(s *session) {
	s.blocked, s.since = true, sh.now
	sh.wheel.Schedule(s, s.since.Add(writeDeadline))
	if s.deaf() {
		sh.hurry(s)
	}
}

// hurry gives a session that ends a last moment for what it has to say.
func (sh *shard) hurry(s *session) {
	if s.giveUp.IsZero() {
		s.giveUp = sh.now.Add(lingerFor)
		sh.wheel.Schedule(s, s.giveUp)
	}
}

// unblock writes what is unsent; false: the socket still takes no more, or is
// gone.
func (sh *shard) unblock(s *session) bool {
	if !s.blocked {
		return true
	}
	if len(s.unsent) > 0 {
		n, err := s.conn.Write(s.unsent)
		if err != nil {
			sh.end(s)
			return false
		}
		if s.unsent = s.unsent[n:]; len(s.unsent) > 0 {
			if _, hungUp := s.ending(); hungUp {
				sh.end(s)
			} else if s.deaf() {
				sh.hurry(s)
			}
			return false
		}
	}
	s.unsent, s.blocked = nil, false
	if sh.now.Sub(s.since) > time.Second {
		s.hear() // it was slow, not silent: it could not see our pings
	}
	what := s.owed
	s.owed = settled{}
	s.settled(what)
	return true
}

// settled gives back what answers held that are written now.
func (s *session) settled(what settled) {
	if what.slots == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outstanding -= what.slots
	for range what.reads {
		s.endRead()
	}
}

// conclude ends what is to end, and notes when to look again.
func (sh *shard) conclude(s *session) {
	s.resumeInput()
	end, hungUp := s.ending()
	if end == nil {
		sh.rest(s)
		return
	}
	s.closes = true
	if end.code != 0 && !s.said {
		s.said = true
		if !sh.send(s, transport.AppendClose(nil, end.code, end.reason), settled{}) {
			return
		}
	}
	if end.code == 0 || hungUp {
		sh.end(s)
		return
	}
	// It waits a little for the peer's close frame.
	sh.hurry(s)
}

// end closes the connection and forgets the session.
func (sh *shard) end(s *session) {
	if s.gone {
		return
	}
	s.gone, s.closes, s.blocked, s.unsent = true, true, false, nil
	s.close(0, "")
	s.mu.Lock()
	for _, list := range [][]*follow{s.follows, s.dropped} {
		for _, f := range list {
			sh.leave(f)
		}
	}
	s.mu.Unlock()
	s.conn.Close() // calls Closed
}

// Closed is called when nothing is read any more.
func (s *session) Closed() { s.shard.ends.Go(s.finish) }

// onTime looks at a session's deadlines.
func (sh *shard) onTime(s *session) {
	if s.gone {
		return
	}
	if !s.giveUp.IsZero() && !sh.now.Before(s.giveUp) {
		sh.end(s)
		return
	}
	if s.blocked {
		if !sh.now.Before(s.since.Add(writeDeadline)) {
			sh.end(s)
			return
		}
	} else if !s.said {
		sh.beat(s)
	}
	s.mu.Lock()
	connected, late := s.connected, !s.ends.IsZero() && !sh.now.Before(s.ends)
	s.mu.Unlock()
	if late {
		s.outOfTime(connected)
	}
	if !s.gone {
		s.signal() // heads may be due
		sh.rest(s)
	}
}

// rest schedules a session's next deadline.
func (sh *shard) rest(s *session) {
	if s.gone {
		return
	}
	next := s.pingAt
	if silent := s.silentAt(); silent.Before(next) {
		next = silent
	}
	if s.blocked {
		next = s.since.Add(writeDeadline)
	}
	if !s.giveUp.IsZero() && s.giveUp.Before(next) {
		next = s.giveUp
	}
	s.mu.Lock()
	ends := s.ends
	s.mu.Unlock()
	if !ends.IsZero() && sh.now.Before(ends) && ends.Before(next) {
		next = ends
	}
	if len(s.hinted) > 0 && s.headsAt.Before(next) {
		next = s.headsAt
	}
	sh.wheel.Schedule(s, next)
}

// beat closes a silent peer and pings another when it is time.
func (sh *shard) beat(s *session) {
	if !sh.now.Before(s.silentAt()) {
		s.close(closeSilent, "silent")
		return
	}
	if sh.now.Before(s.pingAt) {
		return
	}
	s.pingAt = sh.now.Add(s.endpoint.config.Heartbeat)
	sh.send(s, pingFrame, settled{})
}

var pingFrame = transport.AppendFrame(nil, transport.Ping, nil)

// silentAt is when a peer is silent from which nothing more is heard: after two
// heartbeats and what is left of the 60 s a peer may take to drain its socket,
// at the default of 25 s.
func (s *session) silentAt() time.Time {
	heartbeat := s.endpoint.config.Heartbeat
	return time.Unix(0, s.heard.Load()).Add(2*heartbeat + 2*heartbeat/5)
}

// outOfTime ends a connection that did not connect, or whose token expired.
func (s *session) outOfTime(connected bool) {
	if connected {
		s.close(closeExpired, "the token has expired")
	} else {
		s.close(closeUnauthorized, "no connect")
	}
}
