package wire_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams/streampb"
)

// What owners are sent of what clients say.
func TestCommandsOnGroupsKeepEveryField(t *testing.T) {
	hash := wire.HashCode("ABCDEFGH")
	tests := []struct {
		command wire.Name
		object  string
		want    *streampb.Command
	}{
		{wire.CreateGroup, `{"group":"g","kind":"room","name":"R","settings":{"join":"approval","edit_window_ms":5,"threads":"admin","hook":"closed"}}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "room", Name: "R", Settings: &streampb.SettingsPatch{
				Join: proto.String("approval"), EditWindowMs: proto.Int64(5), Threads: streampb.Role_ROLE_ADMIN.Enum(), Hook: proto.String("closed"),
			}}},
		}},
		{wire.CreateGroup, `{"kind":"direct","user":"bob","group":"ignored"}`, &streampb.Command{
			Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "direct", Peer: "bob"}},
		}},
		{wire.DeleteGroup, `{"group":"g","reason":"over"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_DeleteGroup{DeleteGroup: &streampb.DeleteGroup{Reason: "over"}},
		}},
		{wire.CreateChannel, `{"group":"g","channel":"c","kind":"private","name":"C","members":["carol","bob","bob"],"category":"Flat","position":1,"settings":{"position":2,"write":"moderator","read_groups":["jury"]}}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{
				Channel: "c", Kind: "private", Name: "C", Members: []string{"bob", "carol"}, Settings: &streampb.ChannelSettingsPatch{
					Write: streampb.Role_ROLE_MODERATOR.Enum(), ReadGroups: &streampb.StringList{Values: []string{"jury"}},
					Position: proto.Int64(2), Category: proto.String("Flat"),
				},
			}},
		}},
		{wire.CreateChannel, `{"group":"g","channel":"t","kind":"thread","parent":{"channel":"c","n":7}}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "t", Kind: "thread", Parent: &streampb.Parent{Channel: "c", N: 7}}},
		}},
		{wire.CreateChannel, `{"group":"g","channel":"t","kind":"thread","name":"T","parent":"c"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "t", Kind: "thread", Name: "T", Parent: &streampb.Parent{Channel: "c"}}},
		}},
		{wire.UpdateChannel, `{"group":"g","channel":"c","name":"D","write_groups":[],"slow_mode_ms":0,"add":["bob"],"remove":["carol"]}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_UpdateChannel{UpdateChannel: &streampb.UpdateChannel{
				Channel: "c", Name: proto.String("D"), Add: []string{"bob"}, Remove: []string{"carol"},
				Settings: &streampb.ChannelSettingsPatch{WriteGroups: &streampb.StringList{}, SlowModeMs: proto.Int64(0)},
			}},
		}},
		{wire.DeleteChannel, `{"group":"g","channel":"c","reason":"old"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_DeleteChannel{DeleteChannel: &streampb.DeleteChannel{Channel: "c", Reason: "old"}},
		}},
		{wire.Member, `{"group":"g","users":["bob","carol","bob"],"do":"add","role":"moderator","reason":"moved"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_AddMembers{AddMembers: &streampb.AddMembers{
				Users: []string{"bob", "carol"}, Role: streampb.Role_ROLE_MODERATOR, Reason: "moved",
			}},
		}},
		{wire.Join, `{"group":"g","code":"ABCDEFGH","reason":"hello"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_Join{Join: &streampb.Join{CodeHash: hash, Reason: "hello"}},
		}},
		{wire.InviteRevoke, `{"group":"g","invite":"i1"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_Invite{Invite: &streampb.Invite{Invite: "i1"}},
		}},
		{wire.Invite, `{"group":"g","uses":3}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_Invite{Invite: &streampb.Invite{Uses: 3}},
		}},
		{wire.Block, `{"user":"bob"}`, &streampb.Command{Body: &streampb.Command_Block{Block: &streampb.Block{Peer: "bob"}}}},
		{wire.Unblock, `{"user":"bob"}`, &streampb.Command{Body: &streampb.Command_Block{Block: &streampb.Block{Peer: "bob", Undo: true}}}},
		{wire.Send, `{"user":"bob","body":"hi"}`, &streampb.Command{
			Body: &streampb.Command_Send{Send: &streampb.Send{Type: "text", Body: []byte("hi"), Peer: "bob"}},
		}},
		{wire.Send, `{"group":"g","channel":"c","user":"bob","body":"hi"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_Send{Send: &streampb.Send{Channel: "c", Type: "text", Body: []byte("hi")}},
		}},
		{wire.React, `{"group":"g","channel":"c","n":3,"emoji":"👨‍👩‍👧"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_React{React: &streampb.React{Channel: "c", N: 3, Emoji: "👨‍👩‍👧"}},
		}},
		{wire.Unreact, `{"group":"g","channel":"c","n":3,"emoji":"x"}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_Unreact{Unreact: &streampb.Unreact{Channel: "c", N: 3, Emoji: "x"}},
		}},
		{wire.Pin, `{"group":"g","channel":"c","n":3}`, &streampb.Command{Group: "g", Body: &streampb.Command_Pin{Pin: &streampb.Pin{Channel: "c", N: 3}}}},
		{wire.Unpin, `{"group":"g","channel":"c","n":3}`, &streampb.Command{Group: "g", Body: &streampb.Command_Unpin{Unpin: &streampb.Unpin{Channel: "c", N: 3}}}},
		{wire.AttrSet, `{"group":"g","set":{"a:1":"x","b":""},"del":["c"],"if_v":{"a:1":0,"d":9},"auto_delete":true,"protect":true}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_AttrSet{AttrSet: &streampb.SetAttributes{
				Channel: "@", Set: map[string]string{"a:1": "x", "b": ""}, Del: []string{"c"}, IfV: map[string]uint64{"a:1": 0, "d": 9}, AutoDelete: true, Protect: true,
			}},
		}},
		{wire.AttrSet, `{"group":"g","channel":"c","del":["AZaz09_-.:+="]}`, &streampb.Command{
			Group: "g", Body: &streampb.Command_AttrSet{AttrSet: &streampb.SetAttributes{Channel: "c", Del: []string{"AZaz09_-.:+="}}},
		}},
	}
	for do, act := range map[string]streampb.Act{
		"add": streampb.Act_ACT_ADD, "kick": streampb.Act_ACT_KICK, "ban": streampb.Act_ACT_BAN, "unban": streampb.Act_ACT_UNBAN,
		"mute": streampb.Act_ACT_MUTE, "unmute": streampb.Act_ACT_UNMUTE, "role": streampb.Act_ACT_ROLE, "decline": streampb.Act_ACT_DECLINE,
		"user_groups": streampb.Act_ACT_USER_GROUPS,
	} {
		want := &streampb.ActOnMember{User: "bob", Act: act, Until: 1794000000123, Reason: "why"}
		switch do {
		case "add", "role":
			want.Role = streampb.Role_ROLE_ADMIN
		case "user_groups":
			want.UserGroups = []string{"jury", "staff"}
		}
		tests = append(tests, struct {
			command wire.Name
			object  string
			want    *streampb.Command
		}{
			wire.Member, fmt.Sprintf(`{"group":"g","user":"bob","do":%q,"until":1794000000123,"reason":"why","role":"admin","user_groups":["staff","jury"]}`, do),
			&streampb.Command{Group: "g", Body: &streampb.Command_Member{Member: want}},
		})
	}
	for _, test := range tests {
		c, err := wire.Parse(test.command, []byte(test.object))
		if err != nil {
			t.Errorf("%s %s: %v", test.command, test.object, err)
		} else if !proto.Equal(c.Write, test.want) {
			t.Errorf("%s %s:\ngot  %s\nwant %s", test.command, test.object, prototext.Format(c.Write), prototext.Format(test.want))
		}
	}
}

func TestReadsOnGroupsKeepEveryField(t *testing.T) {
	c := parse(t, `{"id":7,"attrs":{"group":"g","after":5,"keys":["a","b"]}}`)
	if c.Channel != "@" || c.Read.After.Value != 5 || len(c.Read.Keys) != 2 {
		t.Errorf("got %+v", c)
	}
	if c = parse(t, `{"id":7,"attrs":{"group":"g","channel":"c","keys":[]}}`); c.Channel != "c" || c.Read.Keys == nil || len(c.Read.Keys) != 0 {
		t.Errorf("got %+v", c)
	}
	if c = parse(t, `{"id":7,"members":{"group":"g","online":true,"role":"admin"}}`); !c.Read.Online || c.Read.Role != streampb.Role_ROLE_ADMIN {
		t.Errorf("got %+v", c)
	}
	if c = parse(t, `{"id":7,"signal":{"group":"g","channel":"c","type":"typing","data":[1, {"a":null}]}}`); c.Write != nil || c.Signal.Type != "typing" || string(c.Signal.Data) != `[1, {"a":null}]` {
		t.Errorf("got %+v", c.Signal)
	}
	if c = parse(t, `{"id":7,"signal":{"group":"g","channel":"c","type":"typing"}}`); string(c.Signal.Data) != "null" {
		t.Errorf("got %+v", c.Signal)
	}
	if c = parse(t, `{"id":7,"invite":{"group":"g","code":"ABCDEFGH","expires_in_ms":5}}`); c.Code != "ABCDEFGH" || c.Lasts.Value != 5 {
		t.Errorf("got %+v", c)
	}
}
