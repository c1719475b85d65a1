package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

func a(n int) string { return strings.Repeat("a", n) }

// listed is a JSON list of n different names.
func listed(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"u%d"`, i)
	}
	return "[" + strings.Join(names, ",") + "]"
}

// keyed is a JSON object of n different keys of one value.
func keyed(n int, value string) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":%s`, i, value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// Every limit of form is taken at exactly its edge and refused one above.
func TestLimitsAtTheirEdge(t *testing.T) {
	tests := []struct {
		name    string
		command wire.Name
		object  func(n int) string
		limit   int
		code    streams.Code
	}{
		{"bytes of a key", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"` + a(n) + `":""}}` }, 128, streams.BadRequest},
		{"bytes of a deleted key", wire.AttrSet, func(n int) string { return `{"group":"g","del":["` + a(n) + `"]}` }, 128, streams.BadRequest},
		{"bytes of a value", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"k":"` + a(n) + `"}}` }, 4096, streams.TooLarge},
		{"bytes of a value in two-byte letters", wire.AttrSet, func(n int) string {
			return `{"group":"g","set":{"k":"` + strings.Repeat("é", n/2) + a(n%2) + `"}}`
		}, 4096, streams.TooLarge},
		{"keys set", wire.AttrSet, func(n int) string { return `{"group":"g","set":` + keyed(n, `"v"`) + `}` }, 100, streams.BadRequest},
		{"keys deleted", wire.AttrSet, func(n int) string { return `{"group":"g","del":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"keys set and deleted", wire.AttrSet, func(n int) string {
			return `{"group":"g","set":` + keyed(n-50, `"v"`) + `,"del":` + listed(50) + `}`
		}, 100, streams.BadRequest},
		{"keys compared", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"k":"v"},"if_v":` + keyed(n, "1") + `}` }, 100, streams.BadRequest},
		{"keys asked for", wire.Attrs, func(n int) string { return `{"group":"g","keys":` + listed(n) + `}` }, 1000, streams.BadRequest},
		{"bytes of an emoji", wire.React, func(n int) string { return `{"group":"g","channel":"c","n":1,"emoji":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"a message to hide", wire.Hide, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","n":%d}`, n) }, 1<<53 - 1, streams.BadRequest},
		{"bytes of a channel with something to hide", wire.Hide, func(n int) string { return `{"group":"g","n":1,"channel":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"bytes of a signal", wire.Signal, func(n int) string {
			return `{"group":"g","channel":"c","type":"t","data":"` + a(n-2) + `"}`
		}, 4096, streams.TooLarge},
		{"bytes of a signal's type", wire.Signal, func(n int) string { return `{"group":"g","channel":"c","type":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"bytes of a group's name", wire.CreateGroup, func(n int) string { return `{"kind":"room","name":"` + a(n) + `"}` }, 256, streams.TooLarge},
		{"bytes of a group", wire.CreateGroup, func(n int) string { return `{"kind":"room","name":"x","group":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"bytes of a peer", wire.CreateGroup, func(n int) string { return `{"kind":"direct","user":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"bytes of a reason", wire.DeleteGroup, func(n int) string { return `{"group":"g","reason":"` + a(n) + `"}` }, 512, streams.TooLarge},
		{"max_message_bytes", wire.UpdateGroup, func(n int) string {
			return fmt.Sprintf(`{"group":"g","settings":{"max_message_bytes":%d}}`, n)
		}, 16384, streams.BadRequest},
		{"bytes of a channel", wire.CreateChannel, func(n int) string { return `{"group":"g","kind":"public","name":"x","channel":"` + a(n) + `"}` }, 64, streams.BadRequest},
		{"members of a new channel", wire.CreateChannel, func(n int) string { return `{"group":"g","kind":"private","name":"x","members":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"users added", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","add":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"users removed", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","remove":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"user groups that read", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","read_groups":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"user groups of a member", wire.Member, func(n int) string {
			return `{"group":"g","user":"u","do":"user_groups","user_groups":` + listed(n) + `}`
		}, 100, streams.BadRequest},
		{"users of a rollback", wire.Rollback, func(n int) string { return `{"group":"g","since":0,"users":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"bytes of a rollback's reason", wire.Rollback, func(n int) string {
			return `{"group":"g","since_seq":1,"users":["u"],"reason":"` + a(n) + `"}`
		}, 512, streams.TooLarge},
		{"bytes of a user of a rollback", wire.Rollback, func(n int) string { return `{"group":"g","since_seq":1,"users":["` + a(n) + `"]}` }, 64, streams.BadRequest},
		{"bytes of a code", wire.Invite, func(n int) string { return `{"group":"g","code":"` + a(n) + `"}` }, 128, streams.BadRequest},
		{"mentions", wire.Send, func(n int) string { return `{"group":"g","channel":"c","body":"x","mentions":` + listed(n) + `}` }, 100, streams.BadRequest},
		{"bytes of a direct message", wire.Send, func(n int) string { return `{"user":"bob","body":"` + a(n) + `"}` }, 16384, streams.TooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := wire.Parse(test.command, []byte(test.object(test.limit))); err != nil {
				t.Errorf("at %d: %v", test.limit, err)
			}
			_, err := wire.Parse(test.command, []byte(test.object(test.limit+1)))
			if err == nil || streams.AsRejection(err).Code != test.code {
				t.Errorf("at %d: %v, want %s", test.limit+1, err, test.code)
			}
		})
	}
}

func TestCommandsOnGroupsThatAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		command wire.Name
		object  string
	}{
		{"an empty key", wire.AttrSet, `{"group":"g","set":{"":"v"}}`},
		{"a key with a blank", wire.AttrSet, `{"group":"g","set":{"a b":"v"}}`},
		{"a key with a slash", wire.AttrSet, `{"group":"g","set":{"a/b":"v"}}`},
		{"a key with a wildcard", wire.AttrSet, `{"group":"g","del":["*"]}`},
		{"a key outside ASCII", wire.AttrSet, `{"group":"g","set":{"é":"v"}}`},
		{"a value that is a number", wire.AttrSet, `{"group":"g","set":{"k":1}}`},
		{"a value that is null", wire.AttrSet, `{"group":"g","set":{"k":null}}`},
		{"a value that is an object", wire.AttrSet, `{"group":"g","set":{"k":{}}}`},
		{"nothing set and deleted", wire.AttrSet, `{"group":"g"}`},
		{"empty set and del", wire.AttrSet, `{"group":"g","set":{},"del":[]}`},
		{"a list set", wire.AttrSet, `{"group":"g","set":["k"]}`},
		{"a key set and deleted", wire.AttrSet, `{"group":"g","set":{"k":"v"},"del":["k"]}`},
		{"a key deleted twice", wire.AttrSet, `{"group":"g","del":["k","k"]}`},
		{"a version that is a string", wire.AttrSet, `{"group":"g","set":{"k":"v"},"if_v":{"k":"1"}}`},
		{"a version below 0", wire.AttrSet, `{"group":"g","set":{"k":"v"},"if_v":{"k":-1}}`},
		{"a version that is a fraction", wire.AttrSet, `{"group":"g","set":{"k":"v"},"if_v":{"k":1.5}}`},
		{"auto_delete that is no flag", wire.AttrSet, `{"group":"g","set":{"k":"v"},"auto_delete":1}`},
		{"attrs before 0", wire.Attrs, `{"group":"g","after":-1}`},
		{"attrs of a bad key", wire.Attrs, `{"group":"g","keys":[""]}`},
		{"attrs of keys that are no list", wire.Attrs, `{"group":"g","keys":"k"}`},
		{"no emoji", wire.React, `{"group":"g","channel":"c","n":1}`},
		{"an empty emoji", wire.React, `{"group":"g","channel":"c","n":1,"emoji":""}`},
		{"an emoji with a newline", wire.React, `{"group":"g","channel":"c","n":1,"emoji":"a\n"}`},
		{"an emoji that is a number", wire.Unreact, `{"group":"g","channel":"c","n":1,"emoji":1}`},
		{"a reaction to nothing", wire.React, `{"group":"g","channel":"c","emoji":"x"}`},
		{"a reaction to 0", wire.Unreact, `{"group":"g","channel":"c","n":0,"emoji":"x"}`},
		{"a pin of nothing", wire.Pin, `{"group":"g","channel":"c"}`},
		{"a pin of a negative number", wire.Unpin, `{"group":"g","channel":"c","n":-1}`},
		{"a signal without a type", wire.Signal, `{"group":"g","channel":"c"}`},
		{"a signal without a channel", wire.Signal, `{"group":"g","type":"t"}`},
		{"member without do", wire.Member, `{"group":"g","user":"u"}`},
		{"member with another do", wire.Member, `{"group":"g","user":"u","do":"hug"}`},
		{"member of nobody", wire.Member, `{"group":"g","do":"kick"}`},
		{"a role without one", wire.Member, `{"group":"g","user":"u","do":"role"}`},
		{"a role that is none", wire.Member, `{"group":"g","user":"u","do":"role","role":"king"}`},
		{"until below 0", wire.Member, `{"group":"g","user":"u","do":"mute","until":-1}`},
		{"until a fraction", wire.Member, `{"group":"g","user":"u","do":"mute","until":1.5}`},
		{"until a string", wire.Member, `{"group":"g","user":"u","do":"ban","until":"5"}`},
		{"until beyond 2^53", wire.Member, `{"group":"g","user":"u","do":"mute","until":9007199254740992}`},
		{"user groups not given", wire.Member, `{"group":"g","user":"u","do":"user_groups"}`},
		{"user groups outside the alphabet", wire.Member, `{"group":"g","user":"u","do":"user_groups","user_groups":["a b"]}`},
		{"a direct group with nobody", wire.CreateGroup, `{"kind":"direct"}`},
		{"a direct group with the server", wire.CreateGroup, `{"kind":"direct","user":"@server"}`},
		{"no kind", wire.CreateGroup, `{"name":"x"}`},
		{"no name", wire.CreateGroup, `{"kind":"room"}`},
		{"a thread without parent", wire.CreateChannel, `{"group":"g","kind":"thread","name":"x"}`},
		{"a parent that is a number", wire.CreateChannel, `{"group":"g","kind":"thread","name":"x","parent":5}`},
		{"a parent without channel", wire.CreateChannel, `{"group":"g","kind":"thread","name":"x","parent":{"n":5}}`},
		{"a parent of a negative number", wire.CreateChannel, `{"group":"g","kind":"thread","name":"x","parent":{"channel":"c","n":-5}}`},
		{"a parent of what is no thread", wire.CreateChannel, `{"group":"g","kind":"public","name":"x","parent":"c"}`},
		{"members of a public channel", wire.CreateChannel, `{"group":"g","kind":"public","name":"x","members":["bob"]}`},
		{"members outside the alphabet", wire.CreateChannel, `{"group":"g","kind":"private","name":"x","members":["b b"]}`},
		{"an unknown setting of a channel", wire.CreateChannel, `{"group":"g","kind":"public","name":"x","settings":{"wirte":"admin"}}`},
		{"a setting that is no role", wire.UpdateChannel, `{"group":"g","channel":"c","write":"king"}`},
		{"one user added and removed", wire.UpdateChannel, `{"group":"g","channel":"c","add":["u"],"remove":["u"]}`},
		{"a channel deleted without its name", wire.DeleteChannel, `{"group":"g"}`},
		{"an unknown hook", wire.UpdateGroup, `{"group":"g","settings":{"hook":"maybe"}}`},
		{"a short code", wire.Invite, `{"group":"g","code":"1234567"}`},
		{"an invitation that has ended", wire.Invite, `{"group":"g","expires_in_ms":0}`},
		{"no invitation revoked", wire.InviteRevoke, `{"group":"g"}`},
		{"a code that is a number", wire.Join, `{"group":"g","code":5}`},
		{"nobody blocked", wire.Block, `{}`},
		{"a name outside the alphabet unblocked", wire.Unblock, `{"user":"a.b"}`},
		{"nobody of many added", wire.Member, `{"group":"g","do":"add","users":[]}`},
		{"many and one added", wire.Member, `{"group":"g","do":"add","users":["bob"],"user":"carol"}`},
		{"many kicked", wire.Member, `{"group":"g","do":"kick","users":["bob"]}`},
		{"many of nothing done", wire.Member, `{"group":"g","users":["bob"]}`},
		{"many outside the alphabet added", wire.Member, `{"group":"g","do":"add","users":["b b"]}`},
		{"more than one command adds", wire.Member, `{"group":"g","do":"add","users":["` + manyUsers(streams.MaxAdded+1) + `"]}`},
		{"presence of no group", wire.Presence, `{}`},
		{"online that is no flag", wire.Members, `{"group":"g","online":"yes"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := wire.Parse(test.command, []byte(test.object))
			if err == nil || streams.AsRejection(err).Code != streams.BadRequest {
				t.Errorf("%s: %v", test.object, err)
			}
		})
	}
}

// manyUsers is the inside of a list of users.
func manyUsers(count int) string {
	users := make([]string, count)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	return strings.Join(users, `","`)
}
