package group_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// crowd is who is around, by what the test says.
type crowd map[streams.User]bool

func (c crowd) Here(_ streams.Group, u streams.User) bool   { return c[u] }
func (c crowd) Online(_ streams.Group, u streams.User) bool { return c[u] }
func (c crowd) Count(streams.Group) (here, online int)      { return len(c), len(c) }
func (c crowd) joins(l *live, u streams.User) (enters bool) { return joins(l, c, u) }

// room is a room of alice's with a channel c, and who is around.
func room(t *testing.T, settings *streampb.SettingsPatch) (*live, crowd) {
	t.Helper()
	l, around := newLive(t, "g"), crowd{}
	l.must("alice", &streampb.CreateGroup{Kind: "room", Settings: settings})
	l.must("alice", &streampb.CreateChannel{Channel: "c", Kind: "public"})
	l.state.Attend(around)
	return l, around
}

// joins lets a user join by subscribing, and reports whether no event told.
func joins(l *live, around crowd, u streams.User) (enters bool) {
	l.t.Helper()
	d, err := l.state.Decide(group.Request{User: u, Body: &streampb.Join{}, Present: true}, l.now)
	if err != nil {
		l.t.Fatal(err)
	}
	l.apply(d.Events)
	around[u] = true
	return d.Events == nil && d.Enters
}

func said(l *live, u streams.User) streams.Code {
	l.t.Helper()
	return l.do(group.Request{User: u, Body: &streampb.Send{Channel: "c", Type: "text", Body: []byte("hi")}})
}

func (l *live) presence() (online, members uint64) {
	l.t.Helper()
	d, err := l.state.Decide(group.Request{User: "alice", Body: &streampb.ReadPresence{}}, l.now)
	if err != nil {
		l.t.Fatal(err)
	}
	return d.Answer.GetPresence().GetOnline(), d.Answer.GetPresence().GetMembers()
}

// full is a room of 300 guests u0 … u299, of whom events tell of the first 199.
func full(t *testing.T) (*live, crowd) {
	t.Helper()
	l, around := room(t, nil)
	for i := range 300 {
		unlogged := around.joins(l, streams.User(fmt.Sprint("u", i)))
		if want := i >= streams.MaxRoomLogged-1; unlogged != want {
			t.Fatalf("the join of guest %d is logged: %v", i, !unlogged)
		}
	}
	return l, around
}

func TestALargeRoomCountsAndDoesNotLog(t *testing.T) {
	l, around := full(t)
	if online, members := l.presence(); online != 300 || members != 301 {
		t.Errorf("%d online of %d", online, members)
	}
	if code := said(l, "u299"); code != "" {
		t.Errorf("a visitor's message: %s", code)
	}
	delete(around, "u299")
	if code := said(l, "u299"); code != streams.NotMember {
		t.Errorf("of who is gone: %q", code)
	}
	events := len(l.log)
	l.depart("u299")
	if len(l.log) != events {
		t.Errorf("a visitor's departure is logged: %v", l.log[events:])
	}
	delete(around, "u0")
	l.depart("u0")
	l.depart("u0")
	if left := l.log[events:]; len(left) != 1 || left[0].Kind() != streams.KindLeave || left[0].User != group.PresenceUser {
		t.Errorf("a guest's departure is told as %v", left)
	}
	if online, members := l.presence(); online != 298 || members != 299 {
		t.Errorf("then %d online of %d", online, members)
	}
	l.depart("alice")
	l.depart("u1") // is here
	if got := len(l.log) - events; got != 1 {
		t.Errorf("%d events more", got)
	}
}

func (l *live) depart(u streams.User) {
	l.must(group.PresenceUser, &group.Departure{User: u})
}

func TestWhatIsDoneAboutAVisitorHolds(t *testing.T) {
	l, around := full(t)
	act := func(u streams.User, act streampb.Act, role streampb.Role) []*streams.Event {
		t.Helper()
		before := len(l.log)
		body := &streampb.ActOnMember{User: string(u), Act: act, Role: role}
		if code := l.do(group.Request{User: "alice", Body: body}); code != "" {
			t.Fatalf("%v of %s: %s", act, u, code)
		}
		return l.log[before:]
	}
	kinds := func(events []*streams.Event) (kinds []string) {
		for _, e := range events {
			kinds = append(kinds, fmt.Sprint(e.Kind()))
		}
		return kinds
	}
	for i, what := range []struct {
		act  streampb.Act
		role streampb.Role
		kind streams.Kind
		says streams.Code // when they write, as long as they are around
	}{
		{streampb.Act_ACT_MUTE, 0, streams.KindMute, streams.Muted},
		{streampb.Act_ACT_ROLE, streampb.Role_ROLE_MODERATOR, streams.KindRole, ""},
		{streampb.Act_ACT_BAN, 0, streams.KindBan, streams.NotMember},
	} {
		u := streams.User(fmt.Sprint("u", 250+i))
		events := act(u, what.act, what.role)
		if got := kinds(events); !slices.Equal(got, []string{fmt.Sprint(streams.KindJoin), fmt.Sprint(what.kind)}) {
			t.Errorf("%v is told as %v", what.act, got)
		}
		if code := said(l, u); code != what.says {
			t.Errorf("after %v they write: %q", what.act, code)
		}
	}
	if code := l.do(group.Request{User: "u252", Body: &streampb.Join{}, Present: true}); code != streams.Banned {
		t.Errorf("who is banned joins: %q", code)
	}
	around["u252"] = false
	delete(around, "u252")
	before, census := len(l.log), uint64(0)
	if code := l.do(group.Request{User: "u299", Body: &streampb.Leave{}}); code != "" {
		t.Fatal(code)
	}
	for i, e := range l.log[before:] {
		if census = streams.CensusOf(e).GetMembers(); census != uint64(203-i) {
			t.Errorf("event %d of a leave counts %d", i, census)
		}
	}
	delete(around, "u299")
	if online, members := l.presence(); online != 298 || members != 299 {
		t.Errorf("%d online of %d", online, members)
	}
	// A moderator stays when they go.
	delete(around, "u251")
	before = len(l.log)
	if l.depart("u251"); len(l.log) != before {
		t.Error("a moderator leaves with their presence")
	}
}

func TestPresenceIsNoMembershipWhereOneIsInvited(t *testing.T) {
	l, around := room(t, &streampb.SettingsPatch{Join: proto.String("invite")})
	around["bob"] = true
	if code := said(l, "bob"); code != streams.NotMember {
		t.Errorf("got %q", code)
	}
	l.must("alice", &streampb.ActOnMember{User: "carol", Act: streampb.Act_ACT_ADD})
	before := len(l.log)
	if l.depart("carol"); len(l.log) != before {
		t.Error("who was added leaves with their presence")
	}
}

func TestTiedKeysGoOnceAndWithTheMembership(t *testing.T) {
	for _, kind := range []string{"room", "community"} {
		t.Run(kind, func(t *testing.T) {
			l, around := newLive(t, "g"), crowd{}
			l.must("alice", &streampb.CreateGroup{Kind: kind, Settings: &streampb.SettingsPatch{Attrs: streampb.Role_ROLE_MEMBER.Enum()}})
			l.must("alice", &streampb.CreateChannel{Channel: "c", Kind: "public"})
			l.state.Attend(around)
			around.joins(l, "bob")
			set := func(c string, tied bool, keys ...string) {
				body := &streampb.SetAttributes{Channel: c, Set: map[string]string{}, AutoDelete: tied}
				for _, key := range keys {
					body.Set[key] = "bob"
				}
				if code := l.do(group.Request{User: "bob", Body: body}); code != "" {
					t.Fatal(code)
				}
			}
			set("", true, "a", "b", "later-free")
			set("c", true, "hand")
			set("", false, "free", "later-free")
			if bound := l.state.Bound(); !slices.Equal(bound, []streams.User{"bob"}) {
				t.Errorf("bound are %v", bound)
			}
			delete(around, "bob")
			before := len(l.log)
			l.depart("bob")
			l.depart("bob")
			var got []string
			for _, e := range l.log[before:] {
				key := ""
				if p, ok := e.Payload.(streams.AttributeDeleted); ok {
					key = p.GetKey() + " " + p.GetReason()
				}
				got = append(got, fmt.Sprint(e.Channel, " ", key))
			}
			want := []string{"@ a gone", "@ b gone", "c hand gone"}
			if kind == "room" {
				want = append([]string{"@members "}, want...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAnEmptyRoomEnds(t *testing.T) {
	l, around := room(t, &streampb.SettingsPatch{RoomIdleMs: proto.Int64(1000)})
	around["bob"] = true
	l.must(group.PresenceUser, &group.Idle{})
	if !l.state.Exists() || l.state.IdleAfter() != 1000 {
		t.Error("a room ends that somebody is in")
	}
	delete(around, "bob")
	l.must(group.PresenceUser, &group.Idle{})
	if l.state.Exists() || l.state.IdleAfter() != 0 {
		t.Error("a room does not end that nobody is in")
	}
	never, _ := room(t, nil)
	never.must(group.PresenceUser, &group.Idle{})
	if !never.state.Exists() {
		t.Error("a room ends that may stand empty")
	}
}

func TestARoomsRecordKnowsWhoGoesWithTheirPresence(t *testing.T) {
	l, around := room(t, nil)
	around.joins(l, "bob")
	l.must("alice", &streampb.ActOnMember{User: "carol", Act: streampb.Act_ACT_ADD})
	next := group.New("g")
	next.RestoreGroup(proto.CloneOf(l.state.GroupRecord()))
	if bound := next.Bound(); !slices.Equal(bound, []streams.User{"bob"}) || !next.Binds() {
		t.Errorf("a new owner misses %v", bound)
	}
	if !proto.Equal(next.GroupRecord(), l.state.GroupRecord()) {
		t.Errorf("the record changes by being restored: %v", next.GroupRecord())
	}
}

// Who comes back into a large room without an event is given no join of old:
// what was said while they were away was not said to them.
func TestAVisitorHasNoJoinOfOld(t *testing.T) {
	l, around := full(t)
	joinedSeq := func() uint64 {
		d, err := l.state.Decide(group.Request{User: "u0", Body: &streampb.ReadAccess{}}, l.now)
		if err != nil {
			t.Fatal(err)
		}
		return d.Answer.GetAccess().GetJoinedSeq()
	}
	if joinedSeq() == 0 {
		t.Fatal("u0's join was logged and is not known")
	}
	delete(around, "u0")
	l.must("u0", &streampb.Leave{})
	if !around.joins(l, "u0") {
		t.Fatal("u0's return was logged")
	}
	if seq := joinedSeq(); seq != 0 {
		t.Errorf("u0 is back since %d", seq)
	}
}
