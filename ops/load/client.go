package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// client is one connection. A goroutine reads it; calls may come from any.
type client struct {
	conn    *websocket.Conn
	onEvent func(event) // called by the reading goroutine
	onGap   func(gap)

	mu      sync.Mutex // guards writes, next and waiting
	next    uint64
	waiting map[uint64]chan frame // each holds one

	done chan struct{} // closed when reading has ended
	err  error         // why; read after done
}

type event struct {
	Channel string          `json:"channel"`
	V       uint64          `json:"v"`
	N       uint64          `json:"n"`
	Kind    string          `json:"kind"`
	Body    json.RawMessage `json:"body"`
}

type gap struct {
	After uint64 `json:"after"`
	Upto  uint64 `json:"upto"`
}

type frame struct {
	ID    uint64          `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *refusal        `json:"error"`
	Block *struct {
		Events []event `json:"events"`
	} `json:"block"`
	Gap *gap `json:"gap"`
}

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	RetryMS int64  `json:"retry_ms"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// dial connects and names itself. It returns when the server has accepted.
func dial(ctx context.Context, url, token string, onEvent func(event), onGap func(gap)) (*client, error) {
	dialer := websocket.Dialer{
		Subprotocols: []string{"throng.v1.json"}, HandshakeTimeout: 20 * time.Second,
		ReadBufferSize: 4096, WriteBufferSize: 1024, WriteBufferPool: &writeBuffers,
	}
	conn, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	_ = response.Body.Close()
	c := &client{conn: conn, onEvent: onEvent, onGap: onGap, waiting: map[uint64]chan frame{}, done: make(chan struct{})}
	go c.read() // ends when the connection is closed; close waits
	if _, err := c.call(ctx, "connect", map[string]string{"token": token}); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

var writeBuffers sync.Pool

func (c *client) read() {
	defer close(c.done)
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			c.fail(err)
			return
		}
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			var f frame
			if err := json.Unmarshal(line, &f); err != nil {
				c.fail(fmt.Errorf("frame %.80q: %w", line, err))
				return
			}
			c.take(f)
		}
	}
}

func (c *client) take(f frame) {
	switch {
	case f.Block != nil:
		for _, e := range f.Block.Events {
			c.onEvent(e)
		}
	case f.Gap != nil:
		c.onGap(*f.Gap)
	case f.ID != 0:
		c.mu.Lock()
		answer := c.waiting[f.ID]
		delete(c.waiting, f.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- f
		}
	}
}

func (c *client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for id, answer := range c.waiting {
		close(answer)
		delete(c.waiting, id)
	}
	c.waiting = nil
}

var errClosed = errors.New("the connection is closed")

// call sends a command and waits for its answer.
func (c *client) call(ctx context.Context, command string, body any) (json.RawMessage, error) {
	answer := make(chan frame, 1)
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return nil, errClosed
	}
	c.next++
	id := c.next
	c.waiting[id] = answer
	err := c.conn.WriteJSON(map[string]any{"id": id, command: body})
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	select {
	case f, ok := <-answer:
		switch {
		case !ok:
			return nil, errClosed
		case f.Error != nil:
			return nil, f.Error
		}
		return f.OK, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *client) close() {
	_ = c.conn.Close()
	<-c.done
}
