package history

import (
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// everyKind is an event of each kind and, as text, what the columns of events
// hold of it beside what every event has.
var everyKind = []struct {
	payload streams.Payload
	want    string
}{
	{streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: []byte("b")}}, "type=text body=b priority=normal"},
	{streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 1, Body: []byte("c")}}, "body=c target=1"},
	{streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: 1}}, "target=1"},
	{streams.Reacted{Reacted: &streampb.Reacted{Target: 1, Emoji: "👍", Count: 3}}, "target=1 emoji=👍 count=3"},
	{streams.Unreacted{Unreacted: &streampb.Unreacted{Target: 1, Emoji: "👍", Count: 2}}, "target=1 emoji=👍 count=2"},
	{streams.Pinned{Pinned: &streampb.Pinned{Target: 1}}, "target=1"},
	{streams.Unpinned{Unpinned: &streampb.Unpinned{Target: 1}}, "target=1"},
	{
		streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "room", Name: "N", Settings: &streampb.Settings{MuteAll: true}, Deleted: true, Reason: "r"}},
		`type=room name=N reason=r settings={"mute_all":true} deleted=true`,
	},
	{
		streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "d", Kind: "private", Name: "N"}},
		"type=private about=d name=N settings={}",
	},
	{
		streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{Channel: "d", Name: "M", Settings: &streampb.ChannelSettings{Position: 4}}},
		`about=d name=M settings={"position":4}`,
	},
	{streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: "d", Reason: "r"}}, "about=d reason=r"},
	{streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: "k", Value: "x"}}, "key=k value=x"},
	{streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: "k", Reason: "gone"}}, "reason=gone key=k"},
	{
		streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: "m", Role: streampb.Role_ROLE_ADMIN, Reason: "r", Invite: "i"}},
		"member=m role=admin reason=r invite=i",
	},
	{streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.RoleChanged{RoleChanged: &streampb.RoleChanged{Member: "m", Role: streampb.Role_ROLE_OWNER, Reason: "r"}}, "member=m role=owner reason=r"},
	{streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: "m", Until: -1, Reason: "r"}}, "member=m reason=r until=-1"},
	{streams.MemberUnmuted{MemberUnmuted: &streampb.MemberUnmuted{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: "m", Until: 9, Reason: "r"}}, "member=m reason=r until=9"},
	{streams.MemberUnbanned{MemberUnbanned: &streampb.MemberUnbanned{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.MemberKicked{MemberKicked: &streampb.MemberKicked{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.JoinRequested{JoinRequested: &streampb.JoinRequested{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.JoinDeclined{JoinDeclined: &streampb.JoinDeclined{Member: "m", Reason: "r"}}, "member=m reason=r"},
	{streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: "m"}}, "member=m"},
	{streams.InviteCreated{InviteCreated: &streampb.InviteCreated{Invite: "i", Hash: []byte("secret"), Expires: 9}}, "until=9 invite=i"},
	{streams.InviteRevoked{InviteRevoked: &streampb.InviteRevoked{Invite: "i"}}, "invite=i"},
	{streams.PeerBlocked{PeerBlocked: &streampb.PeerBlocked{Member: "m"}}, "member=m"},
	{streams.PeerUnblocked{PeerUnblocked: &streampb.PeerUnblocked{Member: "m"}}, "member=m"},
}

func TestEveryKindHasItsColumns(t *testing.T) {
	const text = "SELECT v, kind, arrayStringConcat(arrayFilter(x -> match(x, '=.') AND x NOT IN ('deleted=false', 'count=0', 'target=0', 'until=0'), [" +
		"concat('type=', type), concat('body=', body), concat('priority=', priority), concat('target=', toString(target))," +
		" concat('member=', member), concat('role=', role), concat('about=', about), concat('name=', name), concat('reason=', reason)," +
		" concat('emoji=', emoji), concat('count=', toString(count)), concat('key=', key), concat('value=', value)," +
		" concat('until=', toString(until)), concat('settings=', settings), concat('invite=', invite), concat('deleted=', toString(deleted))]), ' ')" +
		" FROM events FINAL ORDER BY v"
	log := logtest.New(0, 1, 0)
	for i, kind := range everyKind {
		log.Happens(streams.Seq(i+1), "g", "c", kind.payload)
	}
	list := records(log.Events)
	for _, batches := range [][][]Record{{list}, {list[:3], list[3:4], list[4:7], list[7:]}} { // alone, a kind brings only its own columns
		s := NewSink(logtest.DB(t, enginetest.DSN(t)))
		for _, batch := range batches {
			if _, err := s.Write(t.Context(), Batch{Records: batch}); err != nil {
				t.Fatal(err)
			}
		}
		rows := 0
		err := s.db.Query(t.Context(), text, nil, func(scan func(...any) error) error {
			var v uint64
			var kind, got string
			if err := scan(&v, &kind, &got); err != nil {
				return err
			}
			rows++
			if want := everyKind[v-1].want; got != want || kind != string(log.Events[v-1].Kind()) {
				t.Errorf("%s: got %s, want %s", log.Events[v-1].Kind(), got, want)
			}
			return nil
		})
		if err != nil || rows != len(everyKind) {
			t.Errorf("%d rows, %v", rows, err)
		}
	}
}
