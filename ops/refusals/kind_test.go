package refusals_test

import "testing"

// kind is a kind of asker: how somebody becomes one, and what they may know.
type kind struct {
	name    string
	becomes func(w *world)
	goes    func(w *world) // by what a member of the private channel becomes one; nil: it is not so
	may     []class
	member  bool // of the group
	inside  bool // in the private channel
	since   bool // the group shows its history since the join
	server  bool
}

var (
	members = []class{ofMembers, ofBefore}
	insides = []class{ofMembers, ofBefore, ofPrivate}
)

// added makes the asker a member, and a number of the private channel where
// inside.
func (w *world) added(role string, inside bool) {
	w.does(w.owner, "member", `{"group":"$G","user":"`+w.asker+`","do":"add","role":"`+role+`"}`)
	if inside {
		w.does(w.insider, "update_channel", `{"group":"$G","channel":"`+w.vault+`","add":["`+w.asker+`"]}`)
	}
	w.does(w.owner, "send", `{"group":"$G","channel":"`+w.open+`","body":"`+w.mark(ofHidden, "unwanted")+`"}`)
	w.does(w.asker, "hide", `{"group":"$G","channel":"`+w.open+`","n":4}`)
}

// acted has the owner do something about the asker.
func (w *world) acted(do string) {
	w.does(w.owner, "member", `{"group":"$G","user":"`+w.asker+`","do":"`+do+`"}`)
}

// is makes the asker a member of a role.
func is(role string) func(*world) {
	return func(w *world) { w.added(role, false) }
}

// removed has the owner do something about the asker, a member of the private
// channel until then.
func removed(do string) kind {
	k := kind{name: "who was subject to " + do, goes: func(w *world) { w.acted(do) }}
	k.becomes = func(w *world) {
		w.added("member", true)
		k.goes(w)
	}
	return k
}

func leaves(w *world) { w.does(w.asker, "leave", `{"group":"$G"}`) }

func takenOut(w *world) {
	w.does(w.insider, "update_channel", `{"group":"$G","channel":"`+w.vault+`","remove":["`+w.asker+`"]}`)
}

var kinds = []kind{
	{name: "stranger", becomes: func(*world) {}},
	removed("kick"),
	removed("ban"),
	{name: "who left", goes: leaves, becomes: func(w *world) {
		w.added("member", true)
		leaves(w)
	}},
	{name: "who waits to be let in", becomes: func(w *world) {
		w.does(w.owner, "update_group", `{"group":"$G","settings":{"join":"approval"}}`)
		w.does(w.asker, "join", `{"group":"$G"}`)
	}},
	{name: "member", becomes: is("member"), may: members, member: true},
	{name: "moderator", becomes: is("moderator"), may: members, member: true},
	{name: "admin", becomes: is("admin"), may: members, member: true},
	{name: "owner", becomes: is("owner"), may: members, member: true},
	{name: "muted member", may: members, member: true, becomes: func(w *world) {
		w.added("member", false)
		w.acted("mute")
	}},
	{name: "who was taken out of the private channel", may: members, member: true, goes: takenOut, becomes: func(w *world) {
		w.added("member", true)
		takenOut(w)
	}},
	{name: "who came late", becomes: is("member"), may: []class{ofMembers}, member: true, since: true},
	{name: "moderator who came late", becomes: is("moderator"), may: []class{ofMembers}, member: true, since: true},
	{name: "who is in the private channel", may: insides, member: true, inside: true, becomes: func(w *world) { w.added("member", true) }},
	{name: "who is in a user group that reads it", may: insides, member: true, inside: true, becomes: func(w *world) {
		w.added("member", false)
		w.does(w.owner, "member", `{"group":"$G","user":"`+w.asker+`","do":"user_groups","user_groups":["`+w.mark(ofPrivate, "readers")+`"]}`)
	}},
	{name: "back end", becomes: func(*world) {}, may: append([]class{ofOthers, ofHidden}, insides...), member: true, inside: true, server: true},
}

// token is the asker's.
func (k kind) token(t testing.TB, w *world) string {
	if k.server {
		return serverToken(t)
	}
	return "dev:" + w.asker
}
