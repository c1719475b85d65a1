package session_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// roll is who an owner takes for present by what one edge says.
type roll struct {
	t    *testing.T
	told chan *streampb.Present // 1,000
	turn uint64
	here map[string]map[string]bool // group, user
}

func newRoll(t *testing.T, s *edgetest.Stack) *roll {
	t.Helper()
	r := &roll{t: t, told: make(chan *streampb.Present, 1000), here: map[string]map[string]bool{}}
	sub, err := s.Conn.Subscribe(streams.PresenceSubject(0), func(msg *nats.Msg) {
		p := &streampb.Present{}
		if err := proto.Unmarshal(msg.Data, p); err != nil {
			t.Error(err)
		}
		r.told <- p
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := s.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return r
}

// next takes one message.
func (r *roll) next() *streampb.Present {
	r.t.Helper()
	var p *streampb.Present
	select {
	case p = <-r.told:
	case <-time.After(patience):
		r.t.Fatal("nothing is told")
	}
	if p.GetTurn() != r.turn+1 || p.GetEdge() == "" {
		r.t.Fatalf("turn %d behind %d of %q", p.GetTurn(), r.turn, p.GetEdge())
	}
	r.turn = p.GetTurn()
	if p.GetWhole() {
		clear(r.here)
	}
	for _, g := range p.GetGroups() {
		if g.GetWhole() || r.here[g.GetGroup()] == nil {
			r.here[g.GetGroup()] = map[string]bool{}
		}
		for _, user := range g.GetHere() {
			r.here[g.GetGroup()][user] = true
		}
		for _, user := range g.GetGone() {
			delete(r.here[g.GetGroup()], user)
		}
	}
	return p
}

// until takes messages until a group has just these users.
func (r *roll) until(group string, users ...string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; r.next() {
		got := slices.Sorted(maps.Keys(r.here[group]))
		if slices.Equal(got, users) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("present are %v, want %v", got, users)
		}
	}
}

func TestOwnersAreToldWhoIsPresent(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	r := newRoll(t, s)
	bob, phone, alice := connected(t, s.Edge, "bob"), connected(t, s.Edge, "bob"), connected(t, s.Edge, "alice")
	bob.ok("subscribe", `{"group":"g","channel":"c"}`)
	bob.ok("subscribe", `{"group":"g","channel":"@"}`)
	phone.ok("subscribe", `{"group":"g","channel":"c"}`)
	r.until("g", "bob")
	alice.ok("subscribe", `{"group":"g","channel":"c"}`)
	r.until("g", "alice", "bob")
	_ = bob.conn.Close()
	alice.ok("unsubscribe", `{"group":"g","channel":"c"}`)
	r.until("g", "bob") // the phone is there
	if err := s.Conn.Publish(streams.PresenceCallSubject(0), nil); err != nil {
		t.Fatal(err)
	}
	for p := r.next(); !p.GetWhole(); p = r.next() {
	}
	r.until("g", "bob")
	s.OK(t, "dev:alice", "member", `{"group":"g","user":"bob","do":"kick"}`)
	r.until("g")
	phone.ok("ping", `{}`)
}

func TestALargeGroupIsToldInParts(t *testing.T) {
	const users = 300
	s := edgetest.New(t)
	s.Group(t)
	r := newRoll(t, s)
	c := connected(t, s.Edge, "bob")
	c.ok("subscribe", `{"group":"g","channel":"c"}`)
	want := []string{"bob"}
	for i := range users {
		name := fmt.Sprint("u", i)
		want = append(want, name)
		other := connected(t, s.Edge, name)
		s.OK(t, "dev:"+name, "join", `{"group":"g"}`)
		other.ok("subscribe", `{"group":"g","channel":"c"}`)
	}
	slices.Sort(want)
	r.until("g", want...)
}

func TestWhoSubscribesInAnOpenRoomIsInIt(t *testing.T) {
	s := edgetest.New(t)
	s.OK(t, "dev:alice", "create_group", `{"group":"room","kind":"room","name":"R"}`)
	s.OK(t, "dev:alice", "create_channel", `{"group":"room","channel":"c","kind":"public","name":"C"}`)
	bob := connected(t, s.Edge, "bob")
	if code := bob.code("pull", `{"group":"room","channel":"c","after":0}`); code != "not_member" {
		t.Errorf("before: %s", code)
	}
	bob.ok("subscribe", `{"group":"room","channel":"c"}`)
	bob.ok("send", `{"group":"room","channel":"c","body":"here"}`)
	if p := bob.push(); p.Block == nil || p.Block.Events[0].User != "bob" {
		t.Errorf("got %+v", p)
	}
	bob.ok("pull", `{"group":"room","channel":"c","after":0}`)
	if code := bob.code("subscribe", `{"group":"room","channel":"nothing"}`); code != "not_found" {
		t.Errorf("another channel: %s", code)
	}
	s.OK(t, "dev:alice", "update_group", `{"group":"room","name":"R","settings":{"join":"invite"}}`)
	if code := connected(t, s.Edge, "carol").code("subscribe", `{"group":"room","channel":"c"}`); code != "not_member" {
		t.Errorf("a room by invitation: %s", code)
	}
	s.OK(t, "dev:alice", "create_group", `{"group":"g","kind":"community","name":"G"}`)
	if code := bob.code("subscribe", `{"group":"g","channel":"@"}`); code != "not_member" {
		t.Errorf("a community: %s", code)
	}
}
