package session_test

import (
	"testing"
	"time"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/limit"
)

func limited(t *testing.T, l limit.Limits) *edgetest.Stack {
	t.Helper()
	s := edgetest.New(t, func(c *edge.Config) { c.Limits = l })
	s.Group(t)
	return s
}

// It proves that who asks too fast is told when to go on, that nothing refused
// was done, and that the connection lives.
func TestAConnectionThatAsksTooFastIsToldSo(t *testing.T) {
	s := limited(t, limit.Limits{Connection: limit.Rate{PerSecond: 2, Burst: 3}})
	c := connected(t, s.Edge, "alice")
	var refused frame
	for i := 0; refused.Error == nil; i++ {
		if i > 20 { // some refill while they travel
			t.Fatal("nothing was refused")
		}
		refused = c.answer(c.ask("ping", "{}"))
	}
	if refused.Error.Code != "rate_limited" || refused.Error.RetryMS < 1 || refused.Error.RetryMS > 500 {
		t.Fatalf("got %+v, want rate_limited with retry_ms up to 500", *refused.Error)
	}
	timer := time.NewTimer(time.Duration(refused.Error.RetryMS) * time.Millisecond)
	<-timer.C
	c.ok("ping", "{}")
}

func TestAUserHasOneRateOverAllConnections(t *testing.T) {
	s := limited(t, limit.Limits{User: limit.Rate{PerSecond: 0.01, Burst: 3}})
	one, other := connected(t, s.Edge, "carol"), connected(t, s.Edge, "carol")
	one.ok("join", `{"group":"g"}`)
	message := `{"group":"g","channel":"c","body":"hello"}`
	one.ok("send", message)
	other.ok("send", message)
	if code := one.code("send", message); code != "rate_limited" {
		t.Errorf("the third: %s", code)
	}
	if head := one.ok("pull", `{"group":"g","channel":"c","after":0}`)["through"]; head != 2.0 {
		t.Errorf("the channel is at %v, want 2", head)
	}
	connected(t, s.Edge, "bob").ok("send", message)
	status, answer := s.Post(t, "dev:carol", "send", message)
	if refusal, _ := answer["error"].(map[string]any); status != 429 || refusal["code"] != "rate_limited" || refusal["retry_ms"] == nil {
		t.Errorf("over HTTP: %d %v", status, answer)
	}
}

func TestTooManyConnectionsOfAUser(t *testing.T) {
	s := limited(t, limit.Limits{Connections: 2})
	first := connected(t, s.Edge, "alice")
	connected(t, s.Edge, "alice")
	third := dial(t, s.Edge)
	if code := third.code("connect", `{"token":"dev:alice"}`); code != "rate_limited" {
		t.Errorf("the third: %s", code)
	}
	if code := third.closed(); code != 4429 {
		t.Errorf("closed with %d", code)
	}
	connected(t, s.Edge, "bob")
	_ = first.conn.Close()
	for deadline := time.Now().Add(patience); ; { // its place is free when the edge has noticed
		again := dial(t, s.Edge)
		if again.answer(again.ask("connect", `{"token":"dev:alice"}`)).Error == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not free")
		}
	}
}
