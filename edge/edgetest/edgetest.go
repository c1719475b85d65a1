package edgetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// Stack is an edge and its neighbours on one partition.
type Stack struct {
	*streamtest.NATS
	Owner *Owner
	Edge  *edge.Edge

	stop func()
}

// New starts an edge that ends with the test; change alters its
// configuration.
func New(t testing.TB, change ...func(*edge.Config)) *Stack {
	t.Helper()
	s := &Stack{NATS: streamtest.Provisioned(t, 1)}
	s.Owner = NewOwner(t, s.Connection(t), 0)
	s.Edge, s.stop = s.Start(t, change...)
	return s
}

// Start starts a further edge on the same neighbours; stop ends it and waits.
func (s *Stack) Start(t testing.TB, change ...func(*edge.Config)) (e *edge.Edge, stop func()) {
	t.Helper()
	conn := s.Connection(t)
	config := edge.Config{
		Conn: conn, JS: s.JS, Deployment: topology.Deployment{Partitions: 1, Replicas: 1},
		Logger: streamtest.Logger(t), Listen: "127.0.0.1:0", Version: "1.2.3",
		DevMode: func(context.Context) (bool, error) { return true, nil },
	}
	for _, f := range change {
		f(&config)
	}
	e, err := edge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	select {
	case <-e.Listening():
	case err := <-ended:
		t.Fatal(err)
	}
	var over bool
	stop = func() {
		if over {
			return
		}
		over = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the edge does not end")
		}
	}
	t.Cleanup(stop)
	return e, stop
}

// Stop ends the stack's own edge.
func (s *Stack) Stop() { s.stop() }

// Post sends a command over HTTP and returns status and body.
func (s *Stack) Post(t testing.TB, token, command string, object any) (int, map[string]any) {
	t.Helper()
	status, body, _ := Post(t, s.Edge, token, command, object)
	return status, body
}

// Post sends a command over HTTP to an edge; object is a string of JSON or
// what becomes one.
func Post(t testing.TB, e *edge.Edge, token, command string, object any) (int, map[string]any, http.Header) {
	t.Helper()
	text, ok := object.(string)
	if !ok {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.Addr().String()+"/v1/"+command, bytes.NewBufferString(text))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatalf("%s: %q: %v", command, data, err)
	}
	return response.StatusCode, body, response.Header
}

// OK sends a command over HTTP that must succeed.
func (s *Stack) OK(t testing.TB, token, command string, object any) map[string]any {
	t.Helper()
	status, body := s.Post(t, token, command, object)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %v", command, status, body)
	}
	return body
}

// Group makes group g with channel c, owned by alice, with bob as a member.
func (s *Stack) Group(t testing.TB) {
	t.Helper()
	s.OK(t, "dev:alice", "create_group", map[string]any{"group": "g", "kind": "community", "name": "G"})
	s.OK(t, "dev:alice", "create_channel", map[string]any{"group": "g", "channel": "c", "kind": "public", "name": "C"})
	s.OK(t, "dev:bob", "join", map[string]any{"group": "g"})
}

// Send sends messages to channel c of group g as alice.
func (s *Stack) Send(t testing.TB, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		s.OK(t, "dev:alice", "send", map[string]any{"group": "g", "channel": "c", "body": body})
	}
}

// Gauge reads a metric without labels from the stack's own edge.
func (s *Stack) Gauge(t testing.TB, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.Edge.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
