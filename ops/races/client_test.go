package races

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// object is a JSON object of the contract.
type object map[string]any

// event is what the checkers look at.
type event struct {
	V    uint64 `json:"v"`
	Seq  uint64 `json:"seq"`
	Kind string `json:"kind"`
	Key  string `json:"key"`
}

// refusal is an error answer.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Current map[string]struct {
		Value string `json:"value"`
		V     uint64 `json:"v"`
	} `json:"current"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// frame is anything a server says.
type frame struct {
	ID    uint64          `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *refusal        `json:"error"`
	Block *struct {
		Channel string  `json:"channel"`
		Events  []event `json:"events"`
	} `json:"block"`
	Heads        []object `json:"heads"`
	Conversation *struct {
		Left bool `json:"left"`
	} `json:"conversation"`
	at time.Time // when it was read
}

// client is one connection. Its methods may be called from any goroutine.
type client struct {
	conn  *websocket.Conn
	heard func(frame) // called by the reader with what the server says by itself; may be nil

	mu      sync.Mutex
	next    uint64                // guarded by mu
	waiting map[uint64]chan frame // each holds one; nil when the connection is over; guarded by mu

	ended chan struct{} // closed by the reader when the connection is over
}

var errEnded = errors.New("the connection is over")

// connect opens a connection that ends with the test, if not before.
func connect(t testing.TB, listen, token string, heard func(frame)) *client {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"throng.v1.json"}, HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(t.Context(), "ws://"+listen+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	c := &client{conn: conn, heard: heard, waiting: map[uint64]chan frame{}, ended: make(chan struct{})}
	go c.read()
	t.Cleanup(c.close)
	c.must(t, "connect", object{"token": token}, nil)
	return c
}

func (c *client) close() {
	_ = c.conn.Close()
	<-c.ended
}

// read is the connection's only reader.
func (c *client) read() {
	defer close(c.ended)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, answer := range c.waiting {
			close(answer)
		}
		c.waiting = nil
	}()
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		now := time.Now()
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			f := frame{at: now}
			if json.Unmarshal(line, &f) != nil {
				return // its waiting calls say so
			}
			if f.ID == 0 {
				if c.heard != nil {
					c.heard(f)
				}
				continue
			}
			c.mu.Lock()
			answer := c.waiting[f.ID]
			delete(c.waiting, f.ID)
			c.mu.Unlock()
			if answer != nil {
				answer <- f
			}
		}
	}
}

// begin sends a command; its answer comes, or the channel is closed.
func (c *client) begin(command string, o object) (<-chan frame, error) {
	answer := make(chan frame, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return nil, errEnded
	}
	c.next++
	c.waiting[c.next] = answer
	if err := c.conn.WriteJSON(object{"id": c.next, command: o}); err != nil {
		return nil, fmt.Errorf("send %s: %w", command, err)
	}
	return answer, nil
}

// call does a command. Errors are a [*refusal], or that no answer came.
func (c *client) call(ctx context.Context, command string, o object, ok any) error {
	answer, err := c.begin(command, o)
	if err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case f, came := <-answer:
		switch {
		case !came:
			return errEnded
		case f.Error != nil:
			return f.Error
		case ok == nil:
			return nil
		}
		return json.Unmarshal(f.OK, ok)
	case <-timer.C:
		return fmt.Errorf("%s: no answer within %v", command, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// must does a command that is not refused.
func (c *client) must(t testing.TB, command string, o object, ok any) {
	t.Helper()
	if err := c.call(t.Context(), command, o, ok); err != nil {
		t.Fatalf("%s %v: %v", command, o, err)
	}
}
