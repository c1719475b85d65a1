package group_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// actors of the matrix, by name: how they stand in the group.
var actors = []struct {
	user  streams.User
	role  streampb.Role
	muted bool
}{
	{"stranger", 0, false}, {"former", 0, false}, {"kicked", 0, false}, {"banned", 0, false}, {"asking", 0, false},
	{"member", streampb.Role_ROLE_MEMBER, false}, {"muted-member", streampb.Role_ROLE_MEMBER, true},
	{"moderator", streampb.Role_ROLE_MODERATOR, false}, {"muted-moderator", streampb.Role_ROLE_MODERATOR, true},
	{"admin", streampb.Role_ROLE_ADMIN, false}, {"muted-admin", streampb.Role_ROLE_ADMIN, true},
	{"owner", streampb.Role_ROLE_OWNER, false}, {"muted-owner", streampb.Role_ROLE_OWNER, true},
}

// targets of acts upon others: one user in each standing.
var targets = map[streams.User]streampb.Role{
	"to-stranger": 0, "to-former": 0, "to-banned": 0,
	"to-member": streampb.Role_ROLE_MEMBER, "to-moderator": streampb.Role_ROLE_MODERATOR,
	"to-admin": streampb.Role_ROLE_ADMIN, "to-owner": streampb.Role_ROLE_OWNER,
}

// object is one thing an action can be tried on: the command, the message it
// is about and whom it is upon.
type object struct {
	name   string
	body   any
	author streams.User // of the target message; "" for none, "self" for the actor
	whom   streams.User
	// also lists what else may be refused, where the permission is given: the
	// target's standing, for one.
	also streams.Code
}

func upon(act streampb.Act, also func(streams.User) streams.Code) (objects []object) {
	for u := range targets {
		body := &streampb.ActOnMember{User: string(u), Act: act}
		if act == streampb.Act_ACT_ROLE {
			body.Role = streampb.Role_ROLE_MEMBER
		}
		objects = append(objects, object{name: string(u), body: body, whom: u, also: also(u)})
	}
	return objects
}

func nobody(u streams.User) streams.Code { // who is no member can't be acted upon
	if targets[u] == streampb.Role_ROLE_NONE {
		return streams.NotFound
	}
	return ""
}

func anybody(streams.User) streams.Code { return "" }

// objects of each action; those of actions that are no commands of their own
// are commands that need them.
func objects(a group.Action) []object {
	one := func(body any) []object { return []object{{body: body}} }
	say := func(change func(*streampb.Send)) []object {
		body := &streampb.Send{Channel: "c", Type: "text", Body: []byte("x")}
		change(body)
		return one(body)
	}
	hash := sha256.Sum256([]byte("code"))
	switch a {
	case group.ReadGroup:
		return append(one(&streampb.ReadGroup{}), one(&streampb.ReadMembers{})...)
	case group.UpdateGroup:
		return one(&streampb.UpdateGroup{Name: proto.String("other")})
	case group.DeleteGroup:
		return one(&streampb.DeleteGroup{})
	case group.JoinGroup:
		return one(&streampb.Join{})
	case group.LeaveGroup:
		return one(&streampb.Leave{})
	case group.AddMember:
		return upon(streampb.Act_ACT_ADD, func(u streams.User) streams.Code {
			if u == "to-banned" {
				return streams.Conflict
			}
			return ""
		})
	case group.DeclineMember:
		return []object{{body: &streampb.ActOnMember{User: "asking", Act: streampb.Act_ACT_DECLINE}, whom: "asking"}}
	case group.KickMember:
		return upon(streampb.Act_ACT_KICK, nobody)
	case group.BanMember:
		return upon(streampb.Act_ACT_BAN, anybody)
	case group.UnbanMember:
		return upon(streampb.Act_ACT_UNBAN, anybody)
	case group.MuteMember:
		return upon(streampb.Act_ACT_MUTE, nobody)
	case group.UnmuteMember:
		return upon(streampb.Act_ACT_UNMUTE, nobody)
	case group.ChangeRole:
		return upon(streampb.Act_ACT_ROLE, nobody)
	case group.ChangeUserGroups:
		return upon(streampb.Act_ACT_USER_GROUPS, nobody)
	case group.CreateInvite:
		return one(&streampb.Invite{Invite: "i2", Hash: hash[:]})
	case group.RevokeInvite:
		return one(&streampb.Invite{Invite: "i1"})
	case group.CreateChannel:
		return one(&streampb.CreateChannel{Channel: "new", Kind: "public"})
	case group.SendMessage:
		return say(func(*streampb.Send) {})
	case group.MentionAll:
		return say(func(s *streampb.Send) { s.MentionAll = true })
	case group.EditMessage:
		return []object{{body: &streampb.Edit{Channel: "c", N: 1, Body: []byte("x")}, author: "self"}}
	case group.RecallMessage:
		return []object{{body: &streampb.Recall{Channel: "c", N: 1}, author: "self"}}
	case group.RecallOthers:
		var all []object
		for u := range targets {
			all = append(all, object{name: "of " + string(u), body: &streampb.Recall{Channel: "c", N: 1}, author: u, whom: u})
		}
		return all
	}
	return channelObjects(a)
}

// speaking are the actions that are refused while muted.
var speaking = map[group.Action]bool{
	group.SendMessage: true, group.MentionAll: true, group.EditMessage: true,
	group.CreateThread: true, group.SendRestricted: true, group.React: true, group.SetAttribute: true, group.OverrideProtected: true,
}

// elsewhere are the actions whose cells other tests run.
var elsewhere = map[group.Action]string{
	group.BlockPeer:           "TestMatrixOfDirectGroups",
	group.SendWhileAllMuted:   "TestMuteAllMatrix",
	group.SendWithoutSlowMode: "TestMuteAllMatrix",
}

// matrixGroup makes the group of the matrix.
func matrixGroup(t testing.TB) *live {
	l := newLive(t, "g")
	l.must("first", &streampb.CreateGroup{Kind: "community"})
	l.must("first", &streampb.CreateChannel{Channel: "c", Kind: "public"})
	add := func(u streams.User, role streampb.Role) {
		l.must("first", &streampb.ActOnMember{Act: streampb.Act_ACT_ADD, User: string(u), Role: role})
	}
	act := func(u streams.User, act streampb.Act) {
		l.must("first", &streampb.ActOnMember{Act: act, User: string(u)})
	}
	for _, a := range actors {
		if a.role != 0 {
			add(a.user, a.role)
		}
		if a.muted {
			act(a.user, streampb.Act_ACT_MUTE)
		}
	}
	for u, role := range targets {
		if role != 0 {
			add(u, role)
		}
	}
	for _, u := range []streams.User{"former", "to-former"} {
		add(u, streampb.Role_ROLE_MEMBER)
		l.must(u, &streampb.Leave{})
	}
	add("kicked", streampb.Role_ROLE_MEMBER)
	act("kicked", streampb.Act_ACT_KICK)
	for _, u := range []streams.User{"banned", "to-banned"} {
		add(u, streampb.Role_ROLE_MEMBER)
		act(u, streampb.Act_ACT_BAN)
	}
	approval, open := "approval", "open"
	l.must("first", &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{Join: &approval}})
	if code := l.do(group.Request{User: "asking", Body: &streampb.Join{}}); code != "" {
		t.Fatal(code)
	}
	l.must("first", &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{Join: &open}})
	hash := sha256.Sum256([]byte("one"))
	l.must("first", &streampb.Invite{Invite: "i1", Hash: hash[:]})
	l.must("first", &streampb.Send{Channel: "c", Type: "text", Body: []byte("x")})
	furnish(l)
	if err := l.state.Restore(group.Entity{Channel: "c", Card: 1}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestMatrix holds every cell of actor, action and object against the table.
func TestMatrix(t *testing.T) {
	l := matrixGroup(t)
	settings := groupSettings(t, l)
	cells := 0
	for a := range group.Actions {
		list := objects(a)
		if len(list) == 0 && elsewhere[a] == "" && !notYet[a] {
			t.Errorf("action %s has no cells", group.ActionName(a))
		}
		least, above := group.LeastRole(a, settings)
		if a == group.SendRestricted {
			least = streampb.Role_ROLE_MODERATOR // says the channel
		}
		for _, o := range list {
			for _, actor := range actors {
				cells++
				r := group.Request{User: actor.user, Body: o.body}
				if o.author != "" {
					r.Target = &group.Target{Author: o.author}
				}
				if o.author == "self" {
					r.Target.Author = actor.user
				}
				want := o.also
				switch {
				case a == group.JoinGroup && actor.user == "banned":
					want = streams.Banned
				case least > streampb.Role_ROLE_NONE && actor.role == streampb.Role_ROLE_NONE:
					want = streams.NotMember
				case a == group.MentionAll && actor.muted: // who can't write needs not ask for more
					want = streams.Muted
				case actor.role < least:
					want = streams.Forbidden
				case above && targets[o.whom] >= actor.role:
					want = streams.Forbidden
				case speaking[a] && actor.muted:
					want = streams.Muted
				}
				_, err := l.state.Decide(r, l.now)
				if got := codeOf(t, err); got != want {
					t.Errorf("%s: %s %s: got %q, want %q (%v)", group.ActionName(a), actor.user, o.name, got, want, err)
				}
				r.Server = true
				_, err = l.state.Decide(r, l.now)
				serverWant := o.also
				if a == group.JoinGroup && actor.user == "banned" {
					serverWant = streams.Banned
				}
				if got := codeOf(t, err); got != serverWant {
					t.Errorf("%s: a server as %s %s: got %q, want %q", group.ActionName(a), actor.user, o.name, got, serverWant)
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

// notYet are actions whose commands Decide does not know.
var notYet = map[group.Action]bool{group.SendSignal: true}

func groupSettings(t *testing.T, l *live) *streampb.Settings {
	t.Helper()
	d, err := l.state.Decide(group.Request{User: "owner", Body: &streampb.ReadGroup{}}, l.now)
	if err != nil {
		t.Fatal(err)
	}
	return d.Answer.GetGroupInfo().GetSettings()
}

// TestSettingsMatrix sets each least role a group can set, and tries each role.
func TestSettingsMatrix(t *testing.T) {
	for setting := streampb.Role_ROLE_MEMBER; setting <= streampb.Role_ROLE_OWNER; setting++ {
		l := matrixGroup(t)
		l.must("first", &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{MentionAll: setting.Enum()}})
		for _, actor := range actors {
			want := streams.Code("")
			switch {
			case actor.role == 0:
				want = streams.NotMember
			case actor.muted:
				want = streams.Muted
			case actor.role < setting:
				want = streams.Forbidden
			}
			body := &streampb.Send{Channel: "c", Type: "text", Body: []byte("x"), MentionAll: true}
			_, err := l.state.Decide(group.Request{User: actor.user, Body: body}, l.now)
			if got := codeOf(t, err); got != want {
				t.Errorf("mention_all at %v by %s: got %q, want %q", setting, actor.user, got, want)
			}
		}
	}
}

// TestMuteAllMatrix tries who speaks while all are muted, and who waits under
// slow mode.
func TestMuteAllMatrix(t *testing.T) {
	for _, test := range []struct {
		patch  *streampb.SettingsPatch
		action group.Action
		want   streams.Code
	}{
		{&streampb.SettingsPatch{MuteAll: proto.Bool(true)}, group.SendWhileAllMuted, streams.Muted},
		{&streampb.SettingsPatch{SlowModeMs: proto.Int64(1000)}, group.SendWithoutSlowMode, streams.SlowMode},
	} {
		l := matrixGroup(t)
		l.must("first", &streampb.UpdateGroup{Settings: test.patch})
		least, _ := group.LeastRole(test.action, nil)
		for _, actor := range actors {
			if actor.role == 0 {
				continue
			}
			body := &streampb.Send{Channel: "c", Type: "text", Body: []byte("x")}
			l.must(actor.user, body) // wrote just now
			want := test.want
			switch {
			case actor.muted:
				want = streams.Muted
			case actor.role >= least:
				want = ""
			}
			_, err := l.state.Decide(group.Request{User: actor.user, Body: body}, l.now)
			if got := codeOf(t, err); got != want {
				t.Errorf("%v by %s: got %q, want %q", test.patch, actor.user, got, want)
			}
		}
	}
}

// TestMatrixOfDirectGroups tries every action in the direct group of two, by
// them and by strangers, before it is there and after.
func TestMatrixOfDirectGroups(t *testing.T) {
	name := streams.DirectGroup("a", "b")
	for _, there := range []bool{false, true} {
		l := newLive(t, name)
		if there {
			l.must("a", &streampb.CreateGroup{Kind: "direct", Peer: "b"})
			l.must("a", &streampb.Send{Channel: "main", Type: "text", Body: []byte("x")})
			if err := l.state.Restore(group.Entity{Channel: "main", Card: 1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for a := range group.Actions {
			for _, o := range objects(a) {
				switch body := o.body.(type) {
				case *streampb.Send:
					body.Channel = "main"
				case *streampb.Edit:
					body.Channel = "main"
				case *streampb.Recall:
					body.Channel = "main"
				default:
					inMain(body)
				}
				for _, user := range []streams.User{"a", "b", "stranger"} {
					r := group.Request{User: user, Body: o.body, Target: &group.Target{Author: user}}
					if a == group.RecallOthers {
						r.Target.Author = map[streams.User]streams.User{"a": "b", "b": "a", "stranger": "a"}[user]
					}
					want := streams.Code("")
					switch {
					case a == group.JoinGroup:
						want = streams.Forbidden
					case !there || user == "stranger":
						want = streams.NotMember
					case !group.InDirect(a) || a == group.RecallOthers:
						want = streams.Forbidden
					}
					_, err := l.state.Decide(r, l.now)
					if got := codeOf(t, err); got != want {
						t.Errorf("there %v: %s by %s: got %q, want %q", there, group.ActionName(a), user, got, want)
					}
				}
			}
		}
		for user, want := range map[streams.User]streams.Code{"a": "", "b": "", "stranger": streams.BadRequest} {
			for _, peer := range []string{"a", "b"} {
				if peer == string(user) {
					continue
				}
				_, err := l.state.Decide(group.Request{User: user, Body: &streampb.Block{Peer: peer}}, l.now)
				if got := codeOf(t, err); got != want {
					t.Errorf("there %v: block by %s: got %q, want %q", there, user, got, want)
				}
			}
		}
	}
}

// TestNothingIsToldToStrangers compares refusals: of a direct group that is
// there and one that is not, a stranger hears the same to the byte.
func TestNothingIsToldToStrangers(t *testing.T) {
	name := streams.DirectGroup("a", "b")
	there, absent := newLive(t, name), newLive(t, name)
	there.must("a", &streampb.CreateGroup{Kind: "direct", Peer: "b"})
	bodies := []any{&streampb.CreateGroup{Kind: "room"}, &streampb.CreateGroup{Kind: "direct", Peer: "a"}, &streampb.Block{Peer: "a"}}
	for a := range group.Actions {
		for _, o := range objects(a) {
			bodies = append(bodies, o.body)
		}
	}
	for _, body := range bodies {
		r := group.Request{User: "eve", Body: body, Target: &group.Target{Author: "a"}}
		_, one := there.state.Decide(r, there.now)
		_, other := absent.state.Decide(r, absent.now)
		if one == nil || other == nil || one.Error() != other.Error() {
			t.Errorf("%T: %v where it is, %v where it is not", body, one, other)
		}
	}
	if fmt.Sprint(there.state.Missing(group.Request{User: "eve", Body: &streampb.ReadGroup{}})) != "[]" {
		t.Error("a whole group loads nothing for a stranger")
	}
}
