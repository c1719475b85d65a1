package hook_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

var text = hook.Body{Bytes: []byte("hello  <b>\u00e4")}

var question = hook.Question{Command: "send", Group: "g", Channel: "c", User: "alice", Type: "text"}

func started(t *testing.T, c hook.Config) *hook.Hook {
	t.Helper()
	c.Logger, c.Registerer = streamtest.Logger(t), prometheus.NewRegistry()
	h, err := hook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// answering is a hook whose service answers with status and body.
func answering(t *testing.T, status int, body string) *hook.Hook {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return started(t, hook.Config{URL: server.URL})
}

func TestWhatAHookAnswers(t *testing.T) {
	object := hook.Body{Bytes: []byte(`{"a":1}`), JSON: true}
	for _, c := range []struct {
		name, answer string
		status       int
		body         hook.Body
		want         string // body, "" for none
		code         streams.Code
		failed       bool
	}{
		{"yes", `{"allow":true}`, 200, text, string(text.Bytes), "", false},
		{"yes, with another body", `{"allow":true,"body":"h**lo"}`, 200, text, "h**lo", "", false},
		{"yes, with another object", `{"allow":true,"body":{"a":2}}`, 200, object, `{"a":2}`, "", false},
		{"no", `{"allow":false}`, 200, text, "", streams.Forbidden, false},
		{"no, and why", `{"allow":false,"message":"mind your words"}`, 200, text, "", streams.Forbidden, false},
		{"an object for a text", `{"allow":true,"body":{"a":2}}`, 200, text, "", "", true},
		{"an empty body", `{"allow":true,"body":""}`, 200, text, "", "", true},
		{"a body that is too large", `{"allow":true,"body":"` + strings.Repeat("x", streams.MaxBody+1) + `"}`, 200, text, "", "", true},
		{"neither yes nor no", `{}`, 200, text, "", "", true},
		{"no JSON", `yes`, 200, text, "", "", true},
		{"an error", `{"allow":true}`, 500, text, "", "", true},
		{"elsewhere", `{"allow":true}`, 302, text, "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answering(t, c.status, c.answer).Judge(t.Context(), question, c.body)
			var refused *streams.Rejection
			switch {
			case c.failed:
				if !errors.Is(err, hook.ErrFailed) {
					t.Errorf("got %v, want a failure", err)
				}
			case c.code != "":
				if !errors.As(err, &refused) || refused.Code != c.code {
					t.Errorf("got %v, want %s", err, c.code)
				}
			case err != nil || string(got.Bytes) != c.want || got.JSON != c.body.JSON:
				t.Errorf("got %q %v %v, want %q", got.Bytes, got.JSON, err, c.want)
			}
		})
	}
}

// It proves that the service can tell who asks, and reads what was written.
func TestAQuestionIsSignedAndWhole(t *testing.T) {
	secret := []byte("between us")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(hook.SignatureHeader), "t="), ",")
		at, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || r.Header.Get(hook.SignatureHeader) != hook.Sign(secret, at, data) || time.Since(time.Unix(at, 0)) > time.Minute {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var q struct{ Group, Channel, User, Command, Body string }
		if err := json.Unmarshal(data, &q); err != nil || q.Group != "g" || q.User != "alice" || q.Body != string(text.Bytes) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"allow":true}`)
	}))
	defer server.Close()
	if _, err := started(t, hook.Config{URL: server.URL, Secret: secret}).Judge(t.Context(), question, text); err != nil {
		t.Error(err)
	}
	if _, err := started(t, hook.Config{URL: server.URL, Secret: []byte("another")}).Judge(t.Context(), question, text); !errors.Is(err, hook.ErrFailed) {
		t.Errorf("signed with another secret: %v", err)
	}
}

// It proves that a hook that hangs costs its deadline and no more, and that so
// does one with too many questions.
func TestAHookThatHangsFails(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"allow":true}`)
	}))
	defer server.Close()
	defer close(release)
	h := started(t, hook.Config{URL: server.URL, Deadline: 300 * time.Millisecond, Open: 1})
	first := make(chan error, 1)
	go func() {
		_, err := h.Judge(t.Context(), question, text)
		first <- err
	}()
	<-arrived
	if _, err := h.Judge(t.Context(), question, text); !errors.Is(err, hook.ErrFailed) {
		t.Errorf("the second at once: %v", err)
	}
	if err := <-first; !errors.Is(err, hook.ErrFailed) {
		t.Errorf("the first: %v", err)
	}
}

func TestAHookOverNATS(t *testing.T) {
	n := streamtest.New(t)
	conn := n.Connection(t)
	sub, err := conn.Subscribe("check.messages", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"allow":false,"message":"not today"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	h := started(t, hook.Config{Subject: "check.messages", Conn: conn})
	_, err = h.Judge(t.Context(), question, text)
	if refused := streams.AsRejection(err); refused.Code != streams.Forbidden || refused.Message != "not today" {
		t.Errorf("got %v", err)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Judge(t.Context(), question, text); !errors.Is(err, hook.ErrFailed) {
		t.Errorf("with nobody there: %v", err)
	}
}

func TestWhatAHookMustHave(t *testing.T) {
	for _, c := range []hook.Config{{}, {URL: "http://a", Subject: "b"}, {URL: "ftp://a"}, {URL: "http://"}, {URL: "a"}} {
		c.Registerer = prometheus.NewRegistry()
		if _, err := hook.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
