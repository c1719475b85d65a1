package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams/streamtest"
)

func TestSignalsReachWhoFollowsTheChannelOnEveryEdge(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	vault(t, s)
	second, _ := s.Start(t)
	carol, bob, alice := connected(t, second, "carol"), connected(t, second, "bob"), connected(t, s.Edge, "alice")
	for _, c := range []*client{carol, bob, alice} {
		c.ok("subscribe", `{"group":"g","channel":"c"}`)
	}
	carol.ok("subscribe", `{"group":"g","channel":"vault"}`)
	bob.keep = true
	alice.ok("signal", `{"group":"g","channel":"vault","type":"typing","data":"under the floor"}`)
	alice.ok("signal", `{"group":"g","channel":"c","type":"typing","data":{"on":[true,null,"\n"]}}`)
	for _, want := range []string{"vault", "c"} {
		if got := carol.push().Signal; got == nil || got.Channel != want || got.User != "alice" || got.Group != "g" || got.Type != "typing" {
			t.Errorf("got %+v, want one of %s", got, want)
		}
	}
	if got := bob.push().Signal; got == nil || got.Channel != "c" || string(got.Data) != `{"on":[true,null,"\n"]}` {
		t.Errorf("got %+v", got)
	}
	clean(t, "who is not in it", bob.heard...)

	s.OK(t, "dev:alice", "member", `{"group":"g","user":"bob","do":"mute"}`)
	// The other edge learns it from the log.
	streamtest.Eventually(t, patience, "bob is muted", func() bool {
		f := bob.answer(bob.ask("signal", `{"group":"g","channel":"c","type":"typing"}`))
		return f.Error != nil && f.Error.Code == "muted" && f.Error.RetryMS == 0
	})
	until := time.Now().Add(time.Hour).UnixMilli()
	s.OK(t, "dev:alice", "member", fmt.Sprintf(`{"group":"g","user":"bob","do":"mute","until":%d}`, until))
	streamtest.Eventually(t, patience, "bob is muted for an hour", func() bool {
		f := bob.answer(bob.ask("signal", `{"group":"g","channel":"c","type":"typing"}`))
		return f.Error != nil && f.Error.Code == "muted" && f.Error.RetryMS > 0 && f.Error.RetryMS <= 3_600_000
	})
	s.OK(t, "dev:alice", "member", `{"group":"g","user":"bob","do":"unmute"}`)
	s.OK(t, "dev:alice", "update_group", `{"group":"g","name":"G","settings":{"mute_all":true}}`)
	streamtest.Eventually(t, patience, "all are muted but who moderates", func() bool {
		f := bob.answer(bob.ask("signal", `{"group":"g","channel":"c","type":"typing"}`))
		alice.ok("signal", `{"group":"g","channel":"c","type":"typing"}`)
		return f.Error != nil && f.Error.Code == "muted"
	})
	for object, want := range map[string]string{
		`{"group":"g","channel":"vault","type":"t"}`: "not_found", `{"group":"other","channel":"c","type":"t"}`: "not_found",
	} {
		if code := bob.code("signal", object); code != want {
			t.Errorf("%s: %s", object, code)
		}
	}
	if _, body := s.Post(t, "dev:stranger", "signal", `{"group":"g","channel":"c","type":"t"}`); body["error"].(map[string]any)["code"] != "not_member" {
		t.Errorf("a stranger: %v", body)
	}
}

// Whoever sends too many is answered and heard no more; whoever does not read
// gets few of them, and every event or a gap.
func TestSignalsAreDroppedFirst(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	slow, alice := connected(t, s.Edge, "bob"), connected(t, s.Edge, "alice")
	slow.ok("subscribe", `{"group":"g","channel":"c"}`)
	const count = 1000
	ids := make([]uint64, count)
	for i := range ids {
		ids[i] = alice.ask("signal", fmt.Sprintf(`{"group":"g","channel":"c","type":"t","data":%d}`, i))
	}
	for _, id := range ids {
		alice.okAnswer(id)
	}
	s.Send(t, "after all of them")
	got, last := 0, -1
	for {
		p := slow.push()
		if p.Block != nil {
			break
		}
		var n int
		if _, err := fmt.Sscan(string(p.Signal.Data), &n); err != nil || n <= last {
			t.Fatalf("signal %s behind %d", p.Signal.Data, last)
		}
		got, last = got+1, n
	}
	if got == 0 || got > 900 {
		t.Errorf("%d of %d signals came through", got, count)
	}
}
