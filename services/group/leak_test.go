package group_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Of a private channel and a thread in it, everybody outside is told by every
// command what is told of a channel that never was; and of one that is deleted,
// everybody.
func TestNothingTellsOfAChannelThatIsNotSeen(t *testing.T) {
	s := newScript(t)
	s.run(`server alice create_group kind=community name=G
server bob join
server carol join
server dave join
server mia join
server insider join
stands bob role=admin
stands carol role=moderator
stands mia muted_until=-1
stands insider role=admin
dave leave
alice create_channel channel=open kind=public
insider create_channel channel=hidden kind=private name=Plan
insider send channel=hidden body=psst
insider react channel=hidden n=1 emoji=+
insider pin channel=hidden n=1
server insider attr_set channel=hidden set=key:value
insider create_channel channel=hidden-t kind=thread parent=hidden/1
insider send channel=hidden-t body=psst
alice create_channel channel=gone kind=public
alice send channel=gone body=x
alice delete_channel channel=gone`)
	actors := []streams.User{"alice", "bob", "carol", "dave", "mia", "stranger"}
	for _, actor := range append(actors, "insider") {
		for kind, about := range aboutChannels() {
			want := s.asked(actor, about("never-was"))
			for _, name := range []string{"hidden", "hidden-t", "gone"} {
				if actor == "insider" && name != "gone" {
					continue
				}
				if got := s.asked(actor, about(name)); got != want {
					t.Errorf("%s does %s in %s: %s, but where there is none: %s", actor, kind, name, got, want)
				}
			}
		}
	}
	for _, actor := range actors {
		for _, body := range []any{&streampb.ReadGroup{}, &streampb.ReadAccess{}, &streampb.ReadAttributes{}, &streampb.ReadMembers{}} {
			if got := s.asked(actor, body); strings.Contains(got, "hidden") || strings.Contains(got, "Plan") {
				t.Errorf("%s is told by %T: %s", actor, body, got)
			}
		}
	}
	if got := s.asked("insider", &streampb.ReadGroup{}); !strings.Contains(got, "hidden-t") {
		t.Errorf("who is in it is told %s", got)
	}
}

// aboutChannels is every command that names a channel, in forms that are good
// and forms that are not.
func aboutChannels() map[string]func(string) any {
	text := []byte("x")
	return map[string]func(string) any{
		"send":           func(c string) any { return &streampb.Send{Channel: c, Type: "text", Body: text} },
		"send nothing":   func(c string) any { return &streampb.Send{Channel: c, Type: "text"} },
		"reply":          func(c string) any { return &streampb.Send{Channel: c, Type: "text", Body: text, ReplyTo: 1} },
		"mention all":    func(c string) any { return &streampb.Send{Channel: c, Type: "text", Body: text, MentionAll: true} },
		"edit":           func(c string) any { return &streampb.Edit{Channel: c, N: 1, Body: text} },
		"edit none":      func(c string) any { return &streampb.Edit{Channel: c, N: 9, Body: text} },
		"recall":         func(c string) any { return &streampb.Recall{Channel: c, N: 1} },
		"react":          func(c string) any { return &streampb.React{Channel: c, N: 1, Emoji: "+"} },
		"react badly":    func(c string) any { return &streampb.React{Channel: c, N: 1, Emoji: "\n"} },
		"unreact":        func(c string) any { return &streampb.Unreact{Channel: c, N: 1, Emoji: "+"} },
		"pin":            func(c string) any { return &streampb.Pin{Channel: c, N: 1} },
		"unpin":          func(c string) any { return &streampb.Unpin{Channel: c, N: 1} },
		"update_channel": func(c string) any { return &streampb.UpdateChannel{Channel: c, Name: proto.String("N")} },
		"add":            func(c string) any { return &streampb.UpdateChannel{Channel: c, Add: []string{"alice"}} },
		"remove":         func(c string) any { return &streampb.UpdateChannel{Channel: c, Remove: []string{"alice"}} },
		"delete_channel": func(c string) any { return &streampb.DeleteChannel{Channel: c} },
		"attr_set":       func(c string) any { return &streampb.SetAttributes{Channel: c, Set: map[string]string{"key": "x"}} },
		"attr_set if_v": func(c string) any {
			return &streampb.SetAttributes{Channel: c, Del: []string{"key"}, IfV: map[string]uint64{"key": 9}}
		},
		"attrs": func(c string) any { return &streampb.ReadAttributes{Channel: c} },
		"thread": func(c string) any {
			return &streampb.CreateChannel{Channel: "t", Kind: "thread", Parent: &streampb.Parent{Channel: c, N: 1}}
		},
	}
}

// asked is what a user is told, without its effect.
func (s *script) asked(u streams.User, body any) string {
	r := group.Request{User: u, Body: body}
	if about, ok := body.(interface {
		GetChannel() string
		GetN() uint64
	}); ok {
		if target, known := s.targets[fmt.Sprintf("%s/%d", about.GetChannel(), about.GetN())]; known {
			r.Target = &target
		}
	}
	missing := s.state.Missing(r)
	s.load(r)
	return fmt.Sprint(len(missing), " to load, ") + outcome(s.state.Decide(r, s.now))
}

// Edges learn who was blocked in a direct group, since signals do not come by
// the owner.
func TestAccessTellsWhoIsBlocked(t *testing.T) {
	s := newScript(t)
	s.run("direct alice bob\nalice send peer=bob body=hi\nbob block peer=alice")
	for user, want := range map[streams.User]bool{"alice": true, "bob": false} {
		if got := strings.Contains(s.asked(user, &streampb.ReadAccess{}), `"blocked":true`); got != want {
			t.Errorf("%s is blocked: %v, want %v: %s", user, got, want, s.asked(user, &streampb.ReadAccess{}))
		}
	}
}
