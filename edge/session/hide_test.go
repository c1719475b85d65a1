package session_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

const inC = `{"group":"g","channel":"c","after":0}`

// secret is what hidden messages and their edits say.
const secret = "not for bob's eyes"

// reading is what a user reads of channel c over HTTP: the kinds of its events,
// the numbers of its messages, and whether anything of the secret is in them.
func reading(t *testing.T, e *edge.Edge, user string) (kinds, numbers string, leaks bool) {
	t.Helper()
	_, pulled, _ := edgetest.Post(t, e, "dev:"+user, "pull", inC)
	for _, e := range pulled["events"].([]any) {
		kinds += fmt.Sprint(e.(map[string]any)["kind"], " ")
	}
	_, history, _ := edgetest.Post(t, e, "dev:"+user, "history", inC)
	for _, m := range history["messages"].([]any) {
		numbers += fmt.Sprint(m.(map[string]any)["n"], " ")
	}
	all, err := json.Marshal([]any{pulled, history})
	if err != nil {
		t.Fatal(err)
	}
	return kinds, numbers, strings.Contains(string(all), secret)
}

func TestWhatAUserHidesIsGoneForThemOnAllEdges(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	other, stop := s.Start(t)
	s.Send(t, "one", secret, "three", secret)
	phone, desk := connected(t, s.Edge, "bob"), connected(t, other, "bob")
	alice := connected(t, other, "alice")
	for _, c := range []*client{phone, desk, alice} {
		c.ok("subscribe", inC)
		c.keep = true
	}
	phone.ok("hide", `{"group":"g","channel":"c","n":2}`)
	request := nats.NewMsg(streams.APISubject("hide"))
	request.Header.Set("Authorization", "Bearer dev:bob")
	request.Data = []byte(`{"group":"g","channel":"c","n":4}`)
	if answer, err := s.Conn.RequestMsg(request, patience); err != nil || string(answer.Data) != "{}" {
		t.Fatalf("over NATS: %v, %v", answer, err)
	}
	const kinds = "message hidden message hidden "
	streamtest.Eventually(t, patience, "both edges know", func() bool {
		here, _, _ := reading(t, s.Edge, "bob")
		there, _, _ := reading(t, other, "bob")
		return here == kinds && there == kinds
	})
	for name, e := range map[string]*edge.Edge{"here": s.Edge, "there": other} {
		if kinds, numbers, leaks := reading(t, e, "bob"); numbers != "1 3 " || leaks {
			t.Errorf("%s bob reads %s, messages %s, leaks %v", name, kinds, numbers, leaks)
		}
		if kinds, numbers, _ := reading(t, e, "alice"); kinds != "message message message message " || numbers != "1 2 3 4 " {
			t.Errorf("%s alice reads %s, messages %s", name, kinds, numbers)
		}
	}
	// Pushed are its edits without what they say, to bob on both edges.
	s.OK(t, "dev:alice", "edit", map[string]any{"group": "g", "channel": "c", "n": 2, "body": secret})
	s.OK(t, "dev:alice", "react", map[string]any{"group": "g", "channel": "c", "n": 2, "emoji": "+"})
	for _, test := range []struct {
		c    *client
		want string
	}{{phone, "hidden react "}, {desk, "hidden react "}, {alice, "edit react "}} {
		got, f := "", &follower{t: t, v: 4}
		f.until(test.c, 6)
		for _, e := range f.events {
			got += e.Kind + " "
		}
		if got != test.want {
			t.Errorf("pushed %s, want %s", got, test.want)
		}
	}
	again := phone.ok("subscribe", inC)
	if text := fmt.Sprint(again["events"]); strings.Contains(text, secret) || len(again["events"].([]any)) != 6 {
		t.Errorf("subscribed again: %s", text)
	}
	for _, c := range []*client{phone, desk} {
		if heard := strings.Join(c.heard, "\n"); strings.Contains(heard, secret) {
			t.Errorf("bob heard %s", heard)
		}
	}
	// An edge that begins knows it too.
	stop()
	fresh, _ := s.Start(t)
	if kinds, numbers, leaks := reading(t, fresh, "bob"); kinds != "message hidden message hidden hidden react " || numbers != "1 3 " || leaks {
		t.Errorf("after a restart: %s, messages %s, leaks %v", kinds, numbers, leaks)
	}
}

// Other edges are told at once, not when they next look.
func TestOtherEdgesAreToldAtOnce(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	other, _ := s.Start(t)
	for n := 1; n <= 10; n++ {
		s.Send(t, secret)
		streamtest.Eventually(t, patience, "the other edge has the message", func() bool { // which it hears of by itself
			_, _, leaks := reading(t, other, "bob")
			return leaks
		})
		s.OK(t, "dev:bob", "hide", map[string]any{"group": "g", "channel": "c", "n": n})
		streamtest.Eventually(t, time.Second, "the other edge is told", func() bool {
			_, _, leaks := reading(t, other, "bob")
			return !leaks
		})
	}
}

// What an edge is not told it finds when it looks.
func TestAnEdgeFindsWhatItWasNotTold(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	var lost atomic.Bool
	other, _ := s.Start(t, func(c *edge.Config) {
		c.Lose = func(m *nats.Msg) bool {
			_, _, hide := streams.ParseHide(m.Subject)
			lost.Store(lost.Load() || hide)
			return hide
		}
	})
	s.Send(t, secret)
	desk := connected(t, other, "bob")
	desk.ok("subscribe", inC)
	s.OK(t, "dev:bob", "hide", `{"group":"g","channel":"c","n":1}`)
	streamtest.Eventually(t, patience, "the other edge knows", func() bool {
		_, numbers, leaks := reading(t, other, "bob")
		return numbers == "" && !leaks
	})
	if !lost.Load() {
		t.Error("it was told")
	}
}

// What comes behind a hide on the same connection knows of it, without waiting
// for its answer.
func TestHideIsInOrderWithWhatIsAskedBehindIt(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	bob := connected(t, s.Edge, "bob")
	for n := 1; n <= 20; n++ {
		s.Send(t, secret)
		bob.ask("hide", fmt.Sprintf(`{"group":"g","channel":"c","n":%d}`, n))
		id := bob.ask("pull", inC)
		if f := bob.answer(id); strings.Contains(string(f.OK), secret) || !strings.Contains(string(f.OK), `"kind":"hidden"`) {
			t.Fatalf("behind hide %d: %s", n, f.OK)
		}
	}
}

func TestHidesFromTwoEdgesAtOnceLoseNone(t *testing.T) {
	const each = 15
	s := edgetest.New(t)
	s.Group(t)
	other, _ := s.Start(t)
	for range 2 * each {
		s.Send(t, secret)
	}
	var both sync.WaitGroup
	for side, e := range []*edge.Edge{s.Edge, other} {
		both.Go(func() {
			for i := range each {
				status, body, _ := edgetest.Post(t, e, "dev:bob", "hide", map[string]any{"group": "g", "channel": "c", "n": 2*i + side + 1})
				if status != 200 {
					t.Errorf("hide on side %d: %v", side, body)
				}
			}
		})
	}
	both.Wait()
	fresh, _ := s.Start(t) // knows what is stored and nothing else
	for _, e := range []*edge.Edge{s.Edge, other, fresh} {
		streamtest.Eventually(t, patience, "all is hidden", func() bool {
			_, numbers, leaks := reading(t, e, "bob")
			return numbers == "" && !leaks
		})
	}
}

func TestWhoMayHideWhat(t *testing.T) {
	key := []byte("a secret for this test only")
	s := edgetest.New(t, func(c *edge.Config) { c.JWTSecret = key })
	s.Group(t)
	vault(t, s)
	s.Send(t, "one")
	bob, stranger := connected(t, s.Edge, "bob"), connected(t, s.Edge, "stranger")
	for object, want := range map[string]string{
		`{"group":"g","channel":"c","n":2}`:                "not_found",
		`{"group":"g","channel":"c","n":9007199254740991}`: "not_found",
		`{"group":"g","channel":"@members","n":1}`:         "not_found",
		`{"group":"g","channel":"vault","n":1}`:            "not_found",
		`{"group":"g","channel":"nothing-there","n":1}`:    "not_found",
		`{"group":"none","channel":"c","n":1}`:             "not_found",
		`{"group":"g","channel":"c","n":0}`:                "bad_request",
		`{"group":"g","channel":"c"}`:                      "bad_request",
	} {
		if got := bob.code("hide", object); got != want {
			t.Errorf("%s: %s, want %s", object, got, want)
		}
	}
	if got := stranger.code("hide", `{"group":"g","channel":"c","n":1}`); got != "not_member" {
		t.Errorf("a stranger: %s", got)
	}
	server, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "backend", "throng": map[string]any{"server": true}, "exp": jwt.NewNumericDate(time.Now().Add(time.Hour))}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := s.Post(t, server, "hide", `{"group":"g","channel":"c","n":1}`); status != 400 {
		t.Errorf("a back end for nobody: %v", body)
	}
	s.OK(t, server, "hide", `{"group":"g","channel":"c","n":1,"as":"carol"}`)
	if _, numbers, _ := reading(t, s.Edge, "carol"); numbers != "" {
		t.Errorf("carol reads %s after a back end has hidden it for her", numbers)
	}
	for range 2 { // it may be repeated
		if ok := bob.ok("hide", `{"group":"g","channel":"c","n":1}`); len(ok) != 0 {
			t.Errorf("answered %v", ok)
		}
	}
}
