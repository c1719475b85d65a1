//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/throng/throng/streams"
)

// token is what the edges take for a user.
func token(user string) (string, error) {
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtSecret))
}

// wireEvent is an event as the edge sends it.
type wireEvent struct {
	Group    string          `json:"group"`
	Channel  string          `json:"channel"`
	V        uint64          `json:"v"`
	N        uint64          `json:"n"`
	Seq      uint64          `json:"seq"`
	Kind     string          `json:"kind"`
	User     string          `json:"user"`
	ClientID string          `json:"client_id"`
	Body     json.RawMessage `json:"body"`
}

func (w wireEvent) entry() Entry {
	e := Entry{Channel: Channel{w.Group, w.Channel}, V: w.V, N: w.N, Seq: w.Seq, Kind: w.Kind, User: w.User, ID: strings.ToLower(w.ClientID)}
	_ = json.Unmarshal(w.Body, &e.Body) // what is no text stays empty, and differs
	return e
}

func entries(events []wireEvent) (list []Entry) {
	for _, e := range events {
		list = append(list, e.entry())
	}
	return list
}

type frame struct {
	ID    *uint64         `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *refusal        `json:"error"`
	Block *struct {
		Events []wireEvent `json:"events"`
	} `json:"block"`
	Gap *struct {
		Group   string `json:"group"`
		Channel string `json:"channel"`
		Range
	} `json:"gap"`
}

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	RetryMS int64  `json:"retry_ms"`
	Current map[string]struct {
		Value string `json:"value"`
		V     uint64 `json:"v"`
	} `json:"current"` // of a conflict: the attributes as they are
}

// away reports that what was asked cannot be answered now, and may be later.
func (r *refusal) away() bool {
	code := streams.Code(r.Code)
	return code == streams.Unavailable || code == streams.HistoryUnavailable
}

// Error implements [error].
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

var (
	errBroken = errors.New("the connection broke")
	errSilent = errors.New("no answer in time")
)

// connection is one WebSocket. Calls may come from any goroutine.
type connection struct {
	socket *websocket.Conn
	hear   func(frame)   // called by the reading goroutine with what has no id; may be nil
	nap    func()        // called by the reading goroutine before each read; may be nil
	closed chan struct{} // closed by close

	mu      sync.Mutex
	next    uint64             // guarded by mu
	waiting map[uint64]*waiter // guarded by mu; nil once the connection is over
	ended   chan struct{}      // closed by the reading goroutine as it ends
}

// waiter is a command without its answer yet.
type waiter struct {
	seen   func(frame) // called by the reading goroutine before it reads on; may be nil
	answer chan frame  // holds one; closed if the connection ends first
}

// dial connects as a user.
func dial(ctx context.Context, listen, user string, hear func(frame)) (*connection, error) {
	return dialSlow(ctx, listen, user, hear, nil)
}

// dialSlow is dial for who does not always read: with drowsy set, the sockets
// hold little.
func dialSlow(ctx context.Context, listen, user string, hear func(frame), drowsy *drowsy) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	dialer := websocket.Dialer{Subprotocols: []string{"throng.v1.json"}}
	if drowsy != nil {
		dialer.NetDialContext = dialSmall
	}
	socket, answer, err := dialer.DialContext(ctx, "ws://"+listen+"/v1/ws", nil)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	c := &connection{socket: socket, hear: hear, waiting: map[uint64]*waiter{}, ended: make(chan struct{}), closed: make(chan struct{})}
	if drowsy != nil {
		c.nap = func() { drowsy.nap(c.closed) }
	}
	go c.read() // ends with the connection; close waits for it
	signed, err := token(user)
	if err == nil {
		err = c.call("connect", map[string]any{"token": signed}, nil, 3*time.Second)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

func (c *connection) close() {
	close(c.closed)
	_ = c.socket.Close()
	<-c.ended
}

func (c *connection) read() {
	defer close(c.ended)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, w := range c.waiting {
			close(w.answer)
		}
		c.waiting = nil
	}()
	for {
		if c.nap != nil {
			c.nap()
		}
		_, data, err := c.socket.ReadMessage()
		if err != nil {
			return
		}
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			var f frame
			if json.Unmarshal(line, &f) != nil {
				return // no server of ours: what waits is unknown
			}
			switch {
			case f.ID == nil && c.hear != nil:
				c.hear(f)
			case f.ID != nil:
				c.mu.Lock()
				w := c.waiting[*f.ID]
				delete(c.waiting, *f.ID)
				c.mu.Unlock()
				if w == nil {
					continue // given up
				}
				if w.seen != nil {
					w.seen(f)
				}
				w.answer <- f
			}
		}
	}
}

// begin sends a command.
func (c *connection) begin(command string, arguments any, seen func(frame)) (*waiter, error) {
	w := &waiter{seen: seen, answer: make(chan frame, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return nil, errBroken
	}
	c.next++
	data, err := json.Marshal(map[string]any{"id": c.next, command: arguments})
	if err != nil {
		return nil, err
	}
	c.waiting[c.next] = w
	_ = c.socket.SetWriteDeadline(time.Now().Add(3 * time.Second)) // a frozen edge reads nothing
	if err := c.socket.WriteMessage(websocket.TextMessage, data); err != nil {
		delete(c.waiting, c.next)
		return nil, errBroken
	}
	return w, nil
}

// end waits for an answer and decodes it into ok, which may be nil. Errors are
// a [*refusal], [errBroken] or [errSilent].
func (w *waiter) end(ok any, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case f, answered := <-w.answer:
		switch {
		case !answered:
			return errBroken
		case f.Error != nil:
			return f.Error
		case ok != nil:
			return json.Unmarshal(f.OK, ok)
		}
		return nil
	case <-timer.C:
		return errSilent
	}
}

func (c *connection) call(command string, arguments, ok any, patience time.Duration) error {
	w, err := c.begin(command, arguments, nil)
	if err != nil {
		return err
	}
	return w.end(ok, patience)
}
