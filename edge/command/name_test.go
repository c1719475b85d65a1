package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

var now = time.UnixMilli(1794000000123)

func prepare(t *testing.T, caller Caller, name wire.Name, object string) (*Task, error) {
	t.Helper()
	c, err := wire.Parse(name, []byte(object))
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{}).Prepare(caller, c, now)
}

func TestUsersInThePlaceOfAGroupMeanTheirDirectGroup(t *testing.T) {
	direct := streams.DirectGroup("alice", "bob")
	alice, server := Caller{User: "alice"}, Caller{User: "backend", Server: true}
	tests := []struct {
		caller  Caller
		name    wire.Name
		object  string
		channel streams.Channel // where its event stands
	}{
		{alice, wire.Send, `{"user":"bob","body":"x"}`, "main"},
		{Caller{User: "bob"}, wire.Send, `{"user":"alice","body":"x"}`, "main"},
		{alice, wire.CreateGroup, `{"kind":"direct","user":"bob"}`, "@"},
		{alice, wire.Block, `{"user":"bob"}`, "@members"},
		{alice, wire.Unblock, `{"user":"bob"}`, "@members"},
		{server, wire.Send, `{"user":"bob","body":"x","as":"alice"}`, "main"},
	}
	for _, test := range tests {
		task, err := prepare(t, test.caller, test.name, test.object)
		if err != nil {
			t.Errorf("%s %s: %v", test.name, test.object, err)
			continue
		}
		if task.Group != direct || task.Write.GetGroup() != string(direct) || task.channel() != test.channel {
			t.Errorf("%s %s: group %s, channel %s", test.name, test.object, task.Write.GetGroup(), task.channel())
		}
	}
	for _, refused := range []struct {
		caller Caller
		object string
	}{{alice, `{"user":"alice","body":"x"}`}, {server, `{"user":"bob","body":"x"}`}} {
		if _, err := prepare(t, refused.caller, wire.Send, refused.object); err == nil || streams.AsRejection(err).Code != streams.BadRequest {
			t.Errorf("%s of %v: %v", refused.object, refused.caller, err)
		}
	}
}

func TestOnlyTheHashOfACodeLeavesTheEdge(t *testing.T) {
	object := `{"group":"g","expires_in_ms":1000,"client_id":"` + streams.MakeClientID(now.UnixMilli(), [10]byte{1}).String() + `"}`
	one, err := prepare(t, Caller{User: "alice"}, wire.Invite, object)
	if err != nil {
		t.Fatal(err)
	}
	two, err := prepare(t, Caller{User: "alice"}, wire.Invite, object)
	if err != nil {
		t.Fatal(err)
	}
	invite := one.Write.GetInvite()
	if len(one.Code) != 20 || strings.Trim(one.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || one.Code == two.Code || !one.made {
		t.Errorf("codes %q and %q", one.Code, two.Code)
	}
	if !bytes.Equal(invite.GetHash(), wire.HashCode(one.Code)) || invite.GetExpires() != now.UnixMilli()+1000 {
		t.Errorf("got %v", invite)
	}
	if id := invite.GetInvite(); id == "" || id != two.Write.GetInvite().GetInvite() {
		t.Errorf("ids %q and %q", id, two.Write.GetInvite().GetInvite())
	}
	own, err := prepare(t, Caller{User: "alice"}, wire.Invite, `{"group":"g","code":"of my own"}`)
	if err != nil || own.made || !bytes.Equal(own.Write.GetInvite().GetHash(), wire.HashCode("of my own")) || own.Write.GetInvite().GetExpires() != 0 {
		t.Errorf("got %v, %v", own.Write, err)
	}
}

func TestWhereTheVersionOfAnAnswerStands(t *testing.T) {
	for object, want := range map[string]streams.Channel{
		`create_group {"group":"g","kind":"room","name":"x"}`:                   "@",
		`update_group {"group":"g"}`:                                            "@",
		`delete_group {"group":"g"}`:                                            "@",
		`create_channel {"group":"g","channel":"c","kind":"public","name":"x"}`: "@",
		`update_channel {"group":"g","channel":"c"}`:                            "@",
		`delete_channel {"group":"g","channel":"c"}`:                            "@",
		`attr_set {"group":"g","set":{"k":"v"}}`:                                "@",
		`attr_set {"group":"g","channel":"c","set":{"k":"v"}}`:                  "c",
		`join {"group":"g"}`:                                                    "@members",
		`leave {"group":"g"}`:                                                   "@members",
		`member {"group":"g","user":"bob","do":"kick"}`:                         "@members",
		`invite {"group":"g"}`:                                                  "@members",
		`invite_revoke {"group":"g","invite":"i"}`:                              "@members",
		`send {"group":"g","channel":"c","body":"x"}`:                           "c",
		`edit {"group":"g","channel":"c","n":1,"body":"x"}`:                     "c",
		`recall {"group":"g","channel":"c","n":1}`:                              "c",
		`react {"group":"g","channel":"c","n":1,"emoji":"x"}`:                   "c",
		`unreact {"group":"g","channel":"c","n":1,"emoji":"x"}`:                 "c",
		`pin {"group":"g","channel":"c","n":1}`:                                 "c",
		`unpin {"group":"g","channel":"c","n":1}`:                               "c",
	} {
		name, arguments, _ := strings.Cut(object, " ")
		task, err := prepare(t, Caller{User: "alice"}, wire.Name(name), arguments)
		if err != nil || task.channel() != want {
			t.Errorf("%s: %v, want %s", object, err, want)
		}
	}
}

func TestReasonsOfJoinsAreForImports(t *testing.T) {
	for _, server := range []bool{false, true} {
		for _, name := range []wire.Name{wire.Join, wire.Leave} {
			task, err := prepare(t, Caller{User: "alice", Server: server}, name, `{"group":"g","reason":"why"}`)
			if err != nil {
				t.Fatal(err)
			}
			reason := task.Write.GetJoin().GetReason() + task.Write.GetLeave().GetReason()
			if (reason == "why") != server {
				t.Errorf("%s, server %v: reason %q", name, server, reason)
			}
		}
	}
}
