package describe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/wire"
)

// socket is a connection whose every frame is held against the description.
type socket struct {
	t        testing.TB
	contract *describetest.Contract
	conn     *websocket.Conn
	asked    []string        // commands, by id
	heard    map[string]bool // first keys of frames without id
}

// listen connects as a user.
func listen(t testing.TB, e *edge.Edge, c *describetest.Contract, user string) *socket {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial("ws://"+e.Addr().String()+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	s := &socket{t: t, contract: c, conn: conn, asked: []string{""}, heard: map[string]bool{}}
	s.ask("connect", `{"token":"dev:`+user+`","device":"d"}`)
	return s
}

func (s *socket) subscribe(channels ...string) {
	s.t.Helper()
	for _, channel := range channels {
		s.ask("subscribe", fmt.Sprintf(`{"group":"g","channel":%q,"tail":10}`, channel))
	}
	s.ask("subscribe", `{"group":"g","channel":"c","mode":"hint"}`)
	s.ask("send", `{"group":"g","channel":"c","body":"for a head"}`)
	for !s.heard["heads"] {
		s.take()
	}
	s.ask("subscribe", `{"group":"g","channel":"c","mode":"push","after":0}`)
	s.ask("subscribe", `{"group":"none","channel":"c"}`)
}

func (s *socket) unsubscribe(channel string) {
	s.t.Helper()
	s.ask("unsubscribe", fmt.Sprintf(`{"group":"g","channel":%q}`, channel))
}

// ask sends a command and takes frames until it is answered.
func (s *socket) ask(command, object string) {
	s.t.Helper()
	frame := fmt.Appendf(nil, `{"id":%d,%q:%s}`, len(s.asked), command, object)
	if err := s.contract.Message(command+"_command", frame); err != nil {
		s.t.Error(err)
	}
	s.asked = append(s.asked, command)
	if err := s.conn.WriteMessage(websocket.TextMessage, frame); err != nil {
		s.t.Fatal(err)
	}
	for !s.take() {
	}
}

// take reads one message; answered reports whether the newest command was.
func (s *socket) take() (answered bool) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	_, message, err := s.conn.ReadMessage()
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		frame, rest, ok := wire.Next(message)
		if !ok {
			return answered
		}
		message = rest
		answered = s.check(bytes.Clone(frame)) || answered
	}
}

func (s *socket) check(frame []byte) (answered bool) {
	s.t.Helper()
	if err := s.contract.Frame(frame, func(id uint64) string { return s.asked[id] }); err != nil {
		s.t.Error(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(frame, &keys); err != nil {
		s.t.Fatal(err)
	}
	if id := keys["id"]; id != nil {
		return string(id) == fmt.Sprint(len(s.asked)-1)
	}
	for key := range keys {
		s.heard[key] = true
	}
	return false
}

// end takes what is left until the server says goodbye.
func (s *socket) end(kinds ...string) {
	s.t.Helper()
	for !s.heard["bye"] {
		s.take()
	}
	for _, kind := range kinds {
		if !s.heard[kind] {
			s.t.Errorf("there was no %s frame", kind)
		}
	}
}
