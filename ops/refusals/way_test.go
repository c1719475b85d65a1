package refusals_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
)

// answer is all that somebody is told who asked, but for the id of the question.
type answer struct {
	status string // over HTTP and NATS, with the headers that depend on the answer
	body   []byte
}

// String is all of it.
func (a answer) String() string { return a.status + " " + string(a.body) }

// code is the error's code, "" where there is none.
func (a answer) code() string {
	var refused struct {
		Error struct{ Code string }
	}
	if err := json.Unmarshal(a.body, &refused); err != nil {
		return "no JSON"
	}
	return refused.Error.Code
}

// way is how commands are asked, by one user.
type way func(t testing.TB, command, object string) answer

// ways are the ways there are, made for a token.
var ways = map[string]func(t testing.TB, d *deployment, token string) way{
	"WebSocket": func(t testing.TB, d *deployment, token string) way { return d.connect(t, token).ask },
	"HTTP": func(_ testing.TB, d *deployment, token string) way {
		return func(t testing.TB, command, object string) answer { return d.http(t, token, command, object) }
	},
	"NATS": func(_ testing.TB, d *deployment, token string) way {
		return func(t testing.TB, command, object string) answer { return d.nats(t, token, command, object) }
	},
}

func (d *deployment) http(t testing.TB, token, command, object string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.edge.Addr().String()+"/v1/"+command, bytes.NewBufferString(object))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	return answer{status: fmt.Sprint(response.StatusCode, response.Header), body: bytes.TrimSpace(body)}
}

// question is a command as it is sent over NATS.
func question(token, command, object string) *nats.Msg {
	m := nats.NewMsg(streams.APISubject(command))
	m.Data = []byte(object)
	m.Header.Set("Authorization", "Bearer "+token)
	return m
}

func (d *deployment) nats(t testing.TB, token, command, object string) answer {
	t.Helper()
	reply, err := d.conn.RequestMsg(question(token, command, object), patience)
	if err != nil {
		t.Errorf("%s: %v", command, err)
		return answer{}
	}
	return answer{status: fmt.Sprint(reply.Header), body: reply.Data}
}

// session is a connected WebSocket. Its methods may be called from any
// goroutine.
type session struct {
	conn  *websocket.Conn
	ended chan struct{} // closed when nothing is read any more
	why   error         // of the end; valid once ended is closed

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]chan []byte // answers without their id, each holds one
	pushed  [][]byte               // what the server said by itself, and answers nobody waits for
}

// connect opens a connection that ends with the test.
func (d *deployment) connect(t testing.TB, token string) *session {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(t.Context(), "ws://"+d.edge.Addr().String()+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	s := &session{conn: conn, ended: make(chan struct{}), waiting: map[uint64]chan []byte{}}
	go s.read()
	t.Cleanup(func() {
		_ = conn.Close()
		<-s.ended
	})
	if a := s.ask(t, "connect", fmt.Sprintf(`{"token":%q}`, token)); a.code() != "" {
		t.Fatalf("connect: %s", a)
	}
	return s
}

// read ends with the connection.
func (s *session) read() {
	defer close(s.ended)
	for {
		_, message, err := s.conn.ReadMessage()
		if err != nil {
			s.why = err
			return
		}
		for _, frame := range bytes.Split(message, []byte("\n")) {
			s.take(frame)
		}
	}
}

func (s *session) take(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest, ok := bytes.CutPrefix(frame, []byte(`{"id":`)); ok {
		digits, rest, _ := bytes.Cut(rest, []byte(","))
		var id uint64
		if err := json.Unmarshal(digits, &id); err == nil && s.waiting[id] != nil {
			s.waiting[id] <- append([]byte("{"), rest...)
			delete(s.waiting, id)
			return
		}
	}
	s.pushed = append(s.pushed, frame)
}

// ask does a command and waits for its answer.
func (s *session) ask(t testing.TB, command, object string) answer {
	t.Helper()
	told := make(chan []byte, 1)
	s.mu.Lock()
	s.lastID++
	s.waiting[s.lastID] = told
	err := s.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"id":%d,%q:%s}`, s.lastID, command, object))
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case body := <-told:
		return answer{body: body}
	case <-s.ended:
		t.Fatalf("%s %.200s ended the connection", command, object)
	case <-timer.C:
		t.Fatalf("%s %.200s is not answered", command, object)
	}
	return answer{}
}

// heard returns what the server said by itself so far.
func (s *session) heard() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.pushed...)
}

// forget drops what was heard.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed = nil
}
