package describe_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// answers is what each command can be answered, with all that package wire
// writes and with as little as possible.
func answers() map[wire.Name][][]byte {
	event := []byte(`{"group":"g","channel":"c","v":1,"n":0,"seq":1,"kind":"hidden","ts":1}`)
	attribute := filled(&streampb.Attribute{})
	attributes := wire.AppendAttributes(nil, []*streampb.Attribute{attribute, {Key: "gone"}})
	info, page := filled(&streampb.GroupInfo{}), filled(&streampb.MemberPage{})
	bare := proto.Clone(info).(*streampb.GroupInfo)
	bare.Census, bare.Role = nil, streampb.Role_ROLE_NONE // as old owners, and to a back end
	posted := filled(&streampb.MessagePosted{})
	all := map[wire.Name][][]byte{
		wire.Connect:     {wire.AppendWelcome(nil, wire.Welcome{User: "u", Device: "d"}), wire.AppendWelcome(nil, wire.Welcome{User: "u"})},
		wire.Ping:        {wire.Empty()},
		wire.Unsubscribe: {wire.Empty()},
		wire.Hide:        {wire.Empty()},
		wire.Signal:      {wire.Empty()},
		wire.Subscribe: {
			wire.AppendSubscribed(nil, wire.Subscribed{}),
			wire.AppendSubscribed(nil, wire.Subscribed{V: 1, Events: [][]byte{event}, Gap: &wire.Missing{Upto: 1}, Attrs: attributes}),
		},
		wire.Pull: {wire.AppendPulled(nil, nil, 0, false), wire.AppendPulled(nil, [][]byte{event}, 1, true)},
		wire.History: {wire.AppendHistory(nil, [][]byte{
			wire.AppendMessage(nil, &wire.Message{N: 1, Recalled: true}), wire.AppendMessage(nil, &wire.Message{N: 1, Expired: true}),
			wire.AppendMessage(nil, &wire.Message{N: 1, V: 1, Seq: 1, User: "u", Posted: posted, EditedTS: 1, Reactions: []wire.Reaction{{Emoji: "e", Count: 1}},
				ClientID: streams.MakeClientID(1, [10]byte{})}),
			wire.AppendMessage(nil, &wire.Message{N: 1, V: 1, Seq: 1, User: "u", Posted: &streampb.MessagePosted{Type: "text", Body: []byte("x")}}),
		}, true)},
		wire.Attrs: {
			wire.AppendAttrs(nil, 0, wire.AppendAttributes(nil, nil)), wire.AppendAttrs(nil, 1, attributes),
			wire.AppendChanges(nil, 2, []*streams.Event{
				{V: 1, User: "u", Payload: streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: "k"}}},
				{V: 2, User: "u", Payload: streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: "k"}}},
			}),
		},
		wire.Group:    {wire.AppendGroup(nil, "g", info), wire.AppendGroup(nil, "g", bare)},
		wire.Members:  {wire.AppendMembers(nil, page, 1), wire.AppendMembers(nil, &streampb.MemberPage{}, 1)},
		wire.Presence: {wire.AppendPresence(nil, &streampb.Presence{})},
		wire.Rollback: {wire.AppendRolledBack(nil, 1, 1, 1, true), wire.AppendRolledBack(nil, 0, 0, 0, false)},
	}
	for _, name := range wire.Names {
		if all[name] == nil {
			all[name] = results(name)
		}
	}
	return all
}

// results is what a writing command is answered.
func results(name wire.Name) [][]byte {
	full := &streampb.Result{V: 1, N: 1, Seq: 1, Ts: 1, Channel: "c", Duplicate: true, Already: true, Waiting: name == wire.Join}
	bare := &streampb.Result{V: 1, N: 1, Seq: 1, Ts: 1, Channel: "c"}
	c := wire.Command{Name: name, Group: "g", Write: &streampb.Command{
		Body: &streampb.Command_Invite{Invite: &streampb.Invite{Invite: "i"}},
	}}
	switch name {
	case wire.Block, wire.Unblock:
		c.Peer = "u"
	case wire.Send, wire.Invite:
		with := c
		with.Peer, with.Code = "u", "ABCDEFGH"
		return [][]byte{wire.AppendWritten(nil, &with, full), wire.AppendWritten(nil, &c, bare)}
	}
	return [][]byte{wire.AppendWritten(nil, &c, full), wire.AppendWritten(nil, &c, bare)}
}

// wrongAnswers tells where what package wire writes and the description differ.
func wrongAnswers(t testing.TB, c *describetest.Contract) (problems []string) {
	t.Helper()
	_ = wrongEvents(t, c) // answers hold events
	for name, forms := range answers() {
		note := func(err error) {
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", name, err))
			}
		}
		for _, form := range forms {
			if !slices.Contains(socketOnly, name) {
				note(c.Answer(string(name), 200, form))
			}
			note(c.Frame(wire.AppendOK(nil, 7, form), func(uint64) string { return string(name) }))
		}
		if unmet := c.Unmet("schemas/" + string(name) + "_answer"); len(unmet) > 0 {
			problems = append(problems, fmt.Sprintf("described and never there: %v", unmet))
		}
	}
	return problems
}

func TestAnswersHaveWhatIsDescribedAndNothingElse(t *testing.T) {
	for _, problem := range wrongAnswers(t, contract(t)) {
		t.Error(problem)
	}
}

func TestFramesHaveWhatIsDescribedAndNothingElse(t *testing.T) {
	c := contract(t)
	event := wire.AppendEvent(nil, everyEvent(t, true)[0])
	for name, frames := range map[string][][]byte{
		"block":        {wire.AppendBlock(nil, "g", "c", [][]byte{event})},
		"heads":        {wire.AppendHeads(nil, []wire.Head{{Group: "g", Channel: "c", V: 1, Mention: true, Members: 1}})},
		"gap":          {wire.AppendGap(nil, "g", "c", wire.Missing{Upto: 1})},
		"conversation": {wire.AppendLeft(nil, "g"), wire.AppendRemoved(nil, "g", "c")},
		"signal":       {wire.AppendSignal(nil, "g", "c", "u", &wire.Hint{Type: "typing", Data: []byte("null")})},
		"bye":          {wire.AppendBye(nil, "restarting", 1)},
	} {
		for _, frame := range frames {
			if err := c.Message(name+"_frame", frame); err != nil {
				t.Error(err)
			}
		}
		// Events of every kind have a test of their own.
		unmet := slices.DeleteFunc(c.Unmet("messages/"+name+"_frame/payload"), func(at string) bool { return strings.Contains(at, "_event/") })
		if len(unmet) > 0 {
			t.Errorf("described and never there: %v", unmet)
		}
	}
	if err := c.Frame(wire.AppendError(nil, 7, streams.Reject(streams.Muted, "muted")), nil); err != nil {
		t.Error(err)
	}
}

// ask does one step and returns what it was answered.
func ask(t testing.TB, address string, step describetest.Step) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/"+step.Command, bytes.NewBufferString(step.Object))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer dev:"+step.User)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// The owner here is a stand-in; ops/e2e has the same script with the real one.
func TestAnEdgeAnswersAsDescribed(t *testing.T) {
	s := edgetest.New(t)
	edgetest.NewStore(t, s.Conn, s.Owner)
	c := describetest.Load(t, s.Edge.Addr().String())
	listener := listen(t, s.Edge, c, "alice")
	done := map[string]bool{}
	for i, step := range describetest.Prepare() {
		status, answer := ask(t, s.Edge.Addr().String(), step)
		if err := c.Answer(step.Command, status, answer); err != nil {
			t.Errorf("%s %s: %v", step.Command, step.Object, err)
		}
		done[step.Command] = done[step.Command] || status == http.StatusOK
		if i == 3 { // group and channel are there
			listener.subscribe("@", "@members", "c")
		}
	}
	for _, name := range wire.Names {
		lacks := []wire.Name{wire.Presence, wire.Pin, wire.Unpin, wire.InviteRevoke, wire.Block, wire.Unblock}
		if done[string(name)] == (slices.Contains(lacks, name) || slices.Contains(socketOnly, name)) {
			t.Errorf("%s was answered: %v", name, done[string(name)])
		}
	}
	listener.unsubscribe("c")
	s.Stop()
	listener.end("block", "heads", "signal", "conversation", "bye")
}
