package command_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// A request within the process is the request over NATS: the one's commands
// are repetitions to the other.
func TestRequestsWithinTheProcessAreDecidedAlike(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	service, stop := serving(t, n, nil)
	newGroup(t, n.Conn) // it serves by then
	data, err := proto.Marshal(&streampb.CommandBatch{Commands: []*streampb.Command{
		send(newID(), "first"), {Group: "g", User: "alice"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	take := func() (*streampb.ResultBatch, bool) {
		answers := make(chan []byte, 1)
		if !service.Take(0, data, func(data []byte) { answers <- data }) {
			return nil, false
		}
		results := &streampb.ResultBatch{}
		if err := proto.Unmarshal(<-answers, results); err != nil {
			t.Fatal(err)
		}
		return results, true
	}
	first, _ := take()
	if r := first.GetResults(); len(r) != 2 || r[0].GetN() != 1 || r[1].GetRejection().GetCode() != string(streams.BadRequest) {
		t.Fatalf("got %v", r)
	}
	msg, err := n.Conn.Request(streams.CommandSubject(0), data, patience)
	if err != nil {
		t.Fatal(err)
	}
	again := &streampb.ResultBatch{}
	if err := proto.Unmarshal(msg.Data, again); err != nil {
		t.Fatal(err)
	}
	first.Results[0].Duplicate = true
	if !proto.Equal(first, again) {
		t.Errorf("over NATS got %v, want %v", again, first)
	}

	refused := func([]byte) { t.Error("answered what was not taken") }
	for name, request := range map[string][]byte{"no batch": []byte("\xff"), "an empty one": nil} {
		if service.Take(0, request, refused) {
			t.Errorf("%s was taken", name)
		}
	}
	if service.Take(1, data, refused) {
		t.Error("a partition that is not there took a request")
	}
	stop()
	if _, taken := take(); taken {
		t.Error("taken by who no longer serves")
	}
}

// A message that comes with one that was sent after it and is done already is
// not refused for good: alone, it is done.
func TestWhatCameTooLateCanBeSentAgain(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	service := serve(t, n, nil)
	defer service()
	newGroup(t, n.Conn)
	a, b := send(newID(), "a"), send(newID(), "b")
	ask := func(commands ...*streampb.Command) []*streampb.Result {
		t.Helper()
		data, err := proto.Marshal(&streampb.CommandBatch{Commands: commands})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := n.Conn.Request(streams.CommandSubject(0), data, patience)
		if err != nil {
			t.Fatal(err)
		}
		answer := &streampb.ResultBatch{}
		if err := proto.Unmarshal(msg.Data, answer); err != nil {
			t.Fatal(err)
		}
		return answer.GetResults()
	}
	if r := ask(b)[0]; r.GetN() != 1 {
		t.Fatalf("b: %v", r)
	}
	both := ask(a, b)
	if r := both[0].GetRejection(); r.GetCode() != string(streams.Unavailable) || r.GetRetryMs() == 0 {
		t.Errorf("a before b: %v, want unavailable with a time", both[0])
	}
	if !both[1].GetDuplicate() || both[1].GetN() != 1 {
		t.Errorf("b again: %v", both[1])
	}
	if r := ask(a)[0]; r.GetN() != 2 {
		t.Errorf("a alone: %v, want n 2", r)
	}
}

// Who took a command from its sender repeats it under its number, and is not
// told that it is a repetition; the sender is, who comes with another.
func TestOnlyTheSendersRepetitionIsADuplicate(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	c := send(newID(), "hello")
	attempt := func(number uint32) *streampb.Result {
		t.Helper()
		c.Attempt = number
		return do(t, n.Conn, c)
	}
	if r := attempt(7); r.GetDuplicate() || r.GetN() != 1 {
		t.Errorf("the first: %v", r)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			stop()
			stop = serve(t, n, nil)
		}
		if r := attempt(7); r.GetDuplicate() || r.GetN() != 1 {
			t.Errorf("the edge's repetition, restarted %v: %v", restarted, r)
		}
		if r := attempt(8); !r.GetDuplicate() || r.GetN() != 1 {
			t.Errorf("the sender's repetition, restarted %v: %v", restarted, r)
		}
	}
	stop()
}
