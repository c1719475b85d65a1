package irc

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var userForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkUserID(tb testing.TB, nick string) {
	tb.Helper()
	id := UserID(nick)
	if !userForm.MatchString(id) {
		tb.Errorf("nick %q: %q is no user id", nick, id)
	}
	if userForm.MatchString(nick) && id != nick {
		tb.Errorf("nick %q is a user id already, but became %q", nick, id)
	}
}

func TestUserID(t *testing.T) {
	long := strings.Repeat("x", 64)
	tests := []struct {
		name, nick, want string
	}{
		{"a plain nick is itself", "TheHawk", "TheHawk"},
		{"case is kept", "thehawk", "thehawk"},
		{"underscores, hyphens and digits are legal", "-_1", "-_1"},
		{"64 bytes are legal", long, long},
		{"65 are cut", long + "x", long[:57] + "-9537c5"},
		{"a pipe", "Stu|", "Stu_-"},
		{"a back tick makes another user of it", "Stu`", "Stu_-"},
		{"the logger's space", "Cal[] John", "Cal___John-"},
		{"an empty nick", "", "_-e3b0c4"},
		{"one underscore per rune", "Jörg", "J_rg-"},
		{"not UTF-8", "J\xf6rg", "J_rg-"},
		{"the server's own names", "@members", "_members-"},
	}
	seen := map[string]string{}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkUserID(t, test.nick)
			got := UserID(test.nick)
			if want := test.want; got != want && (!strings.HasSuffix(want, "-") || !strings.HasPrefix(got, want) || len(got) != len(want)+6) {
				t.Errorf("got %q, want %q", got, want)
			}
			if other, ok := seen[got]; ok {
				t.Errorf("%q and %q are both %q", other, test.nick, got)
			}
			seen[got] = test.nick
		})
	}
}

func TestMentions(t *testing.T) {
	nicks := []string{"alice", "bob", "carol", "[FiDo]", "[ANF] MasterNinja", "http", "std", "the"}
	known := func(nick string) bool { return slices.Contains(nicks, nick) }
	tests := []struct {
		name, text string
		want       []string
	}{
		{"with a colon", "bob: hi", []string{"bob"}},
		{"with a comma", "bob, hi", []string{"bob"}},
		{"nothing after it", "bob:", []string{"bob"}},
		{"no space after it", "bob:hi", []string{"bob"}},
		{"several", "alice, bob: hi", []string{"alice", "bob"}},
		{"several without space", "alice,bob,carol: hi", []string{"alice", "bob", "carol"}},
		{"several with commas only", "alice, bob, look", []string{"alice", "bob"}},
		{"the same twice", "bob, bob: hi", []string{"bob"}},
		{"an unknown one ends it", "alice, dave, bob: hi", []string{"alice"}},
		{"unknown", "dave: hi", nil},
		{"a colon ends it", "alice: bob, carol", []string{"alice"}},
		{"not at the start", "hi bob: hi", nil},
		{"no separator", "bob hi", nil},
		{"leading spaces", "  bob: hi", []string{"bob"}},
		{"a space before the colon", "bob : hi", []string{"bob"}},
		{"a nick that ends with a space", "[FiDo] : /msg ubotu sources", []string{"[FiDo]"}},
		{"a nick with a space in it", "[ANF] MasterNinja: use sudo", []string{"[ANF] MasterNinja"}},
		{"an address of the web", "http://example.com", nil},
		{"a scope", "std::vector", nil},
		{"another case", "BOB: hi", nil},
		{"empty", "", nil},
		{"only a colon", ": hi", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Mentions(test.text, known); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
