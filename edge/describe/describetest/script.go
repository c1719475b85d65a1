package describetest

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/throng/throng/streams"
)

// Step is a command over HTTP.
type Step struct{ User, Command, Object string }

// Script is every command that goes over HTTP, in an order in which a server
// with an empty log takes them all but those marked. Each has as much in it
// as it can have. The objects stand for themselves but for $id,
// which [Prepare] replaces, and $invite, which is what invite answered.
var Script = []Step{
	{"alice", "ping", `{}`},
	{"alice", "create_group", `{"group":"g","kind":"community","name":"G","settings":{"hook":"open","edit_window_ms":0,"threads":"member"},"client_id":"$id"}`},
	{"alice", "create_group", `{"group":"g","kind":"community","name":"G","settings":{"hook":"open","edit_window_ms":0,"threads":"member"},"client_id":"$id"}`},
	{"alice", "create_channel", `{"group":"g","channel":"c","kind":"public","name":"C","category":"Talk","position":2,"write_groups":["staff"]}`},
	{"bob", "join", `{"group":"g"}`},
	{"bob", "join", `{"group":"g"}`},
	{"carol", "history", `{"group":"g","channel":"c"}`}, // not_member
	{"carol", "group", `{"group":"none"}`},              // not_found
	{"carol", "pull", `{"group":"g"}`},                  // bad_request
	{"alice", "create_channel", `{"group":"g","channel":"p","kind":"private","name":"P","members":["bob"],"settings":{"read_groups":["jury"]}}`},
	{"alice", "update_channel", `{"group":"g","channel":"p","name":"Q","remove":["bob"],"settings":{"slow_mode_ms":5}}`},
	{"alice", "update_channel", `{"group":"g","channel":"p","add":["bob"]}`},
	{"bob", "send", `{"group":"g","channel":"c","body":"hi","mentions":["alice"],"client_id":"$id"}`},
	{"bob", "send", `{"group":"g","channel":"c","body":"hi","mentions":["alice"],"client_id":"$id"}`},
	{"alice", "send", `{"group":"g","channel":"c","type":"card","body":{"a":[1,null]},"mention_all":true,"mention_roles":["admin"],"reply_to":1,"priority":"high","ttl_ms":3600000}`},
	{"alice", "send", `{"group":"g","channel":"c","body":"soon gone","priority":"low","ttl_ms":1}`},
	{"alice", "send", `{"group":"g","channel":"c","body":"taken back"}`},
	{"bob", "edit", `{"group":"g","channel":"c","n":1,"body":"hi all"}`},
	{"bob", "react", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`},
	{"alice", "react", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`},
	{"bob", "unreact", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`},
	{"bob", "unreact", `{"group":"g","channel":"c","n":1,"emoji":"👍"}`},
	{"alice", "pin", `{"group":"g","channel":"c","n":1}`},
	{"alice", "pin", `{"group":"g","channel":"c","n":2}`},
	{"alice", "unpin", `{"group":"g","channel":"c","n":2}`},
	{"alice", "recall", `{"group":"g","channel":"c","n":4}`},
	{"bob", "hide", `{"group":"g","channel":"c","n":2}`},
	{"bob", "create_channel", `{"group":"g","channel":"t","kind":"thread","parent":{"channel":"c","n":1}}`},
	{"alice", "attr_set", `{"group":"g","set":{"k":"v","l":"w"}}`},
	{"alice", "attr_set", `{"group":"g","set":{"m":"v"},"protect":true,"auto_delete":true}`},
	{"alice", "attr_set", `{"group":"g","del":["l"]}`},
	{"alice", "attr_set", `{"group":"g","set":{"k":"x"},"if_v":{"k":1,"none":5}}`}, // conflict
	{"alice", "attrs", `{"group":"g"}`},
	{"alice", "attrs", `{"group":"g","after":1}`},
	{"alice", "update_group", `{"group":"g","name":"H","settings":{"join":"approval"}}`},
	{"carol", "join", `{"group":"g","reason":"please"}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"decline","reason":"no"}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"add","role":"member"}`},
	{"alice", "update_group", `{"group":"g","settings":{"join":"invite"}}`},
	{"alice", "invite", `{"group":"g","code":"ABCDEFGHJK","expires_in_ms":3600000,"uses":5}`},
	{"dave", "join", `{"group":"g","code":"ABCDEFGHJK"}`},
	{"alice", "invite_revoke", `{"group":"g","invite":"$invite"}`},
	{"dave", "send", `{"group":"g","channel":"t","body":"spam"}`},
	{"alice", "member", `{"group":"g","user":"bob","do":"user_groups","user_groups":["jury"]}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"user_groups","user_groups":["staff"]}`},
	{"alice", "member", `{"group":"g","user":"bob","do":"role","role":"moderator","reason":"helps"}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"mute","until":9000000000000,"reason":"loud"}`},
	{"carol", "send", `{"group":"g","channel":"c","body":"x"}`}, // muted
	{"alice", "members", `{"group":"g"}`},
	{"alice", "members", `{"group":"g","limit":1}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"unmute"}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"mute"}`},
	{"alice", "rollback", `{"group":"g","users":["dave"],"since":1,"until":9000000000000,"reason":"spam"}`},
	{"alice", "member", `{"group":"g","user":"dave","do":"unban"}`},
	{"alice", "member", `{"group":"g","user":"carol","do":"kick","reason":"loud"}`},
	{"alice", "send", `{"user":"bob","body":"psst"}`},
	{"bob", "create_group", `{"kind":"direct","user":"alice"}`},
	{"bob", "block", `{"user":"alice"}`},
	{"bob", "unblock", `{"user":"alice"}`},
	{"alice", "signal", `{"group":"g","channel":"c","type":"typing","data":{"on":true}}`},
	{"alice", "presence", `{"group":"g"}`},
	{"alice", "group", `{"group":"g"}`},
	{"alice", "history", `{"group":"g","channel":"c"}`},
	{"alice", "history", `{"group":"g","channel":"c","after":0,"limit":2}`},
	{"bob", "history", `{"group":"g","channel":"c","before":100}`},
	{"alice", "delete_channel", `{"group":"g","channel":"p","reason":"done"}`},
	{"bob", "leave", `{"group":"g"}`},
	{"alice", "pull", `{"group":"g","channel":"@","after":0}`},
	{"alice", "pull", `{"group":"g","channel":"@members","after":0}`},
	{"alice", "pull", `{"group":"g","channel":"c","after":0}`},
	{"alice", "pull", `{"group":"g","channel":"t","after":0,"limit":1}`},
	{"alice", "delete_group", `{"group":"g","reason":"over"}`},
}

// Prepare is the script for one run.
func Prepare() []Step {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	id := streams.MakeClientID(time.Now().UnixMilli(), entropy).String()
	steps := make([]Step, len(Script))
	for i, s := range Script {
		s.Object = strings.ReplaceAll(s.Object, "$id", id)
		steps[i] = s
	}
	return steps
}
