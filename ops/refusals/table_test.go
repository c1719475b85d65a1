package refusals_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/throng/throng/edge/wire"
)

// forms are the forms in which every command is done, in the order in which they
// are: what ends something comes last. $G is the group, $C the channel, $N a
// message, $X a name nobody has used. To the others the world has what they name.
var forms = []form{
	{wire.Connect, `{"token":"dev:$asker"}`},
	{wire.Ping, `{}`},
	{wire.Group, `{"group":"$G"}`},
	{wire.Members, `{"group":"$G"}`},
	{wire.Members, `{"group":"$G","role":"owner","limit":1}`},
	{wire.Members, `{"group":"$G","online":true}`},
	{wire.Presence, `{"group":"$G"}`},
	{wire.Subscribe, `{"group":"$G","channel":"$C"}`},
	{wire.Subscribe, `{"group":"$G","channel":"$C","after":0}`},
	{wire.Subscribe, `{"group":"$G","channel":"$C","tail":100}`},
	{wire.Subscribe, `{"group":"$G","channel":"$C","mode":"hint"}`},
	{wire.Unsubscribe, `{"group":"$G","channel":"$C"}`},
	{wire.Pull, `{"group":"$G","channel":"$C","after":0}`},
	{wire.Pull, `{"group":"$G","channel":"$C","after":0,"upto":1}`},
	{wire.Pull, `{"group":"$G","channel":"$C","after":1000}`},
	{wire.History, `{"group":"$G","channel":"$C"}`},
	{wire.History, `{"group":"$G","channel":"$C","after":0}`},
	{wire.History, `{"group":"$G","channel":"$C","before":3,"limit":1}`},
	{wire.Attrs, `{"group":"$G"}`},
	{wire.Attrs, `{"group":"$G","after":0}`},
	{wire.Attrs, `{"group":"$G","channel":"$C"}`},
	{wire.Attrs, `{"group":"$G","channel":"$C","after":0}`},
	{wire.Attrs, `{"group":"$G","channel":"$C","keys":["$key"]}`},
	{wire.Signal, `{"group":"$G","channel":"$C","type":"t","data":{}}`},
	{wire.Edit, `{"group":"$G","channel":"$C","n":$N,"body":"x"}`},
	{wire.Recall, `{"group":"$G","channel":"$C","n":9999}`},
	{wire.React, `{"group":"$G","channel":"$C","n":$N,"emoji":"$emoji"}`},
	{wire.Unreact, `{"group":"$G","channel":"$C","n":$N,"emoji":"$emoji"}`},
	{wire.React, `{"group":"$G","channel":"$C","n":$N,"emoji":"+"}`},
	{wire.Pin, `{"group":"$G","channel":"$C","n":$N}`},
	{wire.Unpin, `{"group":"$G","channel":"$C","n":$N}`},
	{wire.Hide, `{"group":"$G","channel":"$C","n":9999}`},
	{wire.AttrSet, `{"group":"$G","channel":"$C","set":{"$X":"x"}}`},
	{wire.AttrSet, `{"group":"$G","channel":"$C","set":{"$key":"x"},"if_v":{"$key":9999}}`},
	{wire.AttrSet, `{"group":"$G","channel":"$C","del":["$X"]}`},
	{wire.AttrSet, `{"group":"$G","set":{"$X":"x"},"auto_delete":true}`},
	{wire.Send, `{"group":"$G","channel":"$C","body":"x"}`},
	{wire.Send, `{"group":"$G","channel":"$C","body":"x","reply_to":9999}`},
	{wire.Send, `{"group":"$G","channel":"$C","body":"x","mention_all":true,"mention_roles":["owner"]}`},
	{wire.Send, `{"user":"$insider","body":"x"}`},
	{wire.CreateGroup, `{"group":"$X","kind":"community","name":"x"}`},
	{wire.CreateGroup, `{"kind":"direct","user":"$insider"}`},
	{wire.CreateChannel, `{"group":"$G","channel":"$X","kind":"public","name":"x"}`},
	{wire.CreateChannel, `{"group":"$G","channel":"$X","kind":"private","name":"x","members":["$named"]}`},
	{wire.CreateChannel, `{"group":"$G","channel":"$X","kind":"thread","parent":"$C"}`},
	{wire.CreateChannel, `{"group":"$G","channel":"$X","kind":"thread","parent":{"channel":"$C","n":$N}}`},
	{wire.UpdateChannel, `{"group":"$G","channel":"$C","position":1}`},
	{wire.UpdateChannel, `{"group":"$G","channel":"$C","add":["$owner"]}`},
	{wire.UpdateChannel, `{"group":"$G","channel":"$C","remove":["$named"]}`},
	{wire.UpdateGroup, `{"group":"$G","settings":{"threads":"member"}}`},
	{wire.Invite, `{"group":"$G"}`},
	{wire.InviteRevoke, `{"group":"$G","invite":"$X"}`},
	{wire.InviteRevoke, `{"group":"$G","invite":"$invite"}`},
	{wire.Block, `{"user":"$insider"}`},
	{wire.Unblock, `{"user":"$insider"}`},
	{wire.Join, `{"group":"$G","code":"$revoked"}`},
	{wire.Join, `{"group":"$G"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"add"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"decline"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"mute"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"unmute"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"role","role":"member"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"user_groups","user_groups":["x"]}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"kick"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"ban"}`},
	{wire.Member, `{"group":"$G","user":"$named","do":"unban"}`},
	{wire.Rollback, `{"group":"$G","users":["$named"],"since_seq":1}`},
	{wire.DeleteChannel, `{"group":"$G","channel":"$C"}`},
	{wire.Leave, `{"group":"$G"}`},
	{wire.DeleteGroup, `{"group":"$G"}`},
}

// form is one form of a command.
type form struct {
	command wire.Name
	object  string
}

// about says whether the form names what a variable stands for.
func (f form) about(variable string) bool { return strings.Contains(f.object, variable) }

// fill puts in what the variables stand for.
func (f form) fill(w *world, group, channel string, n int) string {
	w.fresh++
	return strings.NewReplacer(
		"$G", group, "$C", channel, "$N", fmt.Sprint(n), "$X", fmt.Sprintf("x%d-%s", w.fresh, w.id),
		"$asker", w.asker, "$insider", w.insider, "$owner", w.owner, "$named", w.named,
		"$invite", w.invite, "$revoked", w.revoked, "$key", w.mark(ofPrivate, "key1-vau"), "$emoji", "Zq",
	).Replace(f.object)
}

// A command that has no row is a command nobody has looked at.
func TestEveryCommandHasARow(t *testing.T) {
	missing := slices.DeleteFunc(slices.Clone(wire.Names), func(name wire.Name) bool {
		return slices.ContainsFunc(forms, func(f form) bool { return f.command == name })
	})
	if len(missing) > 0 {
		t.Errorf("no row for %v", missing)
	}
}
