//go:build linux

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// goneWithin is how long what is tied to a presence may outlast it, as promised.
const goneWithin = 10 * time.Second

// venue is edges and services as processes of their own, with a room on them.
type venue struct {
	t        *testing.T
	nats     string
	conn     *nats.Conn
	js       jetstream.JetStream
	services []*process
	room     streams.Group
}

const venueSecret = "the secret of a venue, 32 bytes or more"

// tokenOf signs a token as the product's own command does, for many users.
func tokenOf(user string) string {
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, user, time.Now().Add(time.Hour).Unix()))
	mac := hmac.New(sha256.New, []byte(venueSecret))
	_, _ = mac.Write([]byte(signed))
	return signed + "." + part(mac.Sum(nil))
}

func newVenue(t *testing.T) *venue {
	t.Helper()
	v := &venue{t: t, nats: startNATS(t), room: "room"}
	if code, _, stderr := run(t, nil, "provision", "--nats", v.nats, "--partitions", "1"); code != 0 {
		t.Fatalf("provision: exit code %d: %s", code, stderr)
	}
	v.services = []*process{start(t, nil, "services", "--nats", v.nats), start(t, nil, "services", "--nats", v.nats)}
	v.conn, v.js = connectNATS(t, v.nats)
	t.Cleanup(v.conn.Close)
	return v
}

func (v *venue) edge() (listen string, p *process) {
	v.t.Helper()
	listen = freeAddress(v.t)
	p = start(v.t, nil, "edge", "--nats", v.nats, "--listen", listen, "--jwt-secret", venueSecret)
	streamtest.Eventually(v.t, readyWithin, "the edge answers", func() bool { // it is not ready without a ClickHouse
		_, answer, err := tryPost(v.t.Context(), listen, tokenOf("alice"), "group", `{"group":"nothing"}`)
		return err == nil && answer.code() == "not_found"
	})
	return listen, p
}

// open makes the room, owned by alice, who does not come herself.
func (v *venue) open(listen string, settings object) {
	v.t.Helper()
	must(v.t, listen, tokenOf("alice"), "create_group", object{"group": v.room, "kind": "room", "name": "R", "settings": settings})
	must(v.t, listen, tokenOf("alice"), "create_channel", object{"group": v.room, "channel": "c", "kind": "public", "name": "C"})
}

// comes connects a user who subscribes in the room.
func (v *venue) comes(listen, user string) *client {
	v.t.Helper()
	c := connect(v.t, listen, tokenOf(user))
	c.mustSubscribe(v.t, string(v.room), "c", nil)
	return c
}

// since is what the log tells of a user: how often they joined, left by
// presence, and when last; and which keys went with them, how often.
type since struct {
	joins, leaves int
	left          time.Time
	keys          map[string]int
	when          time.Time // the last key went
}

func (v *venue) told(user streams.User) (s since) {
	v.t.Helper()
	s.keys = map[string]int{}
	owner := map[string]streams.User{}
	for _, e := range logOf(v.t, v.conn, v.js, v.room) {
		switch p := e.Payload.(type) {
		case streams.MemberJoined:
			if p.GetMember() == string(user) {
				s.joins++
			}
		case streams.MemberLeft:
			if p.GetMember() == string(user) && e.User == "@server" {
				s.leaves++
				s.left = time.UnixMilli(e.TS)
			}
		case streams.AttributeSet:
			owner[p.GetKey()] = e.User
		case streams.AttributeDeleted:
			if owner[p.GetKey()] == user && p.GetReason() == "gone" {
				s.keys[p.GetKey()]++
				s.when = time.UnixMilli(e.TS)
			}
		}
	}
	return s
}

// presence polls until the room's counts are as wanted.
func (v *venue) presence(listen string, online, members uint64) {
	v.t.Helper()
	var now object
	defer func() {
		if v.t.Failed() {
			v.t.Logf("presence is %v", now)
		}
	}()
	streamtest.Eventually(v.t, patience, fmt.Sprintf("%d online of %d", online, members), func() bool {
		_, now = post(v.t, listen, tokenOf("alice"), "presence", encode(v.t, object{"group": v.room}))
		return now.number("online") == online && now.number("members") == members
	})
}

// gone waits until a user has left with their keys, each once, and checks that
// it took no longer than promised since their last connection ended.
func (v *venue) gone(user streams.User, ended time.Time, keys ...string) {
	v.t.Helper()
	streamtest.Eventually(v.t, 3*goneWithin, string(user)+" has left", func() bool { return v.told(user).leaves > 0 })
	s := v.told(user)
	if took := s.left.Sub(ended); took > goneWithin {
		v.t.Errorf("%s left after %v", user, took)
	} else {
		v.t.Logf("%s left after %v", user, took)
	}
	if s.leaves != 1 || s.joins != 1 || len(s.keys) != len(keys) {
		v.t.Errorf("of %s the log tells %+v", user, s)
	}
	for _, key := range keys {
		if s.keys[key] != 1 || s.when.Sub(ended) > goneWithin {
			v.t.Errorf("key %s went %d times, the last %v after the end", key, s.keys[key], s.when.Sub(ended))
		}
	}
}

// kill ends the service that owns the room; another stands by.
func (v *venue) kill() {
	v.t.Helper()
	ownerOf(v.t, v.nats, v.room, v.services...).kill9()
}

// It proves that who comes is in the room and who is gone on all devices and
// edges leaves it, with the keys tied to their presence, once and in time: when
// they disconnect, when their edge is killed, and when their edge and the
// room's owner are killed together.
func TestPresenceInARoom(t *testing.T) {
	v := newVenue(t)
	one, _ := v.edge()
	two, doomed := v.edge()
	three, doomedToo := v.edge()
	v.open(one, nil)
	v.presence(one, 0, 1)

	phone, laptop := v.comes(one, "bob"), v.comes(two, "bob")
	laptop.must(t, "attr_set", object{"group": v.room, "set": object{"seat1": "bob"}, "auto_delete": true})
	laptop.must(t, "attr_set", object{"group": v.room, "channel": "c", "set": object{"hand": "up"}, "auto_delete": true})
	carol, dave := v.comes(two, "carol"), v.comes(three, "dave")
	carol.must(t, "attr_set", object{"group": v.room, "set": object{"seat2": "carol"}, "auto_delete": true})
	dave.must(t, "attr_set", object{"group": v.room, "set": object{"seat3": "dave", "stays": "dave"}, "auto_delete": true})
	dave.must(t, "attr_set", object{"group": v.room, "set": object{"stays": "anyway"}})
	v.presence(one, 3, 4)
	listed := must(t, one, tokenOf("alice"), "members", object{"group": v.room, "online": true})
	if members, _ := listed["members"].([]any); len(members) != 3 {
		t.Errorf("online are %v", members)
	}

	ended := time.Now()
	laptop.close()
	streamtest.Eventually(t, patience, "the grace is over", func() bool {
		if s := v.told("bob"); s.leaves+len(s.keys) > 0 {
			t.Fatalf("bob has left and his phone has not: %+v", s)
		}
		return time.Since(ended) > goneWithin
	})
	ended = time.Now()
	phone.close()
	v.gone("bob", ended, "seat1", "hand")

	ended = time.Now()
	doomed.kill9()
	v.gone("carol", ended, "seat2")
	v.presence(one, 1, 2)

	ended = time.Now()
	doomedToo.kill9()
	v.kill()
	v.gone("dave", ended, "seat3")
	v.presence(one, 0, 1)
}

// It proves that a room stops logging who joins at 200 members, that it counts
// the others all the same, and that a new owner finds them again.
func TestARoomOf300(t *testing.T) {
	v := newVenue(t)
	edges := [2]string{}
	edges[0], _ = v.edge()
	edges[1], _ = v.edge()
	v.open(edges[0], nil)
	clients := map[string]*client{}
	for i := range 300 {
		name := fmt.Sprint("u", i)
		clients[name] = v.comes(edges[i%2], name)
	}
	v.presence(edges[1], 300, 301)
	joins, leaves := v.logged()
	if joins != streams.MaxRoomLogged || leaves != 0 {
		t.Errorf("%d joins and %d leaves are logged", joins, leaves)
	}
	clients["u299"].must(t, "send", object{"group": v.room, "channel": "c", "body": "unlogged"})

	v.kill()
	ended := time.Now()
	clients["u298"].must(t, "send", object{"group": v.room, "channel": "c", "body": "after the owner"})
	streamtest.Eventually(t, 2*patience, "the new owner knows who is there", func() bool {
		if joins, leaves := v.logged(); joins != streams.MaxRoomLogged || leaves != 0 {
			t.Fatalf("after the takeover %d joins and %d leaves are logged", joins, leaves)
		}
		return time.Since(ended) > goneWithin+2*time.Second
	})
	v.presence(edges[0], 300, 301)

	// What is done about somebody whom no event named holds.
	must(t, edges[0], tokenOf("alice"), "member", object{"group": v.room, "user": "u297", "do": "kick"})
	must(t, edges[0], tokenOf("alice"), "member", object{"group": v.room, "user": "u296", "do": "ban"})
	v.presence(edges[0], 298, 299)
	for _, name := range []string{"u297", "u296"} {
		if err := clients[name].call("send", object{"group": v.room, "channel": "c", "body": "no"}, nil); err == nil {
			t.Errorf("%s writes", name)
		}
	}
	clients["u297"].mustSubscribe(t, string(v.room), "c", nil)
	if _, err := clients["u296"].subscribe(string(v.room), "c", nil); err == nil {
		t.Error("who is banned comes back by subscribing")
	}
	clients["u295"].must(t, "leave", object{"group": v.room})
	v.presence(edges[0], 298, 299)
	for _, c := range clients {
		c.close()
	}
	v.presence(edges[0], 0, 1)
}

func (v *venue) logged() (joins, leaves int) {
	v.t.Helper()
	for _, e := range logOf(v.t, v.conn, v.js, v.room) {
		switch e.Payload.(type) {
		case streams.MemberJoined:
			joins++
		case streams.MemberLeft:
			leaves++
		}
	}
	return joins, leaves
}

// It proves that a room ends that nobody is in for as long as it says.
func TestAnIdleRoomEnds(t *testing.T) {
	v := newVenue(t)
	one, _ := v.edge()
	v.open(one, object{"room_idle_ms": 2000})
	bob := v.comes(one, "bob")
	came := time.Now()
	streamtest.Eventually(t, patience, "more than the room's patience has passed", func() bool {
		bob.must(t, "ping", object{})
		return time.Since(came) > goneWithin
	})
	bob.must(t, "send", object{"group": v.room, "channel": "c", "body": "still here"})
	bob.close()
	streamtest.Eventually(t, 2*patience, "the room has ended", func() bool {
		_, answer := post(t, one, tokenOf("alice"), "group", encode(t, object{"group": v.room}))
		return answer.code() == "not_found"
	})
	events := logOf(t, v.conn, v.js, v.room)
	last := events[len(events)-1]
	if p, ok := last.Payload.(streams.GroupUpdated); !ok || !p.GetDeleted() || last.User != "@server" {
		t.Errorf("the last event is %+v", last)
	}
}

// It proves that a new owner waits for edges that are slow to speak before it
// takes anybody for gone.
func TestANewOwnerWaitsForAFrozenEdge(t *testing.T) {
	v := newVenue(t)
	one, _ := v.edge()
	two, slow := v.edge()
	v.open(one, nil)
	bob := v.comes(two, "bob")
	bob.must(t, "attr_set", object{"group": v.room, "set": object{"seat": "bob"}, "auto_delete": true})
	v.presence(one, 1, 2)
	slow.signal(syscall.SIGSTOP)
	v.kill()
	v.presence(one, 0, 2) // by the new owner, who has heard of nobody
	replaced := time.Now()
	streamtest.Eventually(t, patience, "some sweeps have passed", func() bool { return time.Since(replaced) > time.Second })
	slow.signal(syscall.SIGCONT)
	v.presence(one, 1, 2)
	streamtest.Eventually(t, 2*patience, "the new owner takes people for gone", func() bool {
		if s := v.told("bob"); s.leaves+len(s.keys) > 0 {
			t.Fatalf("bob is there and has left: %+v", s)
		}
		return time.Since(replaced) > goneWithin
	})
	bob.must(t, "send", object{"group": v.room, "channel": "c", "body": "still here"})
}
