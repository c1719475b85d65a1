package command_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

func readMembers(t *testing.T, n *streamtest.NATS, after string) *streampb.MemberPage {
	t.Helper()
	r := do(t, n.Conn, &streampb.Command{Group: "g", User: "alice", Body: &streampb.Command_Members{
		Members: &streampb.ReadMembers{After: after, Limit: 400},
	}})
	if r.GetRejection() != nil {
		t.Fatal(r.GetRejection())
	}
	return r.GetMembers()
}

func addEach(t *testing.T, n *streamtest.NATS, from, to int) {
	t.Helper()
	batch := &streampb.CommandBatch{}
	for i := from; i < to; i++ {
		batch.Commands = append(batch.Commands, &streampb.Command{
			Group: "g", User: "backend", Server: true, ClientId: newID().Bytes(),
			Body: &streampb.Command_Member{Member: &streampb.ActOnMember{User: fmt.Sprintf("m-%04d", i), Act: streampb.Act_ACT_ADD}},
		})
	}
	data, err := proto.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := n.Conn.Request(streams.CommandSubject(0), data, patience)
	if err != nil {
		t.Fatal(err)
	}
	results := &streampb.ResultBatch{}
	if err := proto.Unmarshal(msg.Data, results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results.GetResults() {
		if r.GetRejection() != nil {
			t.Fatal(r.GetRejection())
		}
	}
}

// TestMembersAreListedUpToALimit lists a group as large as its owner lists, from
// memory and after a takeover that read none of them, and one member more.
func TestMembersAreListedUpToALimit(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	for from := 1; from < group.MaxListed; from += 400 {
		addEach(t, n, from, min(from+400, group.MaxListed))
	}
	list := func(when string) {
		t.Helper()
		seen, after := 0, ""
		for {
			page := readMembers(t, n, after)
			if page.GetElsewhere() || page.GetCount() != group.MaxListed || page.GetCensus().GetOwners() != 1 {
				t.Fatalf("%s: after %q: %d members, elsewhere %v", when, after, page.GetCount(), page.GetElsewhere())
			}
			for _, m := range page.GetMembers() {
				if m.GetUser() <= after {
					t.Fatalf("%s: %q stands behind %q", when, m.GetUser(), after)
				}
				after = m.GetUser()
				seen++
			}
			if page.GetAfter() == "" {
				break
			}
		}
		if seen != group.MaxListed {
			t.Errorf("%s: %d of %d listed", when, seen, group.MaxListed)
		}
	}
	list("in memory")
	stop()
	stop = serve(t, n, nil)
	list("after a takeover")
	stop()
	serve(t, n, func(c *command.Config) { c.MaxHeld = 10 })
	list("with ten in memory")
	addEach(t, n, group.MaxListed, group.MaxListed+1)
	if page := readMembers(t, n, ""); !page.GetElsewhere() || page.GetCensus().GetMembers() != group.MaxListed+1 || len(page.GetMembers()) != 0 {
		t.Errorf("one more: elsewhere %v, %d listed of %d", page.GetElsewhere(), len(page.GetMembers()), page.GetCensus().GetMembers())
	}
	act(t, n, "alice", &streampb.ActOnMember{User: "m-0001", Act: streampb.Act_ACT_KICK}, "")
	if page := readMembers(t, n, ""); page.GetElsewhere() || len(page.GetMembers()) != 400 {
		t.Errorf("one less again: elsewhere %v, %d listed", page.GetElsewhere(), len(page.GetMembers()))
	}
}

func act(t *testing.T, n *streamtest.NATS, user string, body *streampb.ActOnMember, want streams.Code) {
	t.Helper()
	r := do1(t, n.Conn, user, &streampb.Command_Member{Member: body})
	if got := r.GetRejection().GetCode(); got != string(want) {
		t.Errorf("%s %v %s: got %q, want %q", user, body.GetAct(), body.GetUser(), got, want)
	}
}

// TestStandingSurvivesTakeovers puts users into each standing, and asks a new
// owner, who has read none of them, what they may.
func TestStandingSurvivesTakeovers(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	for user, do := range map[string]streampb.Act{
		"plain": streampb.Act_ACT_NONE, "muted": streampb.Act_ACT_MUTE, "kicked": streampb.Act_ACT_KICK, "banned": streampb.Act_ACT_BAN,
	} {
		act(t, n, "alice", &streampb.ActOnMember{User: user, Act: streampb.Act_ACT_ADD}, "")
		if do != streampb.Act_ACT_NONE {
			act(t, n, "alice", &streampb.ActOnMember{User: user, Act: do}, "")
		}
	}
	act(t, n, "alice", &streampb.ActOnMember{User: "plain", Act: streampb.Act_ACT_USER_GROUPS, UserGroups: []string{"red"}}, "")
	for range 3 {
		stop()
		stop = serve(t, n, func(c *command.Config) { c.MaxHeld = 1 })
		for user, want := range map[string]streams.Code{
			"plain": "", "muted": streams.Muted, "kicked": streams.NotMember, "banned": streams.NotMember, "stranger": streams.NotMember,
		} {
			c := send(newID(), "hello")
			c.User = user
			if got := do(t, n.Conn, c).GetRejection().GetCode(); got != string(want) {
				t.Errorf("%s sends: got %q, want %q", user, got, want)
			}
		}
		if got := do1(t, n.Conn, "banned", &streampb.Command_Join{Join: &streampb.Join{}}).GetRejection().GetCode(); got != string(streams.Banned) {
			t.Errorf("the banned joins: got %q", got)
		}
		a := do(t, n.Conn, &streampb.Command{Group: "g", User: "plain", Body: &streampb.Command_Access{Access: &streampb.ReadAccess{}}}).GetAccess()
		if a.GetRole() != streampb.Role_ROLE_MEMBER || a.GetJoinedSeq() == 0 || len(a.GetUserGroups()) != 1 {
			t.Errorf("access of the plain member: %v", a)
		}
	}
}

// TestTheFirstMessageMakesADirectGroup sends it twice, and goes on in the
// group that the first made.
func TestTheFirstMessageMakesADirectGroup(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	name := string(streams.DirectGroup("alice", "bob"))
	say := func(user, peer string, id streams.ClientID) *streampb.Result {
		return do(t, n.Conn, &streampb.Command{Group: name, User: user, ClientId: id.Bytes(), Body: &streampb.Command_Send{
			Send: &streampb.Send{Peer: peer, Type: "text", Body: []byte("hi")},
		}})
	}
	id := newID()
	first := say("alice", "bob", id)
	if first.GetRejection() != nil || first.GetV() != 1 || first.GetN() != 1 {
		t.Fatalf("the first: %v", first)
	}
	again := say("alice", "bob", id)
	if !again.GetDuplicate() || again.GetV() != first.GetV() || again.GetSeq() != first.GetSeq() {
		t.Errorf("the first again: %v, it was %v", again, first)
	}
	stop()
	serve(t, n, func(c *command.Config) { c.MaxHeld = 1 })
	if r := say("bob", "alice", newID()); r.GetV() != 2 || r.GetRejection() != nil {
		t.Errorf("the answer to it: %v", r)
	}
	block := func(undo bool) {
		t.Helper()
		r := do(t, n.Conn, &streampb.Command{Group: name, User: "bob", ClientId: newID().Bytes(), Body: &streampb.Command_Block{
			Block: &streampb.Block{Peer: "alice", Undo: undo},
		}})
		if r.GetRejection() != nil {
			t.Errorf("block: %v", r)
		}
	}
	block(false)
	if got := say("alice", "bob", newID()).GetRejection().GetCode(); got != string(streams.Forbidden) {
		t.Errorf("to who has blocked one: got %q", got)
	}
	block(true)
	if r := say("alice", "bob", newID()); r.GetV() != 3 {
		t.Errorf("after that: %v", r)
	}
}

// TestJoiningByApprovalIsAnsweredWaiting asks twice with one id, and by
// invitation.
func TestJoiningByApprovalIsAnsweredWaiting(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	serve(t, n, nil)
	newGroup(t, n.Conn)
	approval := "approval"
	do(t, n.Conn, &streampb.Command{Group: "g", User: "alice", ClientId: newID().Bytes(), Body: &streampb.Command_UpdateGroup{
		UpdateGroup: &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{Join: &approval}},
	}})
	c := &streampb.Command{Group: "g", User: "bob", ClientId: newID().Bytes(), Body: &streampb.Command_Join{Join: &streampb.Join{}}}
	for _, duplicate := range []bool{false, true} {
		if r := do(t, n.Conn, c); !r.GetWaiting() || r.GetDuplicate() != duplicate || r.GetRejection() != nil {
			t.Errorf("bob asks: %v", r)
		}
	}
	hash := sha256.Sum256([]byte("sesame"))
	r := do(t, n.Conn, &streampb.Command{Group: "g", User: "alice", ClientId: newID().Bytes(), Body: &streampb.Command_Invite{
		Invite: &streampb.Invite{Invite: "i1", Hash: hash[:]},
	}})
	if r.GetRejection() != nil {
		t.Fatal(r)
	}
	r = do1(t, n.Conn, "carol", &streampb.Command_Join{Join: &streampb.Join{CodeHash: hash[:]}})
	if r.GetRejection() != nil || r.GetWaiting() {
		t.Errorf("carol comes by invitation: %v", r)
	}
}
