//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// rawConn is a connection that says exactly what it is told to.
type rawConn struct {
	t    testing.TB
	conn *websocket.Conn
}

func openRaw(t testing.TB, listen string) *rawConn {
	t.Helper()
	conn, err := open(t.Context(), listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{t: t, conn: conn}
}

func (c *rawConn) say(kind int, data string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(kind, []byte(data)); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next message as one frame.
func (c *rawConn) hear() (frame, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // a dead connection errs below
	_, data, err := c.conn.ReadMessage()
	if err != nil {
		return frame{}, err
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %q", err, data)
	}
	return f, nil
}

// answered wants a refusal with an id.
func (c *rawConn) answered(id uint64, code string) {
	c.t.Helper()
	f, err := c.hear()
	if err != nil || f.ID == nil || f.Error == nil || *f.ID != id || f.Error.Code != code || f.Error.Message == "" {
		c.t.Fatalf("got %s (%v), want %s to id %d", encode(c.t, f), err, code, id)
	}
}

// closed wants the connection to end with a code, after any other frames.
func (c *rawConn) closed(code int) {
	c.t.Helper()
	for {
		_, err := c.hear()
		if err == nil {
			continue
		}
		var closing *websocket.CloseError
		if !errors.As(err, &closing) || closing.Code != code {
			c.t.Errorf("the connection ended with %v, want close code %d", err, code)
		} else if len(closing.Text) > 123 {
			c.t.Errorf("the close reason has %d bytes", len(closing.Text))
		}
		return
	}
}

func (c *rawConn) connect(token string) *rawConn {
	c.t.Helper()
	c.say(websocket.TextMessage, fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, token))
	if f, err := c.hear(); err != nil || f.OK == nil {
		c.t.Fatalf("connect: %s, %v", encode(c.t, f), err)
	}
	return c
}

// neighbour follows a channel in which somebody writes all the time, and notes
// the longest silence.
type neighbour struct {
	client *client
	crowd  *crowd

	mu      sync.Mutex
	last    time.Time     // guarded by mu: the newest delivery
	longest time.Duration // guarded by mu
}

// startNeighbour needs a group of its own: nb, of owner.
func startNeighbour(t testing.TB, listen string) *neighbour {
	t.Helper()
	n := &neighbour{last: time.Now()}
	newGroup(t, listen, "nb", "talk", "owner", "writer")
	n.client = connect(t, listen, "dev:owner")
	n.client.observe = func(place, uint64, int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		now := time.Now()
		n.longest, n.last = max(n.longest, now.Sub(n.last)), now
	}
	n.client.mustSubscribe(t, "nb", "talk", nil)
	n.crowd = startCrowd(t, listen, "nb", "talk", []string{"writer"}, 5*time.Millisecond)
	return n
}

// end wants everything delivered, without a gap and without a long silence.
func (n *neighbour) end(t testing.TB) {
	t.Helper()
	n.crowd.end(t)
	total := uint64(n.crowd.acked.Load())
	n.client.await(t, "nb", "talk", total)
	f := n.client.delivered("nb", "talk")
	if len(f.gaps) > 0 || uint64(len(f.events)) != total {
		t.Errorf("the neighbour got %d of %d events and %d gaps", len(f.events), total, len(f.gaps))
	}
	if v := n.crowd.judge(f.events); v.lost+v.moved+v.doubled+v.out+v.unknown > 0 {
		t.Errorf("the neighbour: %v", v)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	t.Logf("the neighbour got %d events, with %v of silence at most", total, n.longest.Round(time.Millisecond))
	if n.longest > 3*time.Second {
		t.Errorf("the neighbour heard nothing for %v", n.longest)
	}
}

// badNames are no names, whatever they are to name.
var badNames = map[string]string{
	"a dot": "a.b", "a star": "a*", "a greater-than sign": "a>", "only a star": "*", "only a greater-than sign": ">",
	"a space": "a b", "NUL": "a\x00b", "a line feed": "a\nb", "unicode": "grüße", "a slash": "../../etc/passwd",
	"a quote": "a'b", "a dollar": "$SYS", "10 KB": strings.Repeat("a", 10<<10), "65 bytes": strings.Repeat("a", 65), "nothing": "",
}

// It proves that bad input is refused with the code PROTOCOL names, that the
// connection it came on goes on working where it should, that a refused
// command changes nothing, and that a neighbour notices none of it.
func TestBadCommandsAreRefusedAndDisturbNobody(t *testing.T) {
	s := startServer(t)
	neighbour := startNeighbour(t, s.listen)
	newGroup(t, s.listen, "g1", "general", "alice", "bob")
	must(t, s.listen, "dev:alice", "send", object{"group": "g1", "channel": "general", "body": "one"})
	must(t, s.listen, "dev:bob", "send", object{"group": "g1", "channel": "general", "body": "two"})
	head := uint64(2)

	type row struct {
		name, command string
		arguments     object
		code          string
		status        int // over HTTP
	}
	at := func(extra object) object {
		all := object{"group": "g1", "channel": "general"}
		for key, value := range extra {
			all[key] = value
		}
		return all
	}
	send := func(extra object) object {
		all := at(object{"body": "x"})
		for key, value := range extra {
			all[key] = value
		}
		return all
	}
	v4 := uuid.NewString()
	rows := []row{
		{"an unknown command", "explode", object{}, "bad_request", 0},
		{"a group that is a number", "send", send(object{"group": 5}), "bad_request", 400},
		{"no group", "send", object{"channel": "general", "body": "x"}, "bad_request", 400},
		{"no channel", "send", object{"group": "g1", "body": "x"}, "bad_request", 400},
		{"no body", "send", at(nil), "bad_request", 400},
		{"an empty body", "send", send(object{"body": ""}), "bad_request", 400},
		{"a body that is a number", "send", send(object{"body": 7}), "bad_request", 400},
		{"a text that is an object", "send", send(object{"body": object{}}), "bad_request", 400},
		{"a body one byte too long", "send", send(object{"body": strings.Repeat("a", 16385)}), "too_large", 413},
		{"a body of characters that is too long in bytes", "send", send(object{"body": strings.Repeat("ü", 8193)}), "too_large", 413},
		{"an object one byte too long", "send", send(object{"type": "app", "body": json.RawMessage(`{"a":"` + strings.Repeat("a", 16385-8) + `"}`)}), "too_large", 413},
		{"a type outside its alphabet", "send", send(object{"type": "a b"}), "bad_request", 400},
		{"mentions that are no list", "send", send(object{"mentions": "bob"}), "bad_request", 400},
		{"a mention that is no name", "send", send(object{"mentions": []string{"a.b"}}), "bad_request", 400},
		{"too many mentions", "send", send(object{"mentions": make([]string, 1000)}), "bad_request", 400},
		{"a reply to what is not there", "send", send(object{"reply_to": 99}), "bad_request", 400},
		{"a priority there is not", "send", send(object{"priority": "urgent"}), "bad_request", 400},
		{"a negative time to live", "send", send(object{"ttl_ms": -1}), "bad_request", 400},
		{"a client_id that is none", "send", send(object{"client_id": "7"}), "bad_request", 400},
		{"a client_id that is a number", "send", send(object{"client_id": 7}), "bad_request", 400},
		{"a UUIDv4", "send", send(object{"client_id": v4}), "bad_request", 400},
		{"a UUIDv7 without dashes", "send", send(object{"client_id": strings.ReplaceAll(newID(), "-", "")}), "bad_request", 400},
		{"a client_id from the future", "send", send(object{"client_id": idAt(time.Now().Add(2 * time.Minute))}), "bad_request", 400},
		{"a client_id from long ago", "send", send(object{"client_id": idAt(time.Now().Add(-time.Hour))}), "stale_client_id", 409},
		{"a client_id of 1970", "send", send(object{"client_id": idAt(time.UnixMilli(0))}), "stale_client_id", 409},
		{"a group there is not", "send", send(object{"group": "nowhere"}), "not_found", 404},
		{"a channel there is not", "send", send(object{"channel": "nowhere"}), "not_found", 404},
		{"a channel of the server", "send", send(object{"channel": "@members"}), "", 0},
		{"joining a group there is not", "join", object{"group": "nowhere"}, "not_found", 404},
		{"pulling without after", "pull", at(nil), "bad_request", 400},
		{"pulling from a negative v", "pull", at(object{"after": -1}), "bad_request", 400},
		{"pulling up to a negative v", "pull", at(object{"after": 0, "upto": -1}), "bad_request", 400},
		{"pulling a reversed range", "pull", at(object{"after": 2, "upto": 1}), "bad_request", 400},
		{"pulling from a fraction", "pull", at(object{"after": 0.5}), "bad_request", 400},
		{"pulling from a string", "pull", at(object{"after": "0"}), "bad_request", 400},
		{"pulling from 2^53", "pull", at(object{"after": json.RawMessage("9007199254740992")}), "bad_request", 400},
		{"pulling from beyond 64 bits", "pull", at(object{"after": json.RawMessage("99999999999999999999")}), "bad_request", 400},
		{"history before and after", "history", at(object{"before": 2, "after": 1}), "bad_request", 400},
		{"history after a negative n", "history", at(object{"after": -1}), "bad_request", 400},
		{"editing number 0", "edit", send(object{"n": 0}), "bad_request", 400},
		{"editing what is not there", "edit", send(object{"n": 99}), "not_found", 404},
		{"editing another's message", "edit", send(object{"n": 2}), "forbidden", 403},
		{"recalling what is not there", "recall", at(object{"n": 99}), "not_found", 404},
		{"a group that is there already", "create_group", object{"group": "g1", "kind": "community", "name": "x"}, "conflict", 409},
		{"a kind of group there is not", "create_group", object{"kind": "crowd", "name": "x"}, "bad_request", 400},
		{"a group with a name of the server's", "create_group", object{"group": "@x", "kind": "room", "name": "x"}, "bad_request", 400},
		{"a channel that is there already", "create_channel", object{"group": "g1", "channel": "general", "kind": "public", "name": "x"}, "conflict", 409},
		{"a channel with a name of the server's", "create_channel", object{"group": "g1", "channel": "@x", "kind": "public", "name": "x"}, "bad_request", 400},
		{"as without a server token", "send", send(object{"as": "bob"}), "forbidden", 403},
		{"ts without a server token", "send", send(object{"ts": 1}), "forbidden", 403},
		{"reading as another without a server token", "history", at(object{"as": "bob"}), "forbidden", 403},
	}
	for what, name := range badNames {
		rows = append(rows,
			row{"group: " + what, "send", send(object{"group": name}), "bad_request", 400},
			row{"channel: " + what, "send", send(object{"channel": name}), "bad_request", 400},
			row{"pull, group: " + what, "pull", at(object{"after": 0, "group": name}), "bad_request", 400},
			row{"history, channel: " + what, "history", at(object{"channel": name}), "bad_request", 400},
			row{"join: " + what, "join", object{"group": name}, "bad_request", 400},
			row{"members: " + what, "members", object{"group": name}, "bad_request", 400},
		)
		if name != "" {
			rows = append(rows, row{"create_group: " + what, "create_group", object{"group": name, "kind": "room", "name": "x"}, "bad_request", 400})
		}
	}
	alice := connect(t, s.listen, "dev:alice")
	alice.mustSubscribe(t, "g1", "general", nil)
	for _, r := range rows {
		if r.code == "" { // the contract does not say which: only that it is refused
			if err := alice.call(r.command, r.arguments, nil); err == nil {
				t.Errorf("%s: it was done", r.name)
			}
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			alice.refused(t, r.code, r.command, r.arguments)
			if r.status == 0 {
				return
			}
			status, answer := post(t, s.listen, "dev:alice", r.command, encode(t, r.arguments))
			if status != r.status || answer.code() != r.code {
				t.Errorf("over HTTP: %d %s, want %d %s", status, encode(t, answer), r.status, r.code)
			}
		})
	}
	if _, err := alice.subscribe("g1", "nowhere", nil); !isRefusal(err, "not_found") {
		t.Errorf("subscribe to a channel there is not: %v", err)
	}
	if _, err := alice.subscribe("nowhere", "general", nil); !isRefusal(err, "not_found") {
		t.Errorf("subscribe in a group there is not: %v", err)
	}

	t.Run("who is no member", func(t *testing.T) {
		eve := connect(t, s.listen, "dev:eve")
		for command, arguments := range map[string]object{
			"send": send(nil), "pull": at(object{"after": 0}), "history": at(nil), "group": {"group": "g1"}, "members": {"group": "g1"},
			"edit": send(object{"n": 1}), "recall": at(object{"n": 1}), "update_group": {"group": "g1", "name": "mine"},
			"create_channel": {"group": "g1", "channel": "c2", "kind": "public", "name": "x"},
		} {
			eve.refused(t, "not_member", command, arguments)
			if status, answer := post(t, s.listen, "dev:eve", command, encode(t, arguments)); status != 403 || answer.code() != "not_member" {
				t.Errorf("%s over HTTP: %d %v", command, status, answer)
			}
		}
		if _, err := eve.subscribe("g1", "general", nil); !isRefusal(err, "not_member") {
			t.Errorf("subscribe: %v", err)
		}
		if _, err := eve.subscribe("g1", "nowhere", nil); !isRefusal(err, "not_member") {
			t.Errorf("subscribe to a channel there is not: %v", err)
		}
	})
	t.Run("what is at the limit is taken", func(t *testing.T) {
		for name, arguments := range map[string]object{
			"16,384 bytes":                   send(object{"body": strings.Repeat("a", 16384)}),
			"an object":                      send(object{"type": "app", "body": json.RawMessage(`{"a":"` + strings.Repeat("a", 16384-8) + `"}`)}),
			"the client_id of a clock ahead": send(object{"client_id": idAt(time.Now().Add(50 * time.Second))}),
			"the client_id of 9 minutes ago": send(object{"client_id": idAt(time.Now().Add(-9 * time.Minute))}),
		} {
			var answer object
			if err := alice.call("send", arguments, &answer); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			head++
			if answer.number("v") != head {
				t.Errorf("%s: v %d, want %d: something refused was done", name, answer.number("v"), head)
			}
		}
		status, answer := post(t, s.listen, "dev:alice", "send", encode(t, send(object{"body": strings.Repeat("a", 16384)})))
		if head++; status != 200 || answer.number("v") != head {
			t.Errorf("16,384 bytes over HTTP: %d %v", status, answer)
		}
		body := `  {"a" : [1,2 ],` + "\t" + `"b":"\u0041\n" }`
		answer = must(t, s.listen, "dev:alice", "send", send(object{"body": "  white space\r\n stays\t"}))
		head++
		must(t, s.listen, "dev:alice", "send", object{"group": "g1", "channel": "general", "type": "app", "body": json.RawMessage(strings.TrimSpace(body))})
		head++
		events := alice.mustPull(t, "g1", "general", answer.number("v")-1, head)
		if events[0].text() != "  white space\r\n stays\t" {
			t.Errorf("the body came back as %q", events[0].text())
		}
	})
	t.Run("ranges beyond the head are empty", func(t *testing.T) {
		for after, through := range map[uint64]uint64{head: head, head + 5: head + 5, 1 << 50: 1 << 50} {
			var page pulled
			if err := alice.call("pull", at(object{"after": after, "limit": 1 << 40}), &page); err != nil || len(page.Events) != 0 || page.Through != through || page.More {
				t.Errorf("pull after %d: %+v, %v", after, page, err)
			}
		}
	})
	frames(t, s.listen, head)
	alice.await(t, "g1", "general", head)
	neighbour.end(t)
}

func isRefusal(err error, code string) bool {
	var r *refusal
	return errors.As(err, &r) && r.Code == code
}

// frames are texts that are no commands. None ends the connection.
func frames(t *testing.T, listen string, head uint64) {
	t.Run("frames", func(t *testing.T) {
		c := openRaw(t, listen).connect("dev:alice")
		for name, row := range map[string]struct {
			frame string
			id    uint64
		}{
			"no JSON":                         {`hello`, 0},
			"an array":                        {`[]`, 0},
			"null":                            {`null`, 0},
			"a number":                        {`42`, 0},
			"without an id":                   {`{"ping":{}}`, 0},
			"id 0":                            {`{"id":0,"ping":{}}`, 0},
			"a negative id":                   {`{"id":-1,"ping":{}}`, 0},
			"an id that is a string":          {`{"id":"7","ping":{}}`, 0},
			"an id that is a fraction":        {`{"id":1.5,"ping":{}}`, 0},
			"an id beyond 2^53":               {`{"id":9007199254740993,"ping":{}}`, 0},
			"without a command":               {`{"id":7}`, 7},
			"two commands":                    {`{"id":7,"ping":{},"leave":{"group":"g1"}}`, 7},
			"a command that is an array":      {`{"id":7,"ping":[]}`, 7},
			"a command that is a string":      {`{"id":7,"ping":"x"}`, 7},
			"a frame that breaks off":         {`{"id":7,"ping":{`, 7},
			"garbage behind the frame":        {`{"id":7,"ping":{}} x`, 7},
			"10,000 brackets":                 {`{"id":7,"ping":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, 7},
			"an unpaired surrogate as a name": {`{"id":7,"join":{"group":"\ud800"}}`, 7},
			"a second connect":                {`{"id":7,"connect":{"token":"dev:bob"}}`, 7},
			"NUL":                             {"\x00", 0},
		} {
			c.say(websocket.TextMessage, row.frame)
			f, err := c.hear()
			if err != nil || f.ID == nil || *f.ID != row.id || f.Error == nil || f.Error.Code != "bad_request" {
				t.Fatalf("%s: got %s (%v), want bad_request to id %d", name, encode(t, f), err, row.id)
			}
		}
		// Several frames in one message are several commands, each answered.
		c.say(websocket.TextMessage, "{\"id\":11,\"ping\":{}}\n\nnonsense\n{\"id\":12,\"ping\":{}}\n")
		got := map[uint64]bool{}
		for len(got) < 3 {
			_, data, err := c.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range bytes.Split(data, []byte("\n")) {
				var f frame
				if err := json.Unmarshal(line, &f); err != nil || f.ID == nil {
					t.Fatalf("%q: %v", line, err)
				}
				got[*f.ID] = true
			}
		}
		if !got[0] || !got[11] || !got[12] {
			t.Errorf("answers to %v, want 0, 11 and 12", got)
		}
		c.say(websocket.TextMessage, `{"id":13,"pull":{"group":"g1","channel":"general","after":0,"limit":1}}`)
		if f, err := c.hear(); err != nil || f.OK == nil {
			t.Errorf("the connection does not go on: %s, %v", encode(t, f), err)
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		for name, row := range map[string]struct {
			method, path, token, body string
			status                    int
			code                      string
		}{
			"no token":            {"POST", "/v1/ping", "", `{}`, 401, "unauthorized"},
			"a token that is bad": {"POST", "/v1/ping", "nonsense", `{}`, 401, "unauthorized"},
			"a user that is bad":  {"POST", "/v1/ping", "dev:a.b", `{}`, 401, "unauthorized"},
			"no user":             {"POST", "/v1/ping", "dev:", `{}`, 401, "unauthorized"},
			"no such command":     {"POST", "/v1/explode", "dev:alice", `{}`, 404, "not_found"},
			"GET":                 {"GET", "/v1/ping", "dev:alice", ``, 405, "bad_request"},
			"no JSON":             {"POST", "/v1/ping", "dev:alice", `nonsense`, 400, "bad_request"},
			"an array":            {"POST", "/v1/ping", "dev:alice", `[]`, 400, "bad_request"},
			"no UTF-8":            {"POST", "/v1/send", "dev:alice", "{\"group\":\"g1\",\"channel\":\"general\",\"body\":\"\xff\"}", 400, "bad_request"},
			"1 MB":                {"POST", "/v1/send", "dev:alice", `{"body":"` + strings.Repeat("a", 1<<20) + `"}`, 413, "too_large"},
			"subscribe":           {"POST", "/v1/subscribe", "dev:alice", `{"group":"g1","channel":"general"}`, 400, "bad_request"},
			"connect":             {"POST", "/v1/connect", "dev:alice", `{"token":"dev:alice"}`, 400, "bad_request"},
		} {
			request, err := http.NewRequestWithContext(t.Context(), row.method, "http://"+listen+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			if row.token != "" {
				request.Header.Set("Authorization", "Bearer "+row.token)
			}
			response, err := httpClient.Do(request)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			data, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			var answer object
			if err != nil || json.Unmarshal(data, &answer) != nil || response.StatusCode != row.status || answer.code() != row.code {
				t.Errorf("%s: %d %.300s (%v), want %d %s", name, response.StatusCode, data, err, row.status, row.code)
			}
		}
	})
	if got := must(t, listen, "dev:alice", "pull", object{"group": "g1", "channel": "general", "after": head}); len(got["events"].([]any)) != 0 {
		t.Errorf("something refused was done: %v", got)
	}
}

// It proves that connections that break the rules of the WebSocket, or never
// say who they are, end with the close code PROTOCOL names, and that a
// neighbour notices none of it.
func TestBadConnectionsEndWithTheirCodes(t *testing.T) {
	s := startServer(t)
	neighbour := startNeighbour(t, s.listen)
	silent := openRaw(t, s.listen)
	opened := time.Now()

	for name, test := range map[string]func(*testing.T){
		"text that is not UTF-8 (1007)": func(t *testing.T) {
			c := openRaw(t, s.listen).connect("dev:alice")
			c.say(websocket.TextMessage, "{\"id\":2,\"ping\":{\"x\":\"\xff\xfe\"}}")
			c.closed(1007)
		},
		"a message that is too large (1009)": func(t *testing.T) {
			c := openRaw(t, s.listen).connect("dev:alice")
			c.say(websocket.TextMessage, `{"id":2,"ping":{"x":"`+strings.Repeat("a", 1<<20)+`"}}`)
			c.closed(1009)
		},
		"a message that is too large before connect (1009)": func(t *testing.T) {
			c := openRaw(t, s.listen)
			c.say(websocket.TextMessage, strings.Repeat("a", 1<<20))
			c.closed(1009)
		},
		"a command before connect (4401)": func(t *testing.T) {
			c := openRaw(t, s.listen)
			c.say(websocket.TextMessage, `{"id":5,"ping":{}}`)
			c.answered(5, "unauthorized")
			c.closed(4401)
		},
		"garbage before connect (4401)": func(t *testing.T) {
			c := openRaw(t, s.listen)
			c.say(websocket.TextMessage, `garbage`)
			c.closed(4401)
		},
		"a device that is no name": func(t *testing.T) {
			c := openRaw(t, s.listen)
			c.say(websocket.TextMessage, `{"id":5,"connect":{"token":"dev:alice","device":"a.*"}}`)
			c.answered(5, "bad_request")
		},
		"a user that is no name (4401)": func(t *testing.T) {
			for _, user := range []string{"a.b", "", "*", ">", "a b", "@server", strings.Repeat("a", 65)} {
				c := openRaw(t, s.listen)
				c.say(websocket.TextMessage, fmt.Sprintf(`{"id":5,"connect":{"token":"dev:%s"}}`, user))
				c.answered(5, "unauthorized")
				c.closed(4401)
			}
		},
		"a second connection of a device (4409)": func(t *testing.T) {
			first := openRaw(t, s.listen)
			first.say(websocket.TextMessage, `{"id":5,"connect":{"token":"dev:alice","device":"phone"}}`)
			if f, err := first.hear(); err != nil || f.OK == nil {
				t.Fatal(f, err)
			}
			second := openRaw(t, s.listen)
			second.say(websocket.TextMessage, `{"id":5,"connect":{"token":"dev:alice","device":"phone"}}`)
			if f, err := second.hear(); err != nil || f.OK == nil {
				t.Fatal(f, err)
			}
			first.closed(4409)
			second.say(websocket.TextMessage, `{"id":6,"ping":{}}`)
			if f, err := second.hear(); err != nil || f.OK == nil {
				t.Error(f, err)
			}
		},
		"frames that are no WebSocket": func(t *testing.T) {
			c := openRaw(t, s.listen).connect("dev:alice")
			if _, err := c.conn.NetConn().Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); err != nil {
				t.Fatal(err)
			}
			c.closed(1002)
		},
		"a connection cut in the middle of a frame": func(t *testing.T) {
			c := openRaw(t, s.listen).connect("dev:alice")
			if _, err := c.conn.NetConn().Write([]byte{0x81, 0xfe, 0x10}); err != nil {
				t.Fatal(err)
			}
			if tcp, ok := c.conn.NetConn().(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset, not a goodbye
			}
			_ = c.conn.NetConn().Close()
		},
		"a page from elsewhere": func(t *testing.T) {
			dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second}
			conn, response, err := dialer.DialContext(t.Context(), "ws://"+s.listen+"/v1/ws", http.Header{"Origin": {"https://evil.example"}})
			if err == nil {
				_ = conn.Close()
				t.Fatal("a foreign origin was let in")
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("a foreign origin: %s", response.Status)
			}
		},
	} {
		t.Run(name, test)
	}
	silent.closed(4401)
	if after := time.Since(opened); after < 9*time.Second || after > 15*time.Second {
		t.Errorf("a connection that says nothing was closed after %v, want 10 s", after)
	}
	neighbour.end(t)
}

// It proves which tokens are good where a secret is configured: dev:<user> is
// none, nor what is signed otherwise, and a connection ends with its token.
func TestTokens(t *testing.T) {
	const secret = "a secret of these tests, 32 bytes or more"
	s := startServer(t, "--jwt-secret", secret)
	later, earlier := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Minute).Unix()
	sign := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := jwt.MapClaims{"sub": "alice", "exp": later}
	genuine := sign(jwt.SigningMethodHS256, []byte(secret), good)
	parts := strings.Split(genuine, ".")
	for name, row := range map[string]struct {
		token string
		close int
	}{
		"dev:<user>":           {"dev:alice", 4401},
		"nothing":              {"", 4401},
		"nonsense":             {"nonsense", 4401},
		"another secret":       {sign(jwt.SigningMethodHS256, []byte("another secret, just as long as the one"), good), 4401},
		"alg none":             {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good), 4401},
		"no signature":         {parts[0] + "." + parts[1] + ".", 4401},
		"no exp":               {sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "alice"}), 4401},
		"no sub":               {sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"exp": later}), 4401},
		"a sub that is a path": {sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "a.*", "exp": later}), 4401},
		"expired":              {sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "alice", "exp": earlier}), 4403},
		"64 KB":                {strings.Repeat("a", 60<<10), 4401},
	} {
		t.Run(name, func(t *testing.T) {
			c := openRaw(t, s.listen)
			c.say(websocket.TextMessage, fmt.Sprintf(`{"id":5,"connect":{"token":%q}}`, row.token))
			c.answered(5, "unauthorized")
			c.closed(row.close)
			if len(row.token) > 8<<10 {
				return // more than a header may hold
			}
			if status, answer := post(t, s.listen, row.token, "ping", `{}`); status != 401 || answer.code() != "unauthorized" {
				t.Errorf("over HTTP: %d %v", status, answer)
			}
		})
	}
	if status, answer := post(t, s.listen, genuine, "ping", `{}`); status != 200 {
		t.Errorf("a good token: %d %v", status, answer)
	}
	connect(t, s.listen, genuine).must(t, "ping", object{})

	brief := sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(3 * time.Second).Unix()})
	c := openRaw(t, s.listen).connect(brief)
	began := time.Now()
	c.closed(4403)
	if after := time.Since(began); after > 6*time.Second {
		t.Errorf("the connection outlived its token of 3 s by %v", after-3*time.Second)
	}
}

// It proves what a back end may do with the token the command line makes for
// it: write as anybody, at a time gone by, without being a member; that its
// input is checked all the same; and that nobody else may.
func TestServerTokens(t *testing.T) {
	s := startServer(t)
	token := s.serverToken(t)
	newGroup(t, s.listen, "g1", "general", "alice", "bob")
	past := time.Date(2006, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
	answer := must(t, s.listen, token, "send", object{"group": "g1", "channel": "general", "body": "as carol", "as": "carol", "ts": past})
	events := connect(t, s.listen, "dev:alice").mustPull(t, "g1", "general", 0, answer.number("v"))
	if e := events[0]; e.User != "carol" || e.TS != past {
		t.Errorf("sent as carol in 2006: %s", e.raw)
	}
	must(t, s.listen, token, "history", object{"group": "g1", "channel": "general"})
	c := connect(t, s.listen, token)
	c.must(t, "send", object{"group": "g1", "channel": "general", "body": "as bob", "as": "bob"})
	c.refused(t, "bad_request", "send", object{"group": "g1", "channel": "general", "body": "x", "as": "a.b"})
	c.refused(t, "bad_request", "send", object{"group": "g1", "channel": "general", "body": "x", "as": "bob", "ts": time.Now().Add(time.Hour).UnixMilli()})
	c.refused(t, "bad_request", "send", object{"group": "g1", "channel": "general", "body": "", "as": "bob"})
	c.refused(t, "not_found", "send", object{"group": "g1", "channel": "nowhere", "body": "x", "as": "bob"})

	// The same commands over NATS, for back ends beside the cluster.
	conn, _ := s.connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reply, err := conn.RequestMsgWithContext(ctx, natsCommand("send", token, `{"group":"g1","channel":"general","body":"over NATS","as":"bob"}`))
	var ok object
	if err != nil || json.Unmarshal(reply.Data, &ok) != nil || ok.number("v") != 3 {
		t.Fatalf("send over NATS: %s, %v", reply.Data, err)
	}
	reply, err = conn.RequestMsgWithContext(ctx, natsCommand("send", "dev:bob", `{"group":"g1","channel":"general","body":"x","as":"alice"}`))
	if err != nil || !contains(string(reply.Data), "forbidden") || reply.Header.Get("Nats-Service-Error-Code") == "" {
		t.Errorf("as over NATS without a server token: %v %s, %v", reply.Header, reply.Data, err)
	}
}
