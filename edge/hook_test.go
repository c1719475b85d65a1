package edge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/streams/streamtest"
)

// moderated is an edge whose hook refuses "bad", changes "rude" and, while down
// is set, answers nothing of use.
func moderated(t *testing.T, closed bool) (s *edgetest.Stack, down *atomic.Bool) {
	t.Helper()
	down = &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Body string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		switch {
		case down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case q.Body == "bad":
			_, _ = io.WriteString(w, `{"allow":false,"message":"mind your words"}`)
		case q.Body == "rude":
			_, _ = io.WriteString(w, `{"allow":true,"body":"r*de"}`)
		default:
			_, _ = io.WriteString(w, `{"allow":true}`)
		}
	}))
	t.Cleanup(server.Close)
	h, err := hook.New(hook.Config{
		URL: server.URL, Closed: closed, Deadline: 10 * time.Second,
		Logger: streamtest.Logger(t), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	s = edgetest.New(t, func(c *edge.Config) { c.Hook, c.JWTSecret = h, secret })
	s.Group(t)
	return s, down
}

func said(body string) map[string]any {
	return map[string]any{"group": "g", "channel": "c", "body": body}
}

func TestTheHookJudgesWhatIsSentAndEdited(t *testing.T) {
	s, down := moderated(t, false)
	s.OK(t, "dev:bob", "send", said("good"))
	if status, body := s.Post(t, "dev:bob", "send", said("bad")); status != 403 || code(body) != "forbidden" {
		t.Errorf("bad: %d %v", status, body)
	}
	s.OK(t, "dev:bob", "send", said("rude"))
	edit := said("bad")
	edit["n"] = 1
	if _, body := s.Post(t, "dev:bob", "edit", edit); code(body) != "forbidden" {
		t.Errorf("edited to bad: %v", body)
	}
	asServer := said("bad")
	asServer["as"] = "bob"
	s.OK(t, serverToken(t), "send", asServer)
	down.Store(true)
	s.OK(t, "dev:bob", "send", said("unjudged"))

	pulled := s.OK(t, "dev:bob", "pull", map[string]any{"group": "g", "channel": "c", "after": 0})
	var bodies []string
	for _, e := range pulled["events"].([]any) {
		bodies = append(bodies, e.(map[string]any)["body"].(string))
	}
	want := []string{"good", "r*de", "bad", "unjudged"}
	if len(bodies) != len(want) {
		t.Fatalf("got %q, want %q", bodies, want)
	}
	for i := range want {
		if bodies[i] != want[i] {
			t.Errorf("message %d: %q, want %q", i+1, bodies[i], want[i])
		}
	}
}

func TestAClosedHookRefusesWhatItCannotJudge(t *testing.T) {
	s, down := moderated(t, true)
	s.OK(t, "dev:bob", "send", said("good"))
	down.Store(true)
	status, body := s.Post(t, "dev:bob", "send", said("unjudged"))
	if status != 503 || code(body) != "unavailable" {
		t.Errorf("got %d %v", status, body)
	}
}
