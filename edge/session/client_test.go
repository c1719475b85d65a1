package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge"
)

const patience = 15 * time.Second

// event is what the tests look at.
type event struct {
	V, N uint64
	Kind string
	User string
	Body json.RawMessage
}

type gap struct{ After, Upto uint64 }

type head struct {
	Group, Channel string
	V, N           uint64
	Mention        bool
	Members        uint64
}

// frame is anything the server says.
type frame struct {
	ID    uint64
	OK    json.RawMessage
	Error *struct {
		Code    string
		Message string
		RetryMS int64 `json:"retry_ms"`
	}
	Block *struct {
		Group, Channel string
		Events         []event
	}
	Gap *struct {
		Group, Channel string
		After, Upto    uint64
	}
	Heads        []head
	Conversation *struct {
		Group, Channel string
		Left           bool
	}
	Signal *struct {
		Group, Channel, User, Type string
		Data                       json.RawMessage
	}
	Bye *struct {
		Reason  string
		RetryMS int64 `json:"retry_ms"`
	}
}

// client is a WebSocket client that reads only when told.
type client struct {
	t      testing.TB
	conn   *websocket.Conn
	lastID uint64
	queue  []frame // read and not yet returned
	pushed []frame // without id, passed over while waiting for an answer
	keep   bool    // everything that is read, in heard
	heard  []string
}

func dial(t testing.TB, e *edge.Edge, protocols ...string) *client {
	t.Helper()
	return dialed(t, e, websocket.Dialer{Subprotocols: protocols})
}

func dialed(t testing.TB, e *edge.Edge, dialer websocket.Dialer) *client {
	t.Helper()
	dialer.HandshakeTimeout = patience
	conn, response, err := dialer.Dial("ws://"+e.Addr().String()+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn}
}

// narrow is a client of a user whose socket takes little unread.
func narrow(t testing.TB, e *edge.Edge, user string) *client {
	t.Helper()
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(128 << 10)
		}
		return conn, err
	}}
	c := dialed(t, e, dialer)
	c.ok("connect", `{"token":"dev:`+user+`"}`)
	return c
}

// connected is a client of a user.
func connected(t testing.TB, e *edge.Edge, user string) *client {
	t.Helper()
	c := dial(t, e, "throng.v1.json")
	c.ok("connect", `{"token":"dev:`+user+`"}`)
	return c
}

func (c *client) write(text string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// ask sends a command and returns its id.
func (c *client) ask(command, object string) uint64 {
	c.t.Helper()
	c.lastID++
	c.write(fmt.Sprintf(`{"id":%d,"%s":%s}`, c.lastID, command, object))
	return c.lastID
}

// read returns the next frame.
func (c *client) read() (frame, error) {
	for len(c.queue) == 0 {
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return frame{}, err
		}
		if c.keep {
			c.heard = append(c.heard, string(message))
		}
		for _, line := range strings.Split(string(message), "\n") {
			var f frame
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				return frame{}, fmt.Errorf("%q: %w", line, err)
			}
			c.queue = append(c.queue, f)
		}
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f, nil
}

// answer returns the answer to a command; what the server says by itself
// before it is kept.
func (c *client) answer(id uint64) frame {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for the answer to %d: %v", id, err)
		}
		if f.ID == id && (f.OK != nil || f.Error != nil) {
			return f
		}
		c.pushed = append(c.pushed, f)
	}
}

// ok does a command that must succeed and returns what it answered.
func (c *client) ok(command, object string) map[string]any {
	c.t.Helper()
	return c.okAnswer(c.ask(command, object))
}

func (c *client) okAnswer(id uint64) map[string]any {
	c.t.Helper()
	f := c.answer(id)
	if f.Error != nil {
		c.t.Fatalf("command %d: %+v", id, *f.Error)
	}
	var ok map[string]any
	if err := json.Unmarshal(f.OK, &ok); err != nil {
		c.t.Fatal(err)
	}
	return ok
}

// code does a command that must be refused.
func (c *client) code(command, object string) string {
	c.t.Helper()
	f := c.answer(c.ask(command, object))
	if f.Error == nil {
		c.t.Fatalf("%s %s was done: %s", command, object, f.OK)
	}
	return f.Error.Code
}

// push returns the next frame the server says by itself.
func (c *client) push() frame {
	c.t.Helper()
	if len(c.pushed) > 0 {
		f := c.pushed[0]
		c.pushed = c.pushed[1:]
		return f
	}
	f, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// closed reads on until the connection is closed and returns the code.
func (c *client) closed() int {
	c.t.Helper()
	for {
		f, err := c.read()
		if err == nil {
			c.pushed = append(c.pushed, f)
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			c.t.Fatalf("ended without a close frame: %v", err)
		}
		return closed.Code
	}
}

// follower checks what is delivered of one channel.
type follower struct {
	t      testing.TB
	v      uint64 // last delivered
	gaps   []gap
	events []event
}

// take takes a pushed frame; what is no delivery is left.
func (f *follower) take(p frame) {
	f.t.Helper()
	switch {
	case p.Gap != nil:
		if p.Gap.After != f.v {
			f.t.Fatalf("gap after %d, but %d was the last delivered", p.Gap.After, f.v)
		}
		f.gaps = append(f.gaps, gap{p.Gap.After, p.Gap.Upto})
		f.v = p.Gap.Upto
	case p.Block != nil:
		if n := len(p.Block.Events); n == 0 || n > 10 {
			f.t.Fatalf("a block of %d events", n)
		}
		for _, e := range p.Block.Events {
			if e.V != f.v+1 {
				f.t.Fatalf("v %d delivered behind v %d", e.V, f.v)
			}
			f.v = e.V
			f.events = append(f.events, e)
		}
	}
}
