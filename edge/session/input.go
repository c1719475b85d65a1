package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/edge/transport"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// Input takes what the peer sent. When as many commands are outstanding as may
// be, or a token is being verified, it keeps the rest and refuses more: then the
// connection reads no further until [session.resumeInput].
func (s *session) Input(p []byte) (more bool) {
	if s.held != nil { // nothing new comes before it is taken
		p, s.held = s.held, nil
	}
	for {
		if !s.takeAll() {
			s.held = bytes.Clone(p)
			return false
		}
		if s.broken {
			return true // read only so that the close frame is not lost
		}
		m, rest, err := s.decoder.Next(p)
		if err != nil {
			s.violated(err)
			return true
		}
		if m.Kind == 0 {
			return true
		}
		p = rest
		s.hear()
		s.receive(m)
	}
}

// violated closes with the code for what the peer did.
func (s *session) violated(err error) {
	s.broken = true
	s.decoder = transport.Decoder{}
	var violation *transport.Violation
	if errors.As(err, &violation) {
		s.close(violation.Code, violation.Reason)
	}
}

// receive takes one message or control frame.
func (s *session) receive(m transport.Message) {
	switch m.Kind {
	case transport.Text:
		if !s.deaf() {
			s.message = m.Payload
		}
	case transport.Binary:
		if !s.deaf() {
			s.close(websocket.CloseUnsupportedData, "this subprotocol is text")
		}
	case transport.Ping:
		// Only the newest is answered, so that pings cost no memory.
		s.mu.Lock()
		s.pong = append(make([]byte, 0, len(m.Payload)), m.Payload...)
		s.mu.Unlock()
		s.signal()
	case transport.Close:
		s.broken = true // nothing comes behind it
		s.hangUp(m.CloseCode())
	}
}

// Ended is called when the peer ended the connection without a word.
func (s *session) Ended(error) { s.hangUp(0) }

// Writable is called when the socket takes more.
func (s *session) Writable() { s.signal() }

// takeAll takes the frames of the message that was read; false: some have to
// wait.
func (s *session) takeAll() bool {
	for len(s.message) > 0 {
		frame, rest, ok := wire.Next(s.message)
		if !ok || s.deaf() {
			break
		}
		if !s.admit() {
			return false
		}
		s.message = rest
		s.take(frame)
	}
	s.message = nil
	return true
}

// admit counts one more outstanding command; false: not now.
func (s *session) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil && (s.outstanding >= maxOutstanding || s.verifying) {
		s.stalled = true
		return false
	}
	s.outstanding++
	return true
}

// resumeInput goes on with what was refused, if something was.
func (s *session) resumeInput() {
	s.mu.Lock()
	resume := s.stalled && !s.verifying && (s.outstanding < maxOutstanding || s.closing != nil)
	if resume {
		s.stalled = false
	}
	s.mu.Unlock()
	if resume {
		s.conn.Resume()
	}
}

// take does one frame, or puts it into its lane. It is counted as outstanding
// until its answer is written.
func (s *session) take(frame []byte) {
	now := time.Now()
	id, c, err := wire.ParseFrame(frame)
	metrics := s.endpoint.config.Runner.Metrics()
	switch {
	case s.device.user == "" && (err != nil || c.Name != wire.Connect):
		if err == nil {
			err = streams.Reject(streams.Unauthorized, "the first command is connect")
		}
		s.refuse(id, err)
		s.close(closeUnauthorized, "the first command is connect")
	case err != nil:
		metrics.Answered(c.Name, now, err)
		s.refuse(id, err)
	case c.Name == wire.Connect && s.device.user != "":
		err = streams.Reject(streams.BadRequest, "this connection is connected")
		metrics.Answered(c.Name, now, err)
		s.refuse(id, err)
	case c.Name == wire.Connect:
		s.mu.Lock()
		s.verifying = true
		s.mu.Unlock()
		s.do(func(ctx context.Context) { s.connect(ctx, id, c) })
	default:
		task, err := s.prepare(c, now)
		switch {
		case err != nil:
			metrics.Answered(c.Name, now, err)
			s.refuse(id, err)
		case task.Group == "": // ping
			s.settle(id, s.endpoint.config.Runner.Read(s.endpoint.life, task), reply{})
		default:
			s.enqueue(item{id: id, task: task})
		}
	}
}

// prepare makes a task of a command, unless the connection asks too fast.
func (s *session) prepare(c wire.Command, now time.Time) (*command.Task, error) {
	if err := s.bucket.Take(); err != nil {
		return nil, err
	}
	return s.endpoint.config.Runner.Prepare(s.caller, c, now)
}

// connect makes the connection a user's. Keys may have to be fetched for that,
// so it has a goroutine, and whatever comes behind it waits in the input.
func (s *session) connect(ctx context.Context, id uint64, c wire.Command) {
	s.verify(ctx, id, c)
	s.mu.Lock()
	s.verifying = false
	s.mu.Unlock()
	s.resumeInput()
}

func (s *session) verify(ctx context.Context, id uint64, c wire.Command) {
	now := time.Now()
	who, err := s.endpoint.config.Verifier.Verify(ctx, c.Token)
	if err != nil {
		code := closeUnauthorized
		if errors.Is(err, token.ErrExpired) {
			code = closeExpired
		}
		refused := streams.Reject(streams.Unauthorized, "%v", err)
		s.endpoint.config.Runner.Metrics().Answered(wire.Connect, now, refused)
		s.refuse(id, refused)
		s.close(code, err.Error())
		return
	}
	s.caller = command.Caller{User: who.User, Server: who.Server}
	if !who.Server {
		s.bucket = s.endpoint.config.Runner.Limits().Connection()
	}
	if !s.endpoint.count(s, who) {
		refused := streams.RejectRetry(streams.RateLimited, byeMax, "you have too many connections")
		s.endpoint.config.Runner.Metrics().Answered(wire.Connect, now, refused)
		s.refuse(id, refused)
		s.close(closeTooMany, "too many connections")
		return
	}
	s.device = deviceKey{user: who.User, device: c.Device}
	if c.Device != "" {
		if previous := s.endpoint.register(s, s.device); previous != nil {
			previous.close(closeReplaced, "replaced")
		}
	}
	s.mu.Lock()
	s.connected, s.ends = true, who.Expires
	s.mu.Unlock()
	ok := wire.AppendWelcome(nil, wire.Welcome{
		User: who.User, Device: c.Device, Session: uuid.NewString(), Time: now.UnixMilli(),
		Heartbeat: s.endpoint.config.Heartbeat, PullLimit: pullLimit, Version: s.endpoint.config.Version,
	})
	s.endpoint.config.Runner.Metrics().Answered(wire.Connect, now, nil)
	s.settle(id, command.Answer{OK: ok}, reply{})
}
