package refusals_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/throng/throng/streams"
)

// world is a group with everything in it, made for one asker. Its users, its
// channels and everything people wrote have names and words of their own.
//
// The owner is not in the private channel. The insider, an admin, made it.
type world struct {
	secrets
	t testing.TB
	d *deployment

	asker, owner, insider string // users

	group, gone, never     string // a group, a deleted one, one that never was
	direct, otherwise      string // direct groups of the insider: with the owner, and one that never was
	ours                   string // the direct group of asker and insider, who has blocked the asker
	open, announce, thread string // channels
	vault, attic           string // a private channel and a thread in it
	burnt, closed          string // channels that were deleted: a private and a public one
	named                  string // whom only the private channel names
	invite, revoked        string // the id of an invitation, and the code of one that was revoked
	fresh                  int    // names made so far
}

// newWorld makes the world as far as it is before the asker comes.
func newWorld(t testing.TB, d *deployment, id string, since bool) *world {
	t.Helper()
	w := &world{secrets: secrets{id: id}, t: t, d: d}
	w.asker, w.owner, w.insider = "asker-"+id, "owner-"+id, "insider-"+id
	w.group, w.gone, w.never = "g-"+id, "gone-"+id, "never-"+id
	w.direct = string(streams.DirectGroup(streams.User(w.insider), streams.User(w.owner)))
	w.otherwise = string(streams.DirectGroup(streams.User(w.insider), streams.User("stranger-"+id)))
	w.ours = string(streams.DirectGroup(streams.User(w.insider), streams.User(w.asker)))
	w.open, w.announce, w.thread = w.mark(ofMembers, "open"), w.mark(ofMembers, "announce"), w.mark(ofMembers, "thread")
	w.vault, w.attic, w.burnt = w.mark(ofPrivate, "vault"), w.mark(ofPrivate, "attic"), w.mark(ofPrivate, "burnt")
	w.closed, w.named = w.mark(ofMembers, "closed"), w.mark(ofPrivate, "named")
	settings := `"join":"invite"`
	if since {
		settings += `,"history":"since_join"`
	}
	w.does(w.owner, "create_group", `{"group":"$G","kind":"community","name":"`+w.mark(ofBefore, "former")+`","settings":{`+settings+`}}`)
	w.does(w.owner, "update_group", `{"group":"$G","name":"`+w.mark(ofMembers, "name")+`"}`)
	w.does(w.owner, "member", `{"group":"$G","user":"`+w.insider+`","do":"add","role":"admin"}`)
	w.does(w.owner, "create_channel", `{"group":"$G","channel":"`+w.open+`","kind":"public","name":"`+w.mark(ofMembers, "opened")+`"}`)
	w.does(w.owner, "create_channel", `{"group":"$G","channel":"`+w.announce+`","kind":"public","name":"News","write":"admin"}`)
	w.does(w.owner, "create_channel", `{"group":"$G","channel":"`+w.closed+`","kind":"public","name":"Old"}`)
	w.does(w.owner, "delete_channel", `{"group":"$G","channel":"`+w.closed+`","reason":"`+w.mark(ofBefore, "shut")+`"}`)
	w.public()
	w.private()
	w.elsewhere()
	return w
}

// does has a user do a command about the world's group, and wants it to work.
func (w *world) does(user, command, object string) map[string]any {
	w.t.Helper()
	return w.d.must(w.t, user, command, strings.ReplaceAll(object, "$G", w.group))
}

// public fills what every member may know. Its first message is from before the
// asker's time, the second recalled, the third expired.
func (w *world) public() {
	at := `{"group":"$G","channel":"` + w.open + `",`
	w.does(w.owner, "send", at+`"body":"`+w.mark(ofBefore, "said")+`","type":"`+w.mark(ofBefore, "type")+`"}`)
	w.does(w.owner, "react", at+`"n":1,"emoji":"`+w.mark(ofBefore, "emoji")+`"}`)
	w.does(w.owner, "send", at+`"body":"`+w.mark(ofNobody, "recalled")+`"}`)
	w.does(w.owner, "edit", at+`"n":2,"body":"`+w.mark(ofNobody, "edited")+`"}`)
	w.does(w.owner, "recall", at+`"n":2}`)
	w.does(w.owner, "send", at+`"body":"`+w.mark(ofNobody, "expired")+`","ttl_ms":1}`)
	w.does(w.owner, "pin", at+`"n":1}`)
	w.does(w.owner, "create_channel", `{"group":"$G","channel":"`+w.thread+`","kind":"thread","parent":{"channel":"`+w.open+`","n":1}}`)
	w.does(w.owner, "send", `{"group":"$G","channel":"`+w.thread+`","body":"`+w.mark(ofBefore, "threaded")+`"}`)
	w.does(w.owner, "send", `{"group":"$G","channel":"`+w.announce+`","body":"`+w.mark(ofBefore, "announced")+`"}`)
	for i, where := range []string{"", `"channel":"` + w.open + `",`} {
		set := func(c class, key, value string) {
			w.does(w.owner, "attr_set", `{"group":"$G",`+where+`"set":{"`+w.mark(c, fmt.Sprint(key, i))+`":"`+w.mark(c, fmt.Sprint(value, i))+`"}}`)
		}
		set(ofMembers, "key", "value")
		set(ofBefore, "lost", "loss")
		w.does(w.owner, "attr_set", `{"group":"$G",`+where+`"del":["`+w.mark(ofBefore, fmt.Sprint("lost", i))+`"]}`)
	}
	passer := w.mark(ofBefore, "passer")
	w.does(w.owner, "member", `{"group":"$G","user":"`+passer+`","do":"add"}`)
	w.does(w.owner, "member", `{"group":"$G","user":"`+passer+`","do":"ban","reason":"`+w.mark(ofBefore, "reason")+`"}`)
	w.does(w.owner, "member", `{"group":"$G","user":"`+w.mark(ofMembers, "member")+`","do":"add"}`)
	w.does(w.owner, "member", `{"group":"$G","user":"`+w.mark(ofMembers, "member")+`","do":"user_groups","user_groups":["`+w.mark(ofMembers, "jury")+`"]}`)
	code := w.mark(ofNobody, "code")
	w.invite, _ = w.does(w.owner, "invite", `{"group":"$G","code":"`+code+`"}`)["invite"].(string)
	hash := sha256.Sum256([]byte(code))
	w.all[hex.EncodeToString(hash[:])] = ofNobody
	w.revoked = "a code that was revoked " + w.id
	second, _ := w.does(w.owner, "invite", `{"group":"$G","code":"`+w.revoked+`"}`)["invite"].(string)
	w.does(w.owner, "invite_revoke", `{"group":"$G","invite":"`+second+`"}`)
}

// private makes the private channel, its thread, and one that is deleted.
func (w *world) private() {
	at := `{"group":"$G","channel":"` + w.vault + `",`
	w.does(w.insider, "create_channel", at+`"kind":"private","name":"`+w.mark(ofPrivate, "title")+`","members":["`+w.named+
		`"],"category":"`+w.mark(ofPrivate, "category")+`","read_groups":["`+w.mark(ofPrivate, "readers")+`"]}`)
	w.fill(w.vault, ofPrivate)
	w.does(w.insider, "update_channel", at+`"name":"`+w.mark(ofPrivate, "renamed")+`","add":["`+w.mark(ofPrivate, "added")+`"]}`)
	w.does(w.insider, "create_channel", `{"group":"$G","channel":"`+w.attic+`","kind":"thread","name":"`+w.mark(ofPrivate, "up")+
		`","parent":{"channel":"`+w.vault+`","n":1}}`)
	w.fill(w.attic, ofPrivate)
	w.does(w.insider, "create_channel", `{"group":"$G","channel":"`+w.burnt+`","kind":"private","name":"`+w.mark(ofPrivate, "ash")+`"}`)
	w.fill(w.burnt, ofNobody)
	w.does(w.insider, "delete_channel", `{"group":"$G","channel":"`+w.burnt+`","reason":"`+w.mark(ofPrivate, "fire")+`"}`)
}

// fill has the insider do in a channel all there is to do, with secrets in all
// that can hold them, and makes new ones each time.
func (w *world) fill(channel string, c class) {
	w.fresh++
	label := func(s string) string { return w.mark(c, fmt.Sprint(s, w.fresh, "-", channel[2:5])) }
	at := `{"group":"$G","channel":"` + channel + `",`
	sent := w.does(w.insider, "send", at+`"body":"`+label("body")+`","type":"`+label("kind")+`","mentions":["`+label("mention")+`"]}`)
	n := fmt.Sprintf(`"n":%v`, sent["n"])
	w.does(w.insider, "edit", at+n+`,"body":"`+label("edit")+`"}`)
	w.does(w.insider, "react", at+n+`,"emoji":"`+label("emoji")+`"}`)
	w.does(w.insider, "pin", at+n+`}`)
	w.does(w.insider, "send", at+`"body":"`+label("second")+`","mention_all":true,"reply_to":1}`)
	w.does(w.insider, "attr_set", at+`"set":{"`+label("key")+`":"`+label("value")+`"}}`)
	w.does(w.insider, "signal", at+`"type":"`+label("signal")+`","data":"`+label("data")+`"}`)
}

// elsewhere is what there is beside the group.
func (w *world) elsewhere() {
	w.d.must(w.t, w.owner, "create_group", `{"group":"`+w.gone+`","kind":"community","name":"`+w.mark(ofNobody, "over")+`"}`)
	w.d.must(w.t, w.owner, "create_channel", `{"group":"`+w.gone+`","channel":"`+w.open+`","kind":"public","name":"x"}`)
	w.d.must(w.t, w.owner, "delete_group", `{"group":"`+w.gone+`","reason":"`+w.mark(ofNobody, "ended")+`"}`)
	w.d.must(w.t, w.insider, "send", `{"user":"`+w.owner+`","body":"`+w.mark(ofOthers, "between")+`"}`)
	w.d.must(w.t, w.insider, "attr_set", `{"group":"`+w.direct+`","set":{"`+w.mark(ofOthers, "us")+`":"`+w.mark(ofOthers, "two")+`"}}`)
	w.d.must(w.t, w.insider, "send", `{"user":"`+w.asker+`","body":"hello"}`)
	w.d.must(w.t, w.insider, "block", `{"user":"`+w.asker+`"}`)
}
