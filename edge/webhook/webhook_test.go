package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/edge/webhook"
	"github.com/throng/throng/streams/streamtest"
)

const patience = 20 * time.Second

var secret = []byte("between us")

// receiver remembers what it took. It refuses a part of what comes.
type receiver struct {
	*httptest.Server
	t testing.TB

	mu      sync.Mutex
	calls   int                 // guarded by mu
	bodies  []string            // of messages, as taken; guarded by mu
	batches map[string][]string // attempts by delivery; guarded by mu
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t, batches: map[string][]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	data, _ := io.ReadAll(request.Body)
	stamp, _, _ := strings.Cut(strings.TrimPrefix(request.Header.Get(hook.SignatureHeader), "t="), ",")
	at, _ := strconv.ParseInt(stamp, 10, 64)
	if request.Header.Get(hook.SignatureHeader) != hook.Sign(secret, at, data) {
		r.t.Errorf("signature %q", request.Header.Get(hook.SignatureHeader))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	id := request.Header.Get("Throng-Delivery")
	r.batches[id] = append(r.batches[id], string(data))
	if r.calls%3 != 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var body struct {
		Events []struct {
			Kind, Body string
		}
	}
	if err := json.Unmarshal(data, &body); err != nil {
		r.t.Errorf("%q: %v", data, err)
	}
	for _, e := range body.Events {
		if e.Kind == "message" {
			r.bodies = append(r.bodies, e.Body)
		}
	}
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

func start(t testing.TB, s *edgetest.Stack, url string) (stop func()) {
	w := webhook.New(webhook.Config{
		JS: s.JS, Partitions: 1, URL: url, Secret: secret, FirstPause: 5 * time.Millisecond,
		Logger: streamtest.Logger(t), Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the webhook does not end")
		}
	})
	t.Cleanup(stop)
	streamtest.Eventually(t, patience, "the webhook follows the log", func() bool {
		_, err := s.JS.Consumer(t.Context(), "LOG_0", "webhook_default")
		return err == nil
	})
	return stop
}

// It proves that a receiver that refuses two of three attempts has everything in
// the end, in order, also what was sent while no webhook ran,
// and that attempts of one batch have one name and one content.
func TestEverythingIsToldInOrder(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	r := newReceiver(t)
	stop := start(t, s, r.URL)
	const each = 150
	var want []string
	send := func() {
		for range each {
			body := fmt.Sprintf("message %d", len(want))
			want = append(want, body)
			s.Send(t, body)
		}
	}
	send()
	streamtest.Eventually(t, patience, "the first part is taken", func() bool { return len(r.taken()) >= each })
	stop()
	send()
	start(t, s, r.URL)
	send()
	streamtest.Eventually(t, patience, "all is taken", func() bool { return len(r.taken()) >= len(want) })
	var got []string
	seen := map[string]bool{}
	for _, body := range r.taken() { // a batch that was taken when the webhook ended may come again
		if !seen[body] {
			seen[body] = true
			got = append(got, body)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d messages were taken, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("message %d is %q, want %q", i, got[i], want[i])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, attempts := range r.batches {
		for _, one := range attempts {
			if one != attempts[0] {
				t.Errorf("delivery %s has two contents", id)
			}
		}
	}
}
