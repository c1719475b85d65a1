package command_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that who came later is told nothing of a message from before by
// acting upon it, neither that it is there nor that it was recalled: by an owner
// that remembers it, and by one that looks it up.
func TestWhoCameLaterActsUponNothingFromBefore(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	done := func(user string, c *streampb.Command) {
		t.Helper()
		if r := do(t, n.Conn, as(user, c)); r.GetRejection() != nil {
			t.Fatalf("%T: %v", c.GetBody(), r.GetRejection())
		}
	}
	say := func() *streampb.Command { return send(newID(), "x") }
	done("alice", &streampb.Command{Body: &streampb.Command_UpdateGroup{UpdateGroup: &streampb.UpdateGroup{
		Settings: &streampb.SettingsPatch{History: proto.String("since_join")},
	}}})
	done("alice", say())
	done("alice", say())
	done("alice", &streampb.Command{Body: &streampb.Command_Recall{Recall: &streampb.Recall{Channel: "c", N: 2}}})
	done("alice", &streampb.Command{Body: &streampb.Command_Member{Member: &streampb.ActOnMember{User: "mo", Act: streampb.Act_ACT_ADD, Role: streampb.Role_ROLE_MODERATOR}}})
	done("alice", say()) // 3
	for _, owner := range []string{"the owner that was there", "a new owner"} {
		for message, there := range map[uint64]bool{1: false, 2: false, 3: true, 4: false} {
			for _, c := range []*streampb.Command{
				{Body: &streampb.Command_React{React: &streampb.React{Channel: "c", N: message, Emoji: "a"}}},
				{Body: &streampb.Command_Unreact{Unreact: &streampb.Unreact{Channel: "c", N: message, Emoji: "a"}}},
				{Body: &streampb.Command_Pin{Pin: &streampb.Pin{Channel: "c", N: message}}},
				{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{
					Channel: newID().String(), Kind: "thread", Parent: &streampb.Parent{Channel: "c", N: message},
				}}},
			} {
				r := do(t, n.Conn, as("mo", c)).GetRejection()
				switch {
				case there && r != nil:
					t.Errorf("%s: %T of %d: %v", owner, c.GetBody(), message, r)
				case !there && (r.GetCode() != string(streams.NotFound) || r.GetMessage() != streams.NoMessage().Message):
					t.Errorf("%s: %T of %d: %v, want what is said of no message", owner, c.GetBody(), message, r)
				}
			}
		}
		stop()
		stop = serve(t, n, nil)
	}
	stop()
}
