package refusals_test

import (
	"fmt"
	"strings"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

func letters(n int) string { return strings.Repeat("a", n) }

// several is n different strings made of a pattern, between brackets.
func several(n int, open, pattern, end string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(pattern, i)
	}
	return open + strings.Join(items, ",") + end
}

func names(n int) string { return several(n, "[", `"u%d"`, "]") }

// limit is one limit of the contract: what is at most is done, what is one above
// refused. $X is a name nobody has used.
type limit struct {
	name    string
	command wire.Name
	object  func(n int) string
	most    int
	code    string
}

var limits = []limit{
	{"bytes of a body", wire.Send, func(n int) string { return `{"group":"g","channel":"c","body":"` + letters(n) + `"}` }, streams.MaxBody, "too_large"},
	{"bytes of a body, escaped", wire.Send, func(n int) string {
		return `{"group":"g","channel":"c","body":"` + strings.Repeat(`\u0061`, n) + `"}`
	}, streams.MaxBody, "too_large"},
	{"bytes of a body of two-byte letters", wire.Send, func(n int) string {
		return `{"group":"g","channel":"c","body":"` + strings.Repeat("é", n/2) + letters(n%2) + `"}`
	}, streams.MaxBody, "too_large"},
	{"bytes of an object", wire.Send, func(n int) string {
		return `{"group":"g","channel":"c","type":"app","body":{"a":"` + letters(n-8) + `"}}`
	}, streams.MaxBody, "too_large"},
	{"bytes of a new body", wire.Edit, func(n int) string { return `{"group":"g","channel":"c","n":1,"body":"` + letters(n) + `"}` }, streams.MaxBody, "too_large"},
	{"bytes of a direct body", wire.Send, func(n int) string { return `{"user":"bob","body":"` + letters(n) + `"}` }, streams.MaxBody, "too_large"},
	{"bytes of a body where the group allows fewer", wire.Send, func(n int) string { return `{"group":"small","channel":"c","body":"` + letters(n) + `"}` }, 10, "too_large"},
	{"bytes of a type", wire.Send, func(n int) string { return `{"group":"g","channel":"c","body":"x","type":"` + letters(n) + `"}` }, streams.MaxType, "bad_request"},
	{"mentions", wire.Send, func(n int) string { return `{"group":"g","channel":"c","body":"x","mentions":` + names(n) + `}` }, streams.MaxMentions, "bad_request"},
	{"mentions of roles", wire.Send, func(n int) string {
		return `{"group":"g","channel":"c","body":"x","mention_roles":[` + strings.Repeat(`"owner",`, n-1) + `"admin"]}`
	}, streams.MaxMentions, "bad_request"},
	{"bytes of a mention", wire.Send, func(n int) string { return `{"group":"g","channel":"c","body":"x","mentions":["` + letters(n) + `"]}` }, streams.MaxName, "bad_request"},
	{"ttl_ms", wire.Send, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","body":"x","ttl_ms":%d}`, n) }, 1 << 52, ""},
	{"bytes of an emoji", wire.React, func(n int) string { return `{"group":"g","channel":"c","n":1,"emoji":"` + letters(n) + `"}` }, streams.MaxEmoji, "bad_request"},
	{"bytes of an emoji taken back", wire.Unreact, func(n int) string { return `{"group":"g","channel":"c","n":1,"emoji":"` + letters(n) + `"}` }, streams.MaxEmoji, "bad_request"},
	{"bytes of a signal", wire.Signal, func(n int) string { return `{"group":"g","channel":"c","type":"t","data":"` + letters(n-2) + `"}` }, wire.MaxSignal, "too_large"},
	{"bytes of a signal's type", wire.Signal, func(n int) string { return `{"group":"g","channel":"c","type":"` + letters(n) + `"}` }, streams.MaxType, "bad_request"},
	{"bytes of a key", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"` + letters(n) + `":"x"}}` }, streams.MaxAttributeKey, "bad_request"},
	{"bytes of a deleted key", wire.AttrSet, func(n int) string { return `{"group":"g","del":["` + letters(n) + `"]}` }, streams.MaxAttributeKey, "bad_request"},
	{"bytes of a compared key", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"k":"x"},"if_v":{"b` + letters(n-1) + `":0}}` }, streams.MaxAttributeKey, "bad_request"},
	{"bytes of a value", wire.AttrSet, func(n int) string { return `{"group":"g","set":{"k":"` + letters(n) + `"}}` }, streams.MaxAttribute, "too_large"},
	{"keys set", wire.AttrSet, func(n int) string { return `{"group":"g","set":` + several(n, "{", `"k%d":"x"`, "}") + `}` }, streams.MaxSetKeys, "bad_request"},
	{"keys set and deleted", wire.AttrSet, func(n int) string {
		return `{"group":"g","set":{"x":"x"},"del":` + several(n-1, "[", `"k%d"`, "]") + `}`
	}, streams.MaxSetKeys, "bad_request"},
	{"keys compared", wire.AttrSet, func(n int) string {
		return `{"group":"g","set":{"k":"x"},"if_v":` + several(n, "{", `"absent%d":0`, "}") + `}`
	}, streams.MaxSetKeys, "bad_request"},
	{"keys asked for", wire.Attrs, func(n int) string { return `{"group":"g","keys":` + several(n, "[", `"k%d"`, "]") + `}` }, 1000, "bad_request"},
	{"bytes of a group's name", wire.UpdateGroup, func(n int) string { return `{"group":"g","name":"` + letters(n) + `"}` }, streams.MaxDisplayName, "too_large"},
	{"bytes of a new group's name", wire.CreateGroup, func(n int) string { return `{"group":"$X","kind":"room","name":"` + letters(n) + `"}` }, streams.MaxDisplayName, "too_large"},
	{"max_message_bytes", wire.UpdateGroup, func(n int) string { return fmt.Sprintf(`{"group":"g","settings":{"max_message_bytes":%d}}`, n) }, streams.MaxBody, "bad_request"},
	{"slow_mode_ms", wire.UpdateGroup, func(n int) string { return fmt.Sprintf(`{"group":"slow","settings":{"slow_mode_ms":%d}}`, n) }, 6 * 60 * 60 * 1000, "bad_request"},
	{"slow_mode_ms of a channel", wire.UpdateChannel, func(n int) string { return fmt.Sprintf(`{"group":"slow","channel":"c","slow_mode_ms":%d}`, n) }, 6 * 60 * 60 * 1000, "bad_request"},
	{"room_idle_ms", wire.UpdateGroup, func(n int) string { return fmt.Sprintf(`{"group":"slow","settings":{"room_idle_ms":%d}}`, n) }, streams.MaxInteger, "bad_request"},
	{"edit_window_ms", wire.UpdateGroup, func(n int) string { return fmt.Sprintf(`{"group":"slow","settings":{"edit_window_ms":%d}}`, n) }, streams.MaxInteger, "bad_request"},
	{"position", wire.UpdateChannel, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","position":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"bytes of a category", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","category":"` + letters(n) + `"}` }, streams.MaxDisplayName, "too_large"},
	{"bytes of a channel's name", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","name":"` + letters(n) + `"}` }, streams.MaxDisplayName, "too_large"},
	{"bytes of a new channel's name", wire.CreateChannel, func(n int) string {
		return `{"group":"g","channel":"$X","kind":"public","name":"` + letters(n) + `"}`
	}, streams.MaxDisplayName, "too_large"},
	{"members of a new channel", wire.CreateChannel, func(n int) string {
		return `{"group":"g","channel":"$X","kind":"private","name":"x","members":` + names(n) + `}`
	}, streams.MaxAddressed - 1, ""}, // its creator is one more
	{"users added", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"p","add":` + names(n) + `}` }, streams.MaxAddressed, "bad_request"},
	{"users removed", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"p","remove":` + names(n) + `}` }, streams.MaxAddressed, "bad_request"},
	{"user groups that read", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"p","read_groups":` + names(n) + `}` }, streams.MaxUserGroups, "bad_request"},
	{"user groups that write", wire.UpdateChannel, func(n int) string { return `{"group":"g","channel":"c","write_groups":` + names(n) + `}` }, streams.MaxUserGroups, "bad_request"},
	{"user groups of a member", wire.Member, func(n int) string {
		return `{"group":"g","user":"bob","do":"user_groups","user_groups":` + names(n) + `}`
	}, streams.MaxUserGroups, "bad_request"},
	{"bytes of a reason", wire.Member, func(n int) string { return `{"group":"g","user":"$X","do":"ban","reason":"` + letters(n) + `"}` }, streams.MaxReason, "too_large"},
	{"until", wire.Member, func(n int) string { return fmt.Sprintf(`{"group":"g","user":"$X","do":"ban","until":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"bytes of a user", wire.Member, func(n int) string { return `{"group":"g","user":"` + letters(n) + `","do":"ban"}` }, streams.MaxName, "bad_request"},
	{"users rolled back", wire.Rollback, func(n int) string { return `{"group":"g","since":0,"ban":false,"users":` + names(n) + `}` }, streams.MaxAddressed, "bad_request"},
	{"bytes of a rollback's reason", wire.Rollback, func(n int) string {
		return `{"group":"g","since":0,"users":["u"],"reason":"` + letters(n) + `"}`
	}, streams.MaxReason, "too_large"},
	{"bytes of a code", wire.Invite, func(n int) string { return fmt.Sprintf(`{"group":"g","code":"%0*d"}`, n, unique.Add(1)) }, 128, "bad_request"},
	{"uses", wire.Invite, func(n int) string { return fmt.Sprintf(`{"group":"g","uses":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"expires_in_ms", wire.Invite, func(n int) string { return fmt.Sprintf(`{"group":"g","expires_in_ms":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"bytes of a group", wire.CreateGroup, func(n int) string { return `{"kind":"room","name":"x","group":"` + numbered(n) + `"}` }, streams.MaxName, "bad_request"},
	{"bytes of a channel", wire.CreateChannel, func(n int) string {
		return `{"group":"g","kind":"public","name":"x","channel":"` + numbered(n) + `"}`
	}, streams.MaxName, "bad_request"},
	{"bytes of a peer", wire.CreateGroup, func(n int) string { return `{"kind":"direct","user":"` + letters(n) + `"}` }, streams.MaxName, "bad_request"},
	{"after", wire.Pull, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","after":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"upto", wire.Pull, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","after":0,"upto":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"limit", wire.Pull, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","after":0,"limit":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"before", wire.History, func(n int) string { return fmt.Sprintf(`{"group":"g","channel":"c","before":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"limit of members", wire.Members, func(n int) string { return fmt.Sprintf(`{"group":"g","limit":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"after of attrs", wire.Attrs, func(n int) string { return fmt.Sprintf(`{"group":"g","after":%d}`, n) }, streams.MaxInteger, "bad_request"},
	{"bytes that members come behind", wire.Members, func(n int) string { return `{"group":"g","after":"` + letters(n) + `"}` }, streams.MaxName, "bad_request"},
}
