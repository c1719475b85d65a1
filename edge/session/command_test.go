package session_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

func TestHowConnectionsEnd(t *testing.T) {
	transports(t, howConnectionsEnd)
}

func howConnectionsEnd(t *testing.T, wrap func(net.Conn) net.Conn) {
	s := edgetest.New(t, func(c *edge.Config) { c.ConnectWithin, c.Wrap = time.Second, wrap })
	connect := `{"id":1,"connect":{"token":"dev:bob"}}`
	tests := []struct {
		name string
		say  func(c *client)
		code int
	}{
		{"nothing is said", func(*client) {}, 4401},
		{"another command comes first", func(c *client) { c.write(`{"id":1,"ping":{}}`) }, 4401},
		{"no frame comes first", func(c *client) { c.write(`hello`) }, 4401},
		{"a bad token", func(c *client) { c.write(`{"id":1,"connect":{"token":"x"}}`) }, 4401},
		{"no token", func(c *client) { c.write(`{"id":1,"connect":{}}`) }, 4401},
		{"binary", func(c *client) { c.write(connect); _ = c.conn.WriteMessage(websocket.BinaryMessage, []byte("x")) }, 1003},
		{"not UTF-8", func(c *client) { c.write(connect); c.write("{\"id\":2,\"ping\":{\"\xff\":1}}") }, 1007},
		{"too large", func(c *client) { c.write(connect); c.write(strings.Repeat("x", wire.MaxFrame+1)) }, 1009},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, s.Edge)
			c.t = t
			test.say(c)
			if code := c.closed(); code != test.code {
				t.Errorf("closed with %d, want %d", code, test.code)
			}
		})
	}
}

func TestExpiryDuringAndBeforeTheSession(t *testing.T) {
	secret := []byte("a secret for this test only")
	s := edgetest.New(t, func(c *edge.Config) { c.JWTSecret = secret })
	sign := func(expires time.Time) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "bob", "exp": jwt.NewNumericDate(expires)}).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	c := dial(t, s.Edge)
	if code := c.code("connect", `{"token":"`+sign(time.Now().Add(-time.Second))+`"}`); code != "unauthorized" {
		t.Errorf("got %s", code)
	}
	if code := c.closed(); code != 4403 {
		t.Errorf("closed with %d", code)
	}
	c = dial(t, s.Edge)
	c.ok("connect", `{"token":"`+sign(time.Now().Add(2*time.Second))+`"}`)
	if code := c.closed(); code != 4403 {
		t.Errorf("closed with %d when it expired", code)
	}
}

func TestSilentPeersAreClosedAndAnsweringOnesAreNot(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) { c.Heartbeat = 100 * time.Millisecond })
	silent, alive := connected(t, s.Edge, "bob"), connected(t, s.Edge, "bob")
	silent.conn.SetPingHandler(func(string) error { return nil })
	ended := make(chan int, 1)
	go func() { ended <- silent.closed() }()
	pings := 0
	handler := alive.conn.PingHandler()
	alive.conn.SetPingHandler(func(data string) error { pings++; return handler(data) })
	go func() { // ends with the connection
		_, _ = alive.read()
	}()
	if code := <-ended; code != 4408 {
		t.Errorf("closed with %d", code)
	}
	alive.ask("ping", `{}`)
	_ = alive.conn.Close()
}

func TestDeviceIsReplacedByItsNextConnection(t *testing.T) {
	s := edgetest.New(t)
	first, other, third := dial(t, s.Edge), dial(t, s.Edge), dial(t, s.Edge)
	first.ok("connect", `{"token":"dev:bob","device":"phone"}`)
	other.ok("connect", `{"token":"dev:alice","device":"phone"}`)
	ok := third.ok("connect", `{"token":"dev:bob","device":"phone"}`)
	if ok["user"] != "bob" || ok["device"] != "phone" || ok["version"] != "1.2.3" || ok["heartbeat_ms"] != 25000.0 {
		t.Errorf("got %v", ok)
	}
	if code := first.closed(); code != 4409 {
		t.Errorf("closed with %d", code)
	}
	other.ok("ping", `{}`)
	third.ok("ping", `{}`)
	if code := third.code("connect", `{"token":"dev:bob"}`); code != "bad_request" {
		t.Errorf("a second connect: %s", code)
	}
}

func TestTheEdgeSaysGoodbye(t *testing.T) {
	transports(t, goodbye)
}

func goodbye(t *testing.T, wrap func(net.Conn) net.Conn) {
	s := edgetest.New(t, func(c *edge.Config) { c.Wrap = wrap })
	s.Group(t)
	clients := []*client{connected(t, s.Edge, "bob"), connected(t, s.Edge, "alice"), dial(t, s.Edge)}
	clients[0].ok("subscribe", `{"group":"g","channel":"c"}`)
	sent := clients[1].ask("send", `{"group":"g","channel":"c","body":"x"}`)
	clients[1].okAnswer(sent)
	began := time.Now()
	s.Stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for i, c := range clients {
		if code := c.closed(); code != 1012 {
			t.Errorf("client %d closed with %d", i, code)
		}
		byes := 0
		for _, p := range c.pushed {
			if p.Bye != nil && p.Bye.Reason == "restarting" && p.Bye.RetryMS > 0 {
				byes++
			}
		}
		if byes != 1 {
			t.Errorf("client %d was told %d times", i, byes)
		}
	}
}

func TestFramesThatAreWrongAreAnsweredAndTheConnectionStays(t *testing.T) {
	s := edgetest.New(t)
	c := connected(t, s.Edge, "bob")
	c.write("{\"id\":50,\"ping\":{}}\nnot json\n\n{\"id\":51,\"nothing\":{}}\n{\"id\":52,\"ping\":{}}\n{\"id\":53,\"ping\":")
	want := []string{"50 ok", "0 bad_request", "51 bad_request", "52 ok", "53 bad_request"}
	for _, w := range want {
		f, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(f.ID, " ok")
		if f.Error != nil {
			got = fmt.Sprint(f.ID, " ", f.Error.Code)
		}
		if got != w {
			t.Errorf("got %s, want %s", got, w)
		}
	}
	for object, code := range map[string]string{
		`{"group":"g","channel":"c","body":"x","as":"alice"}`: "forbidden",
		`{"group":"g","channel":"c","body":"x","ts":5}`:       "forbidden",
		`{"group":"g","channel":"c","body":"x"}`:              "not_found",
	} {
		if got := c.code("send", object); got != code {
			t.Errorf("%s: got %s, want %s", object, got, code)
		}
	}
	if got := c.code("subscribe", `{"group":"g","channel":"c","mode":"loud"}`); got != "bad_request" {
		t.Errorf("a mode that is none: got %s", got)
	}
	c.ok("unsubscribe", `{"group":"g","channel":"c"}`)
}

func TestPipelinedCommandsTakeEffectInOrder(t *testing.T) {
	s := edgetest.New(t)
	c := connected(t, s.Edge, "alice")
	const count = 600
	var frames []string
	frames = append(frames,
		`{"id":1001,"create_group":{"group":"g","kind":"room","name":"G"}}`,
		`{"id":1002,"create_channel":{"group":"g","channel":"c","kind":"public","name":"C"}}`,
		`{"id":1003,"subscribe":{"group":"g","channel":"c"}}`)
	for i := 1; i <= count; i++ {
		frames = append(frames, fmt.Sprintf(`{"id":%d,"send":{"group":"g","channel":"c","body":"%d"}}`, i, i))
	}
	frames = append(frames, `{"id":1004,"pull":{"group":"g","channel":"c","after":0,"limit":1000}}`)
	c.write(strings.Join(frames, "\n"))
	for id := uint64(1001); id <= 1003; id++ {
		c.okAnswer(id)
	}
	f := &follower{t: t}
	for i := uint64(1); i <= count; i++ {
		if ok := c.okAnswer(i); ok["v"] != float64(i) || ok["duplicate"] != nil {
			t.Fatalf("send %d: %v", i, ok)
		}
	}
	if ok := c.okAnswer(1004); ok["through"] != float64(count) {
		t.Errorf("pull through %v", ok["through"])
	}
	for f.v < count {
		f.take(c.push())
	}
	for i, e := range f.events {
		if string(e.Body) != fmt.Sprintf(`"%d"`, i+1) {
			t.Fatalf("event %d has body %s", i+1, e.Body)
		}
	}
	if s.Owner.Largest.Load() < 2 {
		t.Error("nothing was batched")
	}
}

func TestCommandsOutliveTheirOwner(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	c := connected(t, s.Edge, "alice")
	send := `{"group":"g","channel":"c","body":"x"}`
	s.Owner.Swallow.Store(1) // decided, and the answer lost
	if ok := c.ok("send", send); ok["v"] != 1.0 || ok["duplicate"] != nil {
		t.Errorf("after a lost answer: %v", ok)
	}
	s.Owner.Busy.Store(2)
	if ok := c.ok("send", send); ok["v"] != 2.0 {
		t.Errorf("after a busy owner: %v", ok)
	}
	s.Owner.Stop()
	first, second := c.ask("send", send), c.ask("send", send)
	c.ok("ping", `{}`) // not held up
	s.Owner.Start()
	if one, two := c.okAnswer(first), c.okAnswer(second); one["v"] != 3.0 || two["v"] != 4.0 {
		t.Errorf("after a takeover: %v, %v", one, two)
	}
	id := streams.MakeClientID(time.Now().UnixMilli(), [10]byte{7}).String()
	repeated := `{"group":"g","channel":"c","body":"x","client_id":"` + id + `"}`
	if ok := c.ok("send", repeated); ok["duplicate"] != nil {
		t.Errorf("the first time: %v", ok)
	}
	if ok := c.ok("send", repeated); ok["duplicate"] != true || ok["v"] != 5.0 {
		t.Errorf("the second time: %v", ok)
	}
	s.Owner.Stop()
	began := time.Now()
	f := c.answer(c.ask("send", send))
	if took := time.Since(began); f.Error == nil || f.Error.Code != "unavailable" || f.Error.RetryMS <= 0 || took > 7*time.Second {
		t.Errorf("without an owner: %+v after %v", f, took)
	}
	s.Owner.Start()
}

func TestNamesAreMadeUpFromTheClientID(t *testing.T) {
	s := edgetest.New(t)
	c := connected(t, s.Edge, "alice")
	id := streams.MakeClientID(time.Now().UnixMilli(), [10]byte{1}).String()
	create := `{"kind":"room","name":"G","client_id":"` + id + `"}`
	one, two := c.ok("create_group", create), c.ok("create_group", create)
	want := "g" + strings.ReplaceAll(id, "-", "")
	if one["group"] != want || two["group"] != want || two["duplicate"] != true {
		t.Errorf("got %v, %v", one, two)
	}
	ok := c.ok("create_channel", `{"group":"`+want+`","kind":"public","name":"C"}`)
	c.ok("send", fmt.Sprintf(`{"group":"%s","channel":"%s","body":"x"}`, want, ok["channel"]))
}

func TestSubprotocolsAndOrigins(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) { c.Origins = []string{"https://chat.example"} })
	if got := dial(t, s.Edge, "throng.v1.json").conn.Subprotocol(); got != "throng.v1.json" {
		t.Errorf("subprotocol %q", got)
	}
	if got := dial(t, s.Edge).conn.Subprotocol(); got != "" {
		t.Errorf("subprotocol %q although none was offered", got)
	}
	for origin, allowed := range map[string]bool{
		"": true, "https://chat.example": true, "https://evil.example": false, "http://localhost:3000": true,
		"http://127.0.0.1:5173": true, "http://127.0.0.1.evil.example": false, "null": false, "http://" + s.Edge.Addr().String(): true,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		conn, response, err := websocket.DefaultDialer.Dial("ws://"+s.Edge.Addr().String()+"/v1/ws", header)
		if response != nil {
			_ = response.Body.Close()
		}
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != allowed {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
}

func TestClientThatDoesNotReadItsAnswersOnlyStopsItself(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	s.Send(t, strings.Repeat("x", 16000), strings.Repeat("y", 16000))
	greedy, other := narrow(t, s.Edge, "bob"), connected(t, s.Edge, "alice")
	const pulls = 400
	go func() { // ends with the connection
		for i := range pulls {
			_ = greedy.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"id":%d,"pull":{"group":"g","channel":"c","after":0}}`, i+2))
		}
	}()
	for range 50 {
		other.ok("send", `{"group":"g","channel":"c","body":"x"}`)
	}
	for range pulls { // reads may overtake each other
		if f, err := greedy.read(); err != nil || f.OK == nil {
			t.Fatalf("%+v, %+v, %v", f, f.Error, err)
		}
	}
}
