package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

var secret = []byte("a secret for these tests only")

func serverToken(t *testing.T) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "backend", "exp": jwt.NewNumericDate(time.Now().Add(time.Hour)), "throng": map[string]any{"server": true}}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func get(t *testing.T, s *edgetest.Stack, path string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Edge.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func code(body map[string]any) string {
	if e, ok := body["error"].(map[string]any); ok {
		return e["code"].(string)
	}
	return "ok"
}

func TestCommandsOverHTTP(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) { c.JWTSecret = secret })
	s.Group(t)
	s.Send(t, "hi")
	server := serverToken(t)
	tests := []struct {
		name, token, command, object string
		status                       int
		code                         string
	}{
		{"a ping", "dev:bob", "ping", `{}`, 200, "ok"},
		{"no body at all", "dev:bob", "ping", ``, 200, "ok"},
		{"no token", "", "ping", `{}`, 401, "unauthorized"},
		{"a bad token", "x.y.z", "ping", `{}`, 401, "unauthorized"},
		{"an unknown command", "dev:bob", "pong", `{}`, 404, "not_found"},
		{"a command of a later version", "dev:bob", "sync", `{}`, 400, "bad_request"},
		{"subscribe", "dev:bob", "subscribe", `{"group":"g","channel":"c"}`, 400, "bad_request"},
		{"connect", "dev:bob", "connect", `{}`, 400, "bad_request"},
		{"no JSON", "dev:bob", "ping", `x`, 400, "bad_request"},
		{"not UTF-8", "dev:bob", "ping", "{\"\xff\":1}", 400, "bad_request"},
		{"an array", "dev:bob", "ping", `[]`, 400, "bad_request"},
		{"a large request", "dev:bob", "ping", `{"x":"` + strings.Repeat("x", wire.MaxFrame) + `"}`, 413, "too_large"},
		{"a large body", "dev:bob", "send", `{"group":"g","channel":"c","body":"` + strings.Repeat("x", streams.MaxBody+1) + `"}`, 413, "too_large"},
		{"the largest body", "dev:bob", "send", `{"group":"g","channel":"c","body":"` + strings.Repeat("x", streams.MaxBody) + `"}`, 200, "ok"},
		{"who is no member", "dev:carol", "history", `{"group":"g","channel":"c"}`, 403, "not_member"},
		{"who is no member, sending", "dev:carol", "send", `{"group":"g","channel":"c","body":"x"}`, 403, "not_member"},
		{"an unknown group", "dev:bob", "history", `{"group":"other","channel":"c"}`, 404, "not_found"},
		{"an unknown channel", "dev:bob", "history", `{"group":"g","channel":"other"}`, 404, "not_found"},
		{"a group that exists", "dev:bob", "create_group", `{"group":"g","kind":"room","name":"x"}`, 409, "conflict"},
		{"history", "dev:bob", "history", `{"group":"g","channel":"c"}`, 200, "ok"},
		{"as without a server token", "dev:bob", "send", `{"group":"g","channel":"c","body":"x","as":"alice"}`, 403, "forbidden"},
		{"ts without a server token", "dev:bob", "send", `{"group":"g","channel":"c","body":"x","ts":1}`, 403, "forbidden"},
		{"a back end reads", server, "history", `{"group":"g","channel":"c"}`, 200, "ok"},
		{"a back end speaks for a user", server, "send", `{"group":"g","channel":"c","body":"x","as":"carol","ts":1000}`, 200, "ok"},
		{"a back end's time in the future", server, "send", `{"group":"g","channel":"c","body":"x","ts":9000000000000}`, 400, "bad_request"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := s.Post(t, test.token, test.command, test.object)
			if status != test.status || code(body) != test.code {
				t.Errorf("got %d %v, want %d %s", status, body, test.status, test.code)
			}
		})
	}
	history := s.OK(t, "dev:bob", "history", `{"group":"g","channel":"c","limit":1}`)
	if newest := history["messages"].([]any)[0].(map[string]any); newest["user"] != "carol" {
		t.Errorf("the newest is %v", newest)
	}
}

func TestUnavailableSaysWhenToTryAgain(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	s.Owner.Stop()
	status, body, header := edgetest.Post(t, s.Edge, "dev:alice", "send", `{"group":"g","channel":"c","body":"x"}`)
	if status != 503 || code(body) != "unavailable" || header.Get("Retry-After") != "1" || body["error"].(map[string]any)["retry_ms"] != 1000.0 {
		t.Errorf("got %d %v, Retry-After %q", status, body, header.Get("Retry-After"))
	}
	s.Owner.Start()
}

func TestRoutes(t *testing.T) {
	demo := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the demo")) })
	s := edgetest.New(t, func(c *edge.Config) { c.Demo = demo })
	if status, _, header := get(t, s, "/v1/send"); status != 405 || header.Get("Allow") != "POST" {
		t.Errorf("GET of a command: %d, Allow %q", status, header.Get("Allow"))
	}
	if status, body, _ := get(t, s, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	if status, body, _ := get(t, s, "/metrics"); status != 200 || !strings.Contains(body, "throng_edge_sessions 0") {
		t.Errorf("metrics: %d %q", status, body)
	}
	if status, body, _ := get(t, s, "/"); status != 200 || body != "the demo" {
		t.Errorf("demo: %d %q", status, body)
	}
	bare := edgetest.New(t)
	if status, _, _ := get(t, bare, "/"); status != 404 {
		t.Errorf("without a demo: %d", status)
	}
}

func TestReadyOnlyWhenWritingAndReadingWork(t *testing.T) {
	s := edgetest.New(t)
	ready := func() (int, map[string]any) {
		status, body, _ := get(t, s, "/readyz")
		var state map[string]any
		if err := json.Unmarshal([]byte(body), &state); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		return status, state
	}
	if status, state := ready(); status != 503 || state["clickhouse"] != "away" || state["partitions"] != nil {
		t.Errorf("before ClickHouse has been there: %d %v", status, state)
	}
	store := edgetest.NewStore(t, s.Conn, s.Owner)
	becomes := func(what string, want int) (last map[string]any) {
		streamtest.Eventually(t, 15*time.Second, what, func() bool {
			var status int
			status, last = ready()
			return status == want
		})
		return last
	}
	becomes("ready", 200)
	store.Away.Store(true)
	streamtest.Eventually(t, 15*time.Second, "ready without ClickHouse", func() bool {
		status, state := ready()
		return status == 200 && state["clickhouse"] == "away"
	})
	s.Owner.Stop()
	if state := becomes("not ready", 503); state["partitions"].(map[string]any)["0"] == nil {
		t.Errorf("got %v", state)
	}
	s.Owner.Start()
	becomes("ready again", 200)
}

// Signals over HTTP and NATS count for one user, however they come; a back end's
// do not.
func TestTooManySignalsOfAUser(t *testing.T) {
	s := edgetest.New(t, func(c *edge.Config) {
		c.Limits = limit.Limits{Signals: limit.Rate{PerSecond: 0.01, Burst: 2}}
	})
	s.Group(t)
	signal := `{"group":"g","channel":"c","type":"typing"}`
	s.OK(t, "dev:bob", "signal", signal)
	msg := nats.NewMsg(streams.APISubject("signal"))
	msg.Data = []byte(signal)
	msg.Header.Set("Authorization", "Bearer dev:bob")
	if answer, err := s.Conn.RequestMsg(msg, 10*time.Second); err != nil || string(answer.Data) != "{}" {
		t.Fatalf("the second, over NATS: %s, %v", answer.Data, err)
	}
	status, body := s.Post(t, "dev:bob", "signal", signal)
	refusal, _ := body["error"].(map[string]any)
	if retry, _ := refusal["retry_ms"].(float64); status != 429 || refusal["code"] != "rate_limited" || retry < 1 || retry > 100_000 {
		t.Errorf("the third: %d %v", status, body)
	}
	answer, err := s.Conn.RequestMsg(msg, 10*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), `"code":"rate_limited"`) || !strings.Contains(string(answer.Data), "retry_ms") {
		t.Errorf("the fourth, over NATS: %s, %v", answer.Data, err)
	}
	s.OK(t, "dev:alice", "signal", signal)
}

func TestCommandsOverNATS(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	ask := func(token, command, object string) map[string]any {
		t.Helper()
		msg := nats.NewMsg(streams.APISubject(command))
		msg.Data = []byte(object)
		if token != "" {
			msg.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := s.Conn.RequestMsg(msg, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(answer.Data, &body); err != nil {
			t.Fatalf("%q: %v", answer.Data, err)
		}
		return body
	}
	if body := ask("dev:bob", "send", `{"group":"g","channel":"c","body":"x"}`); body["v"] != 1.0 {
		t.Errorf("got %v", body)
	}
	if body := ask("dev:bob", "pull", `{"group":"g","channel":"c","after":0}`); body["through"] != 1.0 {
		t.Errorf("got %v", body)
	}
	for command, want := range map[string]string{"sync": "bad_request", "subscribe": "bad_request"} {
		if got := code(ask("dev:bob", command, `{}`)); got != want {
			t.Errorf("%s: got %s", command, got)
		}
	}
	if got := code(ask("", "ping", `{}`)); got != "unauthorized" {
		t.Errorf("without a token: %s", got)
	}
	if got := code(ask("dev:bob", "ping", `{"x":"`+strings.Repeat("x", wire.MaxFrame)+`"}`)); got != "too_large" {
		t.Errorf("too large: %s", got)
	}
}

func TestConfigReportsAllProblemsAtOnce(t *testing.T) {
	_, err := edge.New(edge.Config{})
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("got %v", err)
	}
}

func TestRunFailsWhereTheAddressIsTaken(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	e, err := edge.New(edge.Config{
		Conn: n.Conn, JS: n.JS, Deployment: topology.Deployment{Partitions: 1, Replicas: 1},
		Logger: streamtest.Logger(t), Listen: taken.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var op *net.OpError
	if err := e.Run(context.Background()); !errors.As(err, &op) {
		t.Errorf("got %v", err)
	}
}
