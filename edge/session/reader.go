package session

import (
	"errors"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// read takes messages until the connection ends.
func (s *session) read() {
	s.conn.SetReadLimit(wire.MaxFrame)
	s.conn.SetPongHandler(func(string) error {
		s.hear()
		return nil
	})
	s.conn.SetPingHandler(func(data string) error {
		s.hear()
		// A full socket may keep this waiting: only this peer pays.
		err := s.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeDeadline))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	for {
		kind, message, err := s.conn.ReadMessage()
		if err != nil {
			s.readEnded(err)
			return
		}
		s.hear()
		switch {
		case s.deaf():
		case kind != websocket.TextMessage:
			s.close(websocket.CloseUnsupportedData, "this subprotocol is text")
		case !utf8.Valid(message):
			s.close(websocket.CloseInvalidFramePayloadData, "text must be UTF-8")
		default:
			s.takeAll(message)
		}
	}
}

// deaf reports whether what comes is only read to get past it.
func (s *session) deaf() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining || s.closing != nil
}

// readEnded lets the peer take the close frame that gorilla has answered a
// violation with: it must not be overtaken by a reset.
func (s *session) readEnded(err error) {
	var closed *websocket.CloseError
	var timeout net.Error
	if errors.As(err, &closed) || errors.As(err, &timeout) && timeout.Timeout() {
		return // the peer closed or broke off, or the writer set an end
	}
	raw := s.conn.NetConn()
	_ = raw.SetReadDeadline(time.Now().Add(lingerFor)) // at worst there is no linger
	_, _ = io.Copy(io.Discard, raw)
}

func (s *session) takeAll(message []byte) {
	for {
		frame, rest, ok := wire.Next(message)
		if !ok || s.deaf() {
			return
		}
		message = rest
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		s.take(frame)
	}
}

// take does one frame, or puts it into its lane. It holds one slot, which its
// answer frees.
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
		s.connect(id, c)
	default:
		task, err := s.prepare(c, now)
		switch {
		case err != nil:
			metrics.Answered(c.Name, now, err)
			s.refuse(id, err)
		case task.Group == "": // ping
			s.settle(id, s.endpoint.config.Runner.Read(s.ctx, task), reply{})
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

// connect makes the connection a user's. It runs in the reader, so whatever
// comes behind it waits.
func (s *session) connect(id uint64, c wire.Command) {
	now := time.Now()
	who, err := s.endpoint.config.Verifier.Verify(s.ctx, c.Token)
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
	s.connected = true
	s.mu.Unlock()
	if who.Expires.IsZero() {
		s.timer.Stop()
	} else {
		s.timer.Reset(time.Until(who.Expires))
	}
	ok := wire.AppendWelcome(nil, wire.Welcome{
		User: who.User, Device: c.Device, Session: s.id, Time: now.UnixMilli(),
		Heartbeat: s.endpoint.config.Heartbeat, PullLimit: pullLimit, Version: s.endpoint.config.Version,
	})
	s.endpoint.config.Runner.Metrics().Answered(wire.Connect, now, nil)
	s.settle(id, command.Answer{OK: ok}, reply{})
}
