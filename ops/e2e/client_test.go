//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// object is a JSON object of the contract.
type object map[string]any

// number reads an integer.
func (o object) number(key string) uint64 {
	n, _ := o[key].(float64)
	return uint64(n)
}

func (o object) text(key string) string {
	s, _ := o[key].(string)
	return s
}

// code is the error code of a refusal over HTTP, empty for none.
func (o object) code() string {
	refusal, _ := o["error"].(map[string]any)
	return object(refusal).text("code")
}

func encode(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// event is one event as clients get it; raw is all of it.
type event struct {
	Group    string          `json:"group"`
	Channel  string          `json:"channel"`
	V        uint64          `json:"v"`
	N        uint64          `json:"n"`
	Seq      uint64          `json:"seq"`
	Kind     string          `json:"kind"`
	TS       int64           `json:"ts"`
	User     string          `json:"user"`
	ClientID string          `json:"client_id"`
	Type     string          `json:"type"`
	Body     json.RawMessage `json:"body"`
	Member   string          `json:"member"`
	raw      string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (e *event) UnmarshalJSON(data []byte) error {
	type plain event
	if err := json.Unmarshal(data, (*plain)(e)); err != nil {
		return err
	}
	e.raw = string(data)
	return nil
}

// text is the body of a message of type text.
func (e *event) text() string {
	var s string
	_ = json.Unmarshal(e.Body, &s) // an object is no text: empty
	return s
}

// refusal is an error answer.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	RetryMS int64  `json:"retry_ms"`
}

// Error implements [error].
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// place names a channel.
type place struct{ group, channel string }

// missing is after < v <= upto.
type missing struct {
	After uint64 `json:"after"`
	Upto  uint64 `json:"upto"`
}

// frame is anything a server sends.
type frame struct {
	ID    *uint64         `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *refusal        `json:"error"`
	Block *struct {
		Group   string   `json:"group"`
		Channel string   `json:"channel"`
		Events  []*event `json:"events"`
	} `json:"block"`
	Gap *struct {
		Group   string `json:"group"`
		Channel string `json:"channel"`
		missing
	} `json:"gap"`
	Heads        json.RawMessage `json:"heads"`
	Conversation object          `json:"conversation"`
	Bye          object          `json:"bye"`
}

// subscribed is the answer to subscribe.
type subscribed struct {
	V      uint64   `json:"v"`
	N      uint64   `json:"n"`
	Log    string   `json:"log"`
	Events []*event `json:"events"`
	Gap    *missing `json:"gap"`
}

// pulled is the answer to pull.
type pulled struct {
	Events  []*event `json:"events"`
	Through uint64   `json:"through"`
	More    bool     `json:"more"`
}

// feed is what a subscription delivered, and the checker of it.
type feed struct {
	base   uint64 // v of the subscribe answer
	last   uint64 // newest v delivered or announced as a gap
	n, seq uint64 // of the newest event delivered; n 0 where a gap hides it
	events []*event
	gaps   []missing
}

// take checks one delivered event.
func (f *feed) take(e *event) error {
	switch {
	case e.V <= f.base:
		return fmt.Errorf("%s/%s: v %d was delivered, at or below the answer's v %d", e.Group, e.Channel, e.V, f.base)
	case e.V <= f.last:
		return fmt.Errorf("%s/%s: v %d was delivered after v %d", e.Group, e.Channel, e.V, f.last)
	case e.V != f.last+1:
		return fmt.Errorf("%s/%s: v jumped from %d to %d without a gap frame", e.Group, e.Channel, f.last, e.V)
	case e.Seq <= f.seq:
		return fmt.Errorf("%s/%s: v %d has seq %d, not above %d", e.Group, e.Channel, e.V, e.Seq, f.seq)
	}
	if f.n != unknownNumber {
		want := f.n
		if e.Kind == "message" {
			want++
		}
		if e.N != want {
			return fmt.Errorf("%s/%s: v %d (%s) has n %d, want %d", e.Group, e.Channel, e.V, e.Kind, e.N, want)
		}
	}
	f.last, f.n, f.seq = e.V, e.N, e.Seq
	f.events = append(f.events, e)
	return nil
}

// skip checks an announced gap.
func (f *feed) skip(m missing) error {
	if m.After != f.last || m.Upto <= m.After {
		return fmt.Errorf("a gap frame says %d < v <= %d, after v %d was delivered", m.After, m.Upto, f.last)
	}
	f.last, f.n = m.Upto, unknownNumber
	f.gaps = append(f.gaps, m)
	return nil
}

const unknownNumber = 1 << 60

// client is one WebSocket connection. Its methods may be called from any
// goroutine.
type client struct {
	user string
	conn *websocket.Conn

	mu       sync.Mutex
	next     uint64                   // guarded by mu: the last id used
	waiting  map[uint64]*waiter       // guarded by mu
	feeds    map[place]*feed          // guarded by mu
	left     map[place]bool           // guarded by mu: unsubscribed
	problems []error                  // guarded by mu: what the server did wrong
	frames   map[string][]object      // guarded by mu: conversation and bye frames
	ended    chan struct{}            // closed by the reader when the connection is over
	why      error                    // why; valid once ended is closed
	patience time.Duration            // for one answer
	observe  func(place, uint64, int) // called under mu with each block: place, newest v, events; may be nil
}

// waiter is a command without its answer yet.
type waiter struct {
	seen   func(frame) // called by the reader before it reads on; may be nil
	answer chan frame  // holds one
}

// dial opens a connection and connects as a user, without a test to fail.
func dial(ctx context.Context, listen, token string) (*client, error) {
	conn, err := open(ctx, listen)
	if err != nil {
		return nil, err
	}
	c := &client{
		conn: conn, waiting: map[uint64]*waiter{}, feeds: map[place]*feed{}, left: map[place]bool{},
		frames: map[string][]object{}, ended: make(chan struct{}), patience: patience,
	}
	go c.read()
	var welcome object
	if err := c.call("connect", object{"token": token}, &welcome); err != nil {
		c.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	c.user = welcome.text("user")
	return c, nil
}

// open opens a WebSocket and says nothing.
func open(ctx context.Context, listen string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"throng.v1.json"}, HandshakeTimeout: 10 * time.Second}
	conn, answer, err := dialer.DialContext(ctx, "ws://"+listen+"/v1/ws", http.Header{})
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close()
	}
	return conn, err
}

// connect opens a connection that ends with the test. What the server did
// wrong on it fails the test.
func connect(t testing.TB, listen, token string) *client {
	t.Helper()
	c, err := dial(t.Context(), listen, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.close()
		c.check(t)
	})
	return c
}

func (c *client) close() {
	_ = c.conn.Close()
	<-c.ended
}

// check reports what the server did wrong.
func (c *client) check(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, problem := range c.problems {
		if i == 10 {
			t.Errorf("client of %s: and %d more problems", c.user, len(c.problems)-i)
			return
		}
		t.Errorf("client of %s: %v", c.user, problem)
	}
}

// read is the connection's only reader. It ends with the connection.
func (c *client) read() {
	defer close(c.ended)
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			c.mu.Lock()
			c.why = err
			for _, w := range c.waiting {
				close(w.answer)
			}
			c.waiting = map[uint64]*waiter{}
			c.mu.Unlock()
			return
		}
		for _, line := range bytes.Split(data, []byte("\n")) {
			var f frame
			if err := json.Unmarshal(line, &f); err != nil {
				c.wrong(fmt.Errorf("a frame is no JSON: %w: %q", err, line))
				continue
			}
			c.handle(f, line)
		}
	}
}

func (c *client) wrong(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, err)
}

func (c *client) handle(f frame, line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.ID != nil:
		w := c.waiting[*f.ID]
		if w == nil {
			c.problems = append(c.problems, fmt.Errorf("an answer nobody waits for: %s", line))
			return
		}
		delete(c.waiting, *f.ID)
		if w.seen != nil {
			w.seen(f)
		}
		w.answer <- f
	case f.Block != nil:
		c.block(f)
	case f.Gap != nil:
		at := place{f.Gap.Group, f.Gap.Channel}
		switch feed := c.feeds[at]; {
		case feed == nil && !c.left[at]:
			c.problems = append(c.problems, fmt.Errorf("a gap in a channel nobody subscribed to: %s", line))
		case feed != nil:
			if err := feed.skip(f.Gap.missing); err != nil {
				c.problems = append(c.problems, fmt.Errorf("%v: %w", at, err))
			}
		}
	case f.Conversation != nil:
		c.frames["conversation"] = append(c.frames["conversation"], f.Conversation)
	case f.Bye != nil:
		c.frames["bye"] = append(c.frames["bye"], f.Bye)
	case f.Heads != nil:
	default:
		c.problems = append(c.problems, fmt.Errorf("a frame of no known kind: %.300s", line))
	}
}

// block checks a block frame; mu is held.
func (c *client) block(f frame) {
	at := place{f.Block.Group, f.Block.Channel}
	if n := len(f.Block.Events); n == 0 || n > 10 {
		c.problems = append(c.problems, fmt.Errorf("%v: a block of %d events, want 1 to 10", at, n))
	}
	feed := c.feeds[at]
	if feed == nil {
		if !c.left[at] {
			c.problems = append(c.problems, fmt.Errorf("%v: a block, and nobody subscribed", at))
		}
		return
	}
	for _, e := range f.Block.Events {
		if e.Group != at.group || e.Channel != at.channel {
			c.problems = append(c.problems, fmt.Errorf("%v: a block holds an event of %s/%s", at, e.Group, e.Channel))
		}
		if err := feed.take(e); err != nil {
			c.problems = append(c.problems, err)
		}
	}
	if c.observe != nil {
		c.observe(at, feed.last, len(f.Block.Events))
	}
}

var errOver = errors.New("the connection is over")

// begin sends a command. seen is called by the reader with the answer, before
// it reads on.
func (c *client) begin(command string, arguments any, seen func(frame)) (*waiter, error) {
	w := &waiter{seen: seen, answer: make(chan frame, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil, fmt.Errorf("%w: %w", errOver, c.why)
	}
	c.next++
	data, err := json.Marshal(map[string]any{"id": c.next, command: arguments})
	if err != nil {
		return nil, err
	}
	c.waiting[c.next] = w
	if err := c.conn.WriteMessage(websocket.TextMessage, data); err != nil {
		delete(c.waiting, c.next)
		return nil, fmt.Errorf("%w: %w", errOver, err)
	}
	return w, nil
}

// end waits for the answer and decodes it into ok, which may be nil. Errors
// are a [*refusal], or [errOver] when the outcome is not known.
func (c *client) end(w *waiter, ok any) error {
	timer := time.NewTimer(c.patience)
	defer timer.Stop()
	select {
	case f, answered := <-w.answer:
		switch {
		case !answered:
			return fmt.Errorf("%w: %w", errOver, c.why)
		case f.Error != nil:
			return f.Error
		case ok != nil:
			return json.Unmarshal(f.OK, ok)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("no answer within %v", c.patience)
	}
}

func (c *client) call(command string, arguments, ok any) error {
	w, err := c.begin(command, arguments, nil)
	if err != nil {
		return err
	}
	return c.end(w, ok)
}

// must is call for what has to work.
func (c *client) must(t testing.TB, command string, arguments object) object {
	t.Helper()
	var answer object
	if err := c.call(command, arguments, &answer); err != nil {
		t.Fatalf("%s %s: %v", command, encode(t, arguments), err)
	}
	return answer
}

// refused calls and wants the code.
func (c *client) refused(t testing.TB, code, command string, arguments any) {
	t.Helper()
	var r *refusal
	err := c.call(command, arguments, nil)
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("%s %.200s: got %v, want %s", command, encode(t, arguments), err, code)
	}
}

// subscribe subscribes with arguments besides group and channel; the checker
// begins with the answer. The events of the answer are checked too.
func (c *client) subscribe(group, channel string, arguments object) (subscribed, error) {
	at := place{group, channel}
	all := object{"group": group, "channel": channel}
	for key, value := range arguments {
		all[key] = value
	}
	var answer subscribed
	w, err := c.begin("subscribe", all, func(f frame) { // mu is held
		if f.Error == nil && json.Unmarshal(f.OK, &answer) == nil {
			c.feeds[at] = &feed{base: answer.V, last: answer.V, n: answer.N}
		}
	})
	if err != nil {
		return answer, err
	}
	if err := c.end(w, nil); err != nil {
		return answer, err
	}
	if err := answer.check(arguments); err != nil {
		c.wrong(fmt.Errorf("%v: answer to subscribe %v: %w", at, arguments, err))
	}
	return answer, nil
}

// check is the checker of the answer's events.
func (s subscribed) check(asked object) error {
	after, given := asked["after"].(uint64)
	if s.Gap != nil {
		if !given || s.Gap.After != after || s.Gap.Upto <= after {
			return fmt.Errorf("gap %+v, after %v", *s.Gap, asked["after"])
		}
		after = s.Gap.Upto
	}
	if !given && len(s.Events) > 0 {
		after = s.Events[0].V - 1 // tail
	}
	for _, e := range s.Events {
		if e.V != after+1 {
			return fmt.Errorf("v %d follows v %d", e.V, after)
		}
		after = e.V
	}
	if (given || len(s.Events) > 0) && after != s.V {
		return fmt.Errorf("its events and gap end at v %d, its v is %d", after, s.V)
	}
	return nil
}

func (c *client) mustSubscribe(t testing.TB, group, channel string, arguments object) subscribed {
	t.Helper()
	answer, err := c.subscribe(group, channel, arguments)
	if err != nil {
		t.Fatalf("subscribe %s/%s: %v", group, channel, err)
	}
	return answer
}

// delivered returns a copy of what a subscription brought so far.
func (c *client) delivered(group, channel string) feed {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.feeds[place{group, channel}]
	if f == nil {
		return feed{}
	}
	copied := *f
	copied.events = append([]*event(nil), f.events...)
	copied.gaps = append([]missing(nil), f.gaps...)
	return copied
}

// last is the newest v delivered or announced as a gap.
func (c *client) last(group, channel string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.feeds[place{group, channel}]; f != nil {
		return f.last
	}
	return 0
}

// await waits until a subscription has come to v.
func (c *client) await(t testing.TB, group, channel string, v uint64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	streamtest.Eventually(t, 2*patience, fmt.Sprintf("%s/%s is delivered to %s up to v %d", group, channel, c.user, v), func() bool {
		at := c.last(group, channel)
		if at < v && time.Now().After(deadline) {
			t.Fatalf("%s/%s is delivered to %s up to v %d, want %d", group, channel, c.user, at, v)
		}
		return at >= v
	})
}

// pull reads after < v <= upto page by page and checks every page.
func (c *client) pull(group, channel string, after, upto uint64) ([]*event, error) {
	var events []*event
	for after < upto {
		var page pulled
		err := c.call("pull", object{"group": group, "channel": channel, "after": after, "upto": upto, "limit": 1000}, &page)
		if err != nil {
			return events, fmt.Errorf("pull after %d upto %d: %w", after, upto, err)
		}
		for i, e := range page.Events {
			if e.V != after+uint64(i)+1 {
				return events, fmt.Errorf("pull after %d upto %d: v %d in place %d", after, upto, e.V, i)
			}
		}
		if want := after + uint64(len(page.Events)); page.Through != want {
			return events, fmt.Errorf("pull after %d upto %d: through %d after %d events", after, upto, page.Through, len(page.Events))
		}
		if page.More != (page.Through < upto) {
			return events, fmt.Errorf("pull after %d upto %d: more is %v at %d", after, upto, page.More, page.Through)
		}
		if len(page.Events) == 0 {
			return events, fmt.Errorf("pull after %d upto %d: an empty page", after, upto)
		}
		events = append(events, page.Events...)
		after = page.Through
	}
	return events, nil
}

func (c *client) mustPull(t testing.TB, group, channel string, after, upto uint64) []*event {
	t.Helper()
	events, err := c.pull(group, channel, after, upto)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// complete returns all events of a subscription since its answer, with those
// that gap frames announced pulled.
func (c *client) complete(t testing.TB, group, channel string) []*event {
	t.Helper()
	f := c.delivered(group, channel)
	byVersion := map[uint64]*event{}
	for _, e := range f.events {
		byVersion[e.V] = e
	}
	for _, gap := range f.gaps {
		for _, e := range c.mustPull(t, group, channel, gap.After, gap.Upto) {
			byVersion[e.V] = e
		}
	}
	events := make([]*event, 0, len(byVersion))
	for v := f.base + 1; v <= f.last; v++ {
		e := byVersion[v]
		if e == nil {
			t.Fatalf("%s/%s: v %d came neither live nor by pull", group, channel, v)
		}
		events = append(events, e)
	}
	return events
}

// newID makes a client id of now.
func newID() string { return idAt(time.Now()) }

func idAt(at time.Time) string {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	return streams.MakeClientID(at.UnixMilli(), entropy).String()
}
