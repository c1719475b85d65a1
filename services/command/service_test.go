package command_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const patience = 15 * time.Second

// serve runs a service until the returned stop is called or the test ends.
func serve(t testing.TB, n *streamtest.NATS, change func(*command.Config)) (stop func()) {
	t.Helper()
	_, stop = serving(t, n, change)
	return stop
}

func serving(t testing.TB, n *streamtest.NATS, change func(*command.Config)) (service *command.Service, stop func()) {
	t.Helper()
	deployment, err := topology.Load(t.Context(), n.JS)
	if err != nil {
		t.Fatal(err)
	}
	config := command.Config{
		Conn: n.Conn, JS: n.JS, Deployment: deployment, Instance: "test-" + rand.Text()[:6], Version: "0.0.1",
		Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
	}
	if change != nil {
		change(&config)
	}
	service, err = command.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("service: %v", err)
		}
	}
	t.Cleanup(stop)
	return service, stop
}

func newID() streams.ClientID {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:])
	return streams.MakeClientID(time.Now().UnixMilli(), entropy)
}

// do sends one command until the owner answers it.
func do(t testing.TB, conn *nats.Conn, c *streampb.Command) *streampb.Result {
	t.Helper()
	result, err := try(conn, c, patience)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func try(conn *nats.Conn, c *streampb.Command, patience time.Duration) (*streampb.Result, error) {
	return tryOn(conn, 0, c, patience)
}

func create(g streams.Group) *streampb.Command {
	return &streampb.Command{Group: string(g), User: "alice", ClientId: newID().Bytes(), Body: &streampb.Command_CreateGroup{
		CreateGroup: &streampb.CreateGroup{Kind: "community", Name: "G"},
	}}
}

func tryOn(conn *nats.Conn, p streams.Partition, c *streampb.Command, patience time.Duration) (*streampb.Result, error) {
	data, err := proto.Marshal(&streampb.CommandBatch{Commands: []*streampb.Command{c}})
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(patience)
	for {
		msg, err := conn.Request(streams.CommandSubject(p), data, 2*time.Second)
		switch {
		case err == nil:
			results := &streampb.ResultBatch{}
			if err := proto.Unmarshal(msg.Data, results); err != nil || len(results.GetResults()) != 1 {
				return nil, fmt.Errorf("answer %q: %w", msg.Data, err)
			}
			if r := results.GetResults()[0]; r.GetRejection().GetCode() != string(streams.Unavailable) {
				return r, nil
			}
		case !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout):
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no answer within %v: %w", patience, err)
		}
	}
}

func newGroup(t testing.TB, conn *nats.Conn) {
	t.Helper()
	for _, c := range []*streampb.Command{
		{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "community", Name: "G"}}},
		{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "c", Kind: "public"}}},
	} {
		c.Group, c.User, c.ClientId = "g", "alice", newID().Bytes()
		if r := do(t, conn, c); r.GetRejection() != nil {
			t.Fatalf("%T: %v", c.Body, r.GetRejection())
		}
	}
}

func send(id streams.ClientID, body string) *streampb.Command {
	return &streampb.Command{Group: "g", User: "alice", ClientId: id.Bytes(), Body: &streampb.Command_Send{
		Send: &streampb.Send{Channel: "c", Type: "text", Body: []byte(body)},
	}}
}

// history reads a channel's events as every reader does, and fails the test on
// a hole.
func history(t *testing.T, n *streamtest.NATS, c streams.Channel) []*streams.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// A replica that answers may be behind: what its leader has must be there.
	stream, err := n.JS.Stream(ctx, streams.LogStream(0))
	if err != nil {
		t.Fatal(err)
	}
	head := streams.Seq(stream.CachedInfo().State.LastSeq)
	var events []*streams.Event
	place, epoch, read := streams.Place{}, streams.Epoch(0), streams.Seq(0)
	visit := func(m eventlog.Message) error {
		read = m.Seq
		token, _ := streams.ParseLog(m.Subject)
		if token.Fence {
			epoch = streams.Epoch(m.Seq)
		}
		if token.Channel != c || token.Group == "" {
			return nil
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		place.Epoch = epoch
		if verdict := streams.Judge(place, e); verdict != streams.Belongs {
			return fmt.Errorf("v %d at %d is %v", e.V, e.Seq, verdict)
		}
		place = place.After(e)
		events = append(events, e)
		return nil
	}
	reader := eventlog.NewReader(n.Conn, streams.LogStream(0))
	for read < head {
		if err := reader.Scan(ctx, streams.LogFilter(0), read+1, 0, visit); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestCommandsAreAnsweredAndSurviveRestarts(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	first := newID()
	for i := range 5 {
		id := newID()
		if i == 0 {
			id = first
		}
		r := do(t, n.Conn, send(id, fmt.Sprint(i)))
		if r.GetRejection() != nil || r.GetV() != uint64(i+1) || r.GetN() != uint64(i+1) || r.GetDuplicate() {
			t.Fatalf("send %d: %v", i, r)
		}
	}
	for range 3 { // from log, from snapshot, from both
		stop()
		stop = serve(t, n, nil)
		r := do(t, n.Conn, send(first, "0"))
		if r.GetV() != 1 || r.GetN() != 1 || !r.GetDuplicate() {
			t.Fatalf("repeated after a restart: %v", r)
		}
		before := len(history(t, n, "c"))
		if r := do(t, n.Conn, send(newID(), "more")); r.GetV() != uint64(before+1) {
			t.Fatalf("send after a restart: %v, want v %d", r, before+1)
		}
		info := do(t, n.Conn, &streampb.Command{Group: "g", User: "alice", Body: &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{}}})
		if info.GetGroupInfo().GetMembers() != 1 || info.GetGroupInfo().GetRole() != streampb.Role_ROLE_OWNER || len(info.GetGroupInfo().GetChannels()) != 1 {
			t.Fatalf("group after a restart: %v", info)
		}
	}
}

func TestEditAndRecallFindTheirMessageInTheLog(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	for i := range 40 {
		do(t, n.Conn, send(newID(), fmt.Sprint(i)))
	}
	stop()
	serve(t, n, nil) // forgets who wrote what
	edit := func(user string, target uint64) *streampb.Result {
		return do(t, n.Conn, &streampb.Command{Group: "g", User: user, ClientId: newID().Bytes(), Body: &streampb.Command_Edit{
			Edit: &streampb.Edit{Channel: "c", N: target, Body: []byte("edited")},
		}})
	}
	if r := edit("alice", 7); r.GetV() != 41 || r.GetRejection() != nil {
		t.Errorf("edit one's own: %v", r)
	}
	do(t, n.Conn, &streampb.Command{Group: "g", User: "bob", ClientId: newID().Bytes(), Body: &streampb.Command_Join{Join: &streampb.Join{}}})
	for name, test := range map[string]struct {
		user   string
		target uint64
		want   streams.Code
	}{
		"another's":          {"bob", 7, streams.Forbidden},
		"one that isn't yet": {"alice", 41, streams.NotFound},
		"number 0":           {"alice", 0, streams.NotFound},
		"a stranger":         {"eve", 7, streams.NotMember},
	} {
		if got := edit(test.user, test.target).GetRejection().GetCode(); got != string(test.want) {
			t.Errorf("edit %s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestClientIDsOutsideTheWindow(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	serve(t, n, nil)
	newGroup(t, n.Conn)
	now := time.Now()
	for name, test := range map[string]struct {
		at   time.Time
		want streams.Code
	}{
		"just inside":         {now.Add(-streams.DedupWindow + time.Minute), ""},
		"older":               {now.Add(-streams.DedupWindow - time.Second), streams.StaleClientID},
		"ahead within reason": {now.Add(30 * time.Second), ""},
		"over a minute ahead": {now.Add(2 * time.Minute), streams.BadRequest},
	} {
		id := streams.MakeClientID(test.at.UnixMilli(), [10]byte{byte(len(name))})
		if got := do(t, n.Conn, send(id, name)).GetRejection().GetCode(); got != string(test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// storm lets senders repeat every message until it is answered while others
// put up fences, and returns how often each id is in the log.
func storm(t *testing.T, n *streamtest.NATS, change func(*command.Config)) (doubled int) {
	t.Helper()
	const senders, messages, fences = 20, 30, 12
	serve(t, n, change)
	newGroup(t, n.Conn)
	type sent struct {
		id streams.ClientID
		r  *streampb.Result
	}
	answers := make(chan sent, senders*messages)
	failures := make(chan error, senders+1)
	for range senders {
		go func() {
			for i := range messages {
				id := newID()
				c := send(id, fmt.Sprint(i))
				r, err := try(n.Conn, c, patience)
				if err == nil && i%3 == 0 {
					r, err = try(n.Conn, c, patience) // as a client that lost the answer
				}
				if err != nil {
					failures <- err
					return
				}
				answers <- sent{id, r}
			}
			failures <- nil
		}()
	}
	go func() {
		w := eventlog.NewWriter(eventlog.WriterConfig{Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0)})
		for range fences {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			term, err := w.Fence(ctx, nil)
			cancel()
			if err != nil {
				failures <- err
				return
			}
			term.Close()
			// The next one when the owner is back at work.
			if _, err := try(n.Conn, send(newID(), "probe"), patience); err != nil {
				failures <- err
				return
			}
		}
		failures <- nil
	}()
	for range senders + 1 {
		if err := <-failures; err != nil {
			t.Fatal(err)
		}
	}
	close(answers)
	count := map[streams.ClientID]int{}
	byID := map[streams.ClientID]*streams.Event{}
	for _, e := range history(t, n, "c") {
		count[e.ClientID]++
		if count[e.ClientID] > 1 {
			doubled++
			continue
		}
		byID[e.ClientID] = e
	}
	for a := range answers {
		e := byID[a.id]
		switch {
		case a.r.GetRejection() != nil:
			t.Errorf("refused: %v", a.r.GetRejection())
		case e == nil:
			t.Errorf("v %d was acknowledged and is not in the log", a.r.GetV())
		case doubled == 0 && (uint64(e.V) != a.r.GetV() || uint64(e.Seq) != a.r.GetSeq()):
			t.Errorf("acknowledged at v %d seq %d, in the log at v %d seq %d", a.r.GetV(), a.r.GetSeq(), e.V, e.Seq)
		}
	}
	return doubled
}

func TestEveryAcknowledgedSendIsThereOnceThroughFences(t *testing.T) {
	if doubled := storm(t, streamtest.Provisioned(t, 1), nil); doubled != 0 {
		t.Errorf("%d messages are in the log twice", doubled)
	}
}

func TestTheStormOnAClusterOfThree(t *testing.T) {
	cluster := streamtest.Three(t)
	streamtest.Provision(t, cluster[0], topology.Deployment{Partitions: 1, Replicas: 3})
	if doubled := storm(t, cluster[1], nil); doubled != 0 {
		t.Errorf("%d messages are in the log twice", doubled)
	}
}

func TestWithoutTheDuplicateWindowTheStormDoubles(t *testing.T) {
	if doubled := storm(t, streamtest.Provisioned(t, 1), func(c *command.Config) { c.WithoutDedup = true }); doubled == 0 {
		t.Error("nothing doubled without the duplicate window: the check can't fail")
	}
}

func TestSecondInstanceWaitsForTheFirst(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stopFirst := serve(t, n, nil)
	newGroup(t, n.Conn)
	second := serve(t, n, nil)
	defer second()
	for i := range 20 {
		if r := do(t, n.Conn, send(newID(), fmt.Sprint(i))); r.GetV() != uint64(i+1) {
			t.Fatalf("send %d: %v", i, r)
		}
		if i == 10 {
			stopFirst()
		}
	}
	history(t, n, "c")
}
