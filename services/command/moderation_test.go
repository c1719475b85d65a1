package command_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// TestNothingStandsAfterAnActOfModeration lets a victim send as fast as two
// connections carry it, while a moderator mutes, kicks and bans, and takes it
// back, round after round. By the log, no message of the victim stands between.
// Memory holds one member, so that every side of it is loaded again and again.
func TestNothingStandsAfterAnActOfModeration(t *testing.T) {
	const rounds = 300
	n := streamtest.Provisioned(t, 1)
	serve(t, n, func(c *command.Config) { c.MaxHeld = 1 })
	newGroup(t, n.Conn)
	act := func(do streampb.Act) {
		t.Helper()
		r := do1(t, n.Conn, "mo", &streampb.Command_Member{Member: &streampb.ActOnMember{User: "victim", Act: do}})
		if r.GetRejection() != nil {
			t.Fatalf("%v: %v", do, r.GetRejection())
		}
	}
	join := func() {
		t.Helper()
		if r := do1(t, n.Conn, "victim", &streampb.Command_Join{Join: &streampb.Join{}}); r.GetRejection() != nil {
			t.Fatalf("join: %v", r.GetRejection())
		}
	}
	do1(t, n.Conn, "alice", &streampb.Command_Member{Member: &streampb.ActOnMember{
		User: "mo", Act: streampb.Act_ACT_ADD, Role: streampb.Role_ROLE_MODERATOR,
	}})
	join()

	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	sent, refused := newModerationTally(), newModerationTally()
	for range 2 {
		conn := n.Connection(t)
		senders.Go(func() { sendAll(ctx, t, conn, sent, refused) })
	}
	await := func(what string, of *moderationTally) {
		t.Helper()
		select {
		case <-of.more: // from before
		default:
		}
		select {
		case <-of.more:
		case <-time.After(patience):
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
	for round := range rounds {
		await("the victim is heard", sent)
		switch round % 3 {
		case 0:
			act(streampb.Act_ACT_MUTE)
			await("the victim is refused", refused)
			act(streampb.Act_ACT_UNMUTE)
		case 1:
			act(streampb.Act_ACT_KICK)
			await("the victim is refused", refused)
			join()
		case 2:
			act(streampb.Act_ACT_BAN)
			await("the victim is refused", refused)
			act(streampb.Act_ACT_UNBAN)
			join()
		}
	}
	stop()
	senders.Wait()
	checkSilence(t, n, rounds)
	t.Logf("%d messages of the victim, %d refused", sent.count.Load(), refused.count.Load())
}

func do1(t testing.TB, conn *nats.Conn, user string, body any) *streampb.Result {
	t.Helper()
	c := &streampb.Command{Group: "g", User: user, ClientId: newID().Bytes()}
	switch b := body.(type) {
	case *streampb.Command_Member:
		c.Body = b
	case *streampb.Command_Join:
		c.Body = b
	default:
		t.Fatalf("%T", body)
	}
	return do(t, conn, c)
}

// moderationTally counts, and tells that it does.
type moderationTally struct {
	count atomic.Int64
	more  chan struct{} // holds one; never closed
}

func newModerationTally() *moderationTally { return &moderationTally{more: make(chan struct{}, 1)} }

func (t *moderationTally) add() {
	t.count.Add(1)
	select {
	case t.more <- struct{}{}:
	default:
	}
}

// sendAll sends the victim's messages, some in each request, until ctx ends.
func sendAll(ctx context.Context, t *testing.T, conn *nats.Conn, sent, refused *moderationTally) {
	for i := 0; ctx.Err() == nil; i++ {
		batch := &streampb.CommandBatch{}
		for range 1 + i%8 {
			c := send(newID(), fmt.Sprint(i))
			c.User = "victim"
			batch.Commands = append(batch.Commands, c)
		}
		data, err := proto.Marshal(batch)
		if err != nil {
			t.Error(err)
			return
		}
		msg, err := conn.RequestWithContext(ctx, streams.CommandSubject(0), data)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, nats.ErrNoResponders) {
				t.Error(err)
			}
			continue
		}
		results := &streampb.ResultBatch{}
		if err := proto.Unmarshal(msg.Data, results); err != nil {
			t.Error(err)
			return
		}
		for _, r := range results.GetResults() {
			switch streams.Code(r.GetRejection().GetCode()) {
			case "":
				sent.add()
			case streams.Muted, streams.NotMember:
				refused.add()
			default:
				t.Errorf("refused with %v", r.GetRejection())
			}
		}
	}
}

// checkSilence reads the log once and follows whether the victim may write.
func checkSilence(t *testing.T, n *streamtest.NATS, rounds int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	may, acts, messages := false, 0, 0
	err := eventlog.NewReader(n.Conn, streams.LogStream(0)).Scan(ctx, streams.LogFilter(0), 1, 0, func(m eventlog.Message) error {
		if token, _ := streams.ParseLog(m.Subject); token.Group == "" {
			return nil
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		if e.Kind() == streams.KindMessage && e.User == "victim" {
			messages++
			if !may {
				t.Errorf("a message of the victim stands at %d", e.Seq)
			}
		}
		if who, state := streams.MemberOf(e); who == "victim" {
			was := may
			may = state.GetRole() != streampb.Role_ROLE_NONE && state.GetMutedUntil() == 0
			if was && !may {
				acts++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if acts != rounds || messages < rounds {
		t.Errorf("the log holds %d acts of %d rounds and %d messages", acts, rounds, messages)
	}
}
