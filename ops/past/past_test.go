package past_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/ops/past"
	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const (
	patience   = 20 * time.Second
	partitions = 2
)

// deployment is NATS and the write side, and who speaks to it.
type deployment struct {
	*streamtest.NATS
	t      testing.TB
	owners *owner.Client
	count  int
}

func deployed(t testing.TB) *deployment {
	t.Helper()
	d := &deployment{NATS: streamtest.Provisioned(t, partitions), t: t}
	d.owners = owner.New(d.Conn, partitions)
	service, err := command.New(command.Config{
		Conn: d.Connection(t), JS: d.JS, Deployment: topology.Deployment{Partitions: partitions, Replicas: 1},
		Instance: "one", Version: "1.0.0", Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *deployment) source() past.Source {
	return past.Source{Conn: d.Conn, JS: d.JS, Partitions: partitions}
}

// do has a command of a user done, and returns its result.
func (d *deployment) do(g streams.Group, user string, c *streampb.Command) *streampb.Result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	d.count++
	c.Group, c.User = string(g), user
	c.ClientId = streams.MakeClientID(time.Now().UnixMilli(), [10]byte{byte(d.count >> 8), byte(d.count)}).Bytes()
	result := d.owners.Do(ctx, streams.PartitionOf(g, partitions), []*streampb.Command{c})[0]
	if r := result.GetRejection(); r != nil {
		d.t.Fatalf("%v: %s %s", c.GetBody(), r.GetCode(), r.GetMessage())
	}
	return result
}

// incident is a group's life of which the tests look at every point.
func (d *deployment) incident(g streams.Group) (seqs []streams.Seq) {
	step := func(user string, c *streampb.Command) {
		seqs = append(seqs, streams.Seq(d.do(g, user, c).GetSeq()))
	}
	member := func(user string, act streampb.Act, role streampb.Role, until int64) *streampb.Command {
		return &streampb.Command{Body: &streampb.Command_Member{Member: &streampb.ActOnMember{User: user, Act: act, Role: role, Until: until, Reason: "why"}}}
	}
	send := func(body string) *streampb.Command {
		return &streampb.Command{Body: &streampb.Command_Send{Send: &streampb.Send{Channel: "general", Type: "text", Body: []byte(body)}}}
	}
	set := func(key, value string) *streampb.Command {
		return &streampb.Command{Body: &streampb.Command_AttrSet{AttrSet: &streampb.SetAttributes{Set: map[string]string{key: value}}}}
	}
	join := &streampb.Command{Body: &streampb.Command_Join{Join: &streampb.Join{}}}
	step("alice", &streampb.Command{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "community", Name: "G"}}})
	step("alice", &streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "general", Kind: "public", Name: "General"}}})
	for _, user := range []string{"bob", "carol", "dave"} {
		step(user, proto.CloneOf(join))
	}
	step("alice", member("bob", streampb.Act_ACT_ROLE, streampb.Role_ROLE_MODERATOR, 0))
	for i := range 30 {
		step("carol", send(fmt.Sprint("message ", i)))
	}
	step("alice", set("topic", "one"))
	step("bob", member("carol", streampb.Act_ACT_MUTE, 0, time.Now().Add(time.Hour).UnixMilli()))
	step("bob", &streampb.Command{Body: &streampb.Command_Recall{Recall: &streampb.Recall{Channel: "general", N: 7}}})
	step("dave", &streampb.Command{Body: &streampb.Command_React{React: &streampb.React{Channel: "general", N: 8, Emoji: "+1"}}})
	step("alice", set("topic", "two"))
	step("bob", member("dave", streampb.Act_ACT_BAN, 0, 0))
	step("carol", &streampb.Command{Body: &streampb.Command_Leave{Leave: &streampb.Leave{}}})
	step("carol", proto.CloneOf(join))
	return seqs
}

func ask(t testing.TB, m past.Moment, body any) *streampb.Result {
	t.Helper()
	result, err := m.Ask(body)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// It proves that a moment is what the events up to it say: who was a member
// with which role, and what an attribute was, at each step.
func TestAGroupAsItWas(t *testing.T) {
	d := deployed(t)
	seqs := d.incident("g")
	roleAt := func(seq streams.Seq, user string) (role streampb.Role, muted bool) {
		m, err := past.At(t.Context(), d.source(), "g", seq, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range ask(t, m, &streampb.ReadMembers{}).GetMembers().GetMembers() {
			if info.GetUser() == user {
				return info.GetRole(), info.GetMutedUntil() != 0
			}
		}
		return streampb.Role_ROLE_NONE, false
	}
	const joined, promoted, muted, banned = 4, 5, 37, 41
	for _, c := range []struct {
		user  string
		step  int
		role  streampb.Role
		muted bool
	}{
		{"bob", joined - 3, streampb.Role_ROLE_NONE, false},
		{"bob", joined, streampb.Role_ROLE_MEMBER, false},
		{"bob", promoted, streampb.Role_ROLE_MODERATOR, false},
		{"carol", muted - 1, streampb.Role_ROLE_MEMBER, false},
		{"carol", muted, streampb.Role_ROLE_MEMBER, true},
		{"dave", banned - 1, streampb.Role_ROLE_MEMBER, false},
		{"dave", banned, streampb.Role_ROLE_NONE, false},
	} {
		if role, muted := roleAt(seqs[c.step], c.user); role != c.role || muted != c.muted {
			t.Errorf("%s after step %d: %v, muted %v, want %v, %v", c.user, c.step, role, muted, c.role, c.muted)
		}
	}
	for step, want := range map[int]string{36: "one", 39: "one", 40: "two", len(seqs) - 1: "two"} {
		m, err := past.At(t.Context(), d.source(), "g", seqs[step], time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		attributes := ask(t, m, &streampb.ReadAttributes{}).GetAttributes().GetAttributes()
		if len(attributes) != 1 || attributes[0].GetValue() != want {
			t.Errorf("after step %d: %v, want topic %q", step, attributes, want)
		}
	}
}

// It proves that a copy has the same events with the same numbers, can be
// repeated, and says the same of itself as the group it is of.
func TestACopyIsTheSame(t *testing.T) {
	d := deployed(t)
	d.incident("g")
	to := past.Target{Conn: d.Conn, Partitions: partitions, Group: "copy-of-g"}
	copied, err := past.Copy(t.Context(), d.source(), "g", 0, to, func(past.Copied) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = past.Copy(t.Context(), d.source(), "g", 0, to, func(past.Copied) {}); err == nil {
		t.Error("a group that is there was copied over")
	}
	to.Resume = true
	again, err := past.Copy(t.Context(), d.source(), "g", 0, to, func(past.Copied) {})
	if err != nil || again.Present != copied.Events {
		t.Errorf("again: %+v %v, want all %d present", again, err, copied.Events)
	}
	all := func(g streams.Group) (list []*streams.Event) {
		err := d.source().Events(t.Context(), g, 0, func(e *streams.Event) error {
			list = append(list, e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	want, got := all("g"), all("copy-of-g")
	if len(got) != len(want) || len(got) != copied.Events {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	joins := map[uint64]uint64{} // of the group: of the copy
	for i := range want {
		w, g := want[i], got[i]
		if g.Channel != w.Channel || g.V != w.V || g.N != w.N || g.TS != w.TS || g.User != w.User || g.ClientID != w.ClientID || g.Kind() != w.Kind() {
			t.Fatalf("event %d is %+v, want %+v", i, g, w)
		}
		if w.Kind() == streams.KindJoin {
			joins[uint64(w.Seq)] = uint64(g.Seq)
		}
		if _, before := streams.MemberOf(w); before.GetJoinedSeq() != 0 {
			_, after := streams.MemberOf(g)
			if after.GetJoinedSeq() != joins[before.GetJoinedSeq()] {
				t.Errorf("event %d: joined at %d, want %d", i, after.GetJoinedSeq(), joins[before.GetJoinedSeq()])
			}
		}
	}
	// The owner of the copy goes on from there.
	if r := d.do("copy-of-g", "bob", &streampb.Command{Body: &streampb.Command_Send{Send: &streampb.Send{Channel: "general", Type: "text", Body: []byte("on")}}}); r.GetN() != 31 {
		t.Errorf("the copy's next message has n %d, want 31", r.GetN())
	}
}
