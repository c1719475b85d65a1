package streams_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"g1": true, "A_b-9": true, "@members": true, "@": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a.b": false, "a*": false, ">": false, "a b": false,
		"a\x00": false, "ä": false, "a@b": false, "@@": false, "a/b": false, "..": false, "a\r\n": false, "$SYS": false,
	} {
		_, err := streams.ParseGroup(name)
		if (err == nil) != ok {
			t.Errorf("ParseGroup(%q): got %v, want ok=%v", name, err, ok)
		}
		var r *streams.Rejection
		if err != nil && (!errors.As(err, &r) || r.Code != streams.BadRequest) {
			t.Errorf("ParseGroup(%q): got %v, want bad_request", name, err)
		}
	}
}

// A name that passes the parser is one token of a subject, whatever it is.
func TestNoNameEscapesItsToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, errG := streams.ParseGroup(rapid.String().Draw(t, "group"))
		c, errC := streams.ParseChannel(rapid.StringMatching(`@?[A-Za-z0-9_-]{1,64}`).Draw(t, "channel"))
		if errG != nil {
			g = "g"
		}
		if errC != nil {
			return
		}
		subject := streams.LogSubject(3, g, c)
		if strings.Count(subject, ".") != 4 || strings.ContainsAny(subject, "*> \r\n\x00") {
			t.Fatalf("subject %q", subject)
		}
		token, ok := streams.ParseLog(subject)
		if !ok || token.Group != g || token.Channel != c || token.Fence || token.Canary {
			t.Fatalf("ParseLog(%q) = %+v, %v", subject, token, ok)
		}
	})
}

func TestSubjectsAreParsedBack(t *testing.T) {
	if token, ok := streams.ParseLog(streams.FenceSubject(7)); !ok || !token.Fence {
		t.Errorf("fence: %+v %v", token, ok)
	}
	if token, ok := streams.ParseLog(streams.CanarySubject(7)); !ok || !token.Canary {
		t.Errorf("canary: %+v %v", token, ok)
	}
	for subject, want := range map[string]streams.StateToken{
		streams.StateGroup(1, "g"):          {Group: "g"},
		streams.StateChannel(1, "g", "@"):   {Group: "g", Channel: "@"},
		streams.StateMember(1, "g", "meta"): {Group: "g", Member: "meta"},
		streams.StateDedup(1, 77):           {Dedup: true, First: 77},
		streams.StateCard(1, "g", "c", 9):   {Group: "g", Channel: "c", Card: 9},

		streams.StateAttribute(1, "g", "@", "seat.1:+="): {Group: "g", Channel: "@", Attribute: "seat.1:+="},
		streams.StateFence(1):                            {Fence: true},
		streams.StateCheckpoint(1):                       {Checkpoint: true},
	} {
		if got, ok := streams.ParseState(subject); !ok || got != want {
			t.Errorf("ParseState(%q) = %+v, %v, want %+v", subject, got, ok, want)
		}
	}
}

func TestSignalsAreNoEvents(t *testing.T) {
	subject := streams.SignalSubject(2, "g", "general")
	if g, c, ok := streams.ParseSignal(subject); !ok || g != "g" || c != "general" {
		t.Errorf("ParseSignal(%q) = %v, %v, %v", subject, g, c, ok)
	}
	if token, ok := streams.ParseLog(subject); ok {
		t.Errorf("ParseLog takes the signal %q for %+v", subject, token)
	}
}

func TestADirectGroupIsTheSameForBoth(t *testing.T) {
	one, other := streams.DirectGroup("alice", "bob"), streams.DirectGroup("bob", "alice")
	if one != other || !one.Direct() {
		t.Errorf("DirectGroup: %q and %q", one, other)
	}
	if _, err := streams.ParseGroup(string(one)); err != nil {
		t.Error(err)
	}
	if same := streams.DirectGroup("alic", "ebob"); same == one {
		t.Errorf("two pairs have one group %q", same)
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, seed := range []string{"throng.log.0.g.c", "throng.live.0.@fence", "throng.state.1.g.member.u", "throng.log..g.c", "throng.log.0.g.c.d", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		if token, ok := streams.ParseLog(subject); ok && !token.Fence && !token.Canary {
			if _, err := streams.ParseGroup(string(token.Group)); err != nil {
				t.Fatal(err)
			}
			if _, err := streams.ParseChannel(string(token.Channel)); err != nil {
				t.Fatal(err)
			}
		}
		if token, ok := streams.ParseState(subject); ok && token.Group != "" {
			if _, err := streams.ParseGroup(string(token.Group)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestClientID(t *testing.T) {
	const text = "0193e7a0-1b2c-7def-8123-456789abcdef"
	id, err := streams.ParseClientID(text)
	if err != nil || id.String() != text || id.Millis() != 0x0193e7a01b2c {
		t.Errorf("got %v %v, time %x", id, err, id.Millis())
	}
	for _, bad := range []string{
		"", "0193e7a0-1b2c-4def-8123-456789abcdef", "0193e7a0-1b2c-7def-c123-456789abcdef", "0193e7a01b2c7def8123456789abcdef",
		"{0193e7a0-1b2c-7def-8123-456789abcdef}", "0193e7a0-1b2c-7def-8123-456789abcdeg", "0193e7a0_1b2c_7def_8123_456789abcdef",
	} {
		if _, err := streams.ParseClientID(bad); err == nil {
			t.Errorf("ParseClientID(%q) was accepted", bad)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<48-1).Draw(t, "ms")
		id := streams.MakeClientID(ms, [10]byte(rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "entropy")))
		again, err := streams.ParseClientID(id.String())
		if err != nil || again != id || id.Millis() != ms {
			t.Fatalf("%v at %d: %v, %v", id, ms, again, err)
		}
	})
}

// The place of a group is stored: it must never change.
func TestPartitionOfIsForEver(t *testing.T) {
	for group, want := range map[streams.Group]streams.Partition{"g1": 2, "ubuntu": 2, "lobby": 5, "a": 0, "b": 9} {
		if got := streams.PartitionOf(group, 16); got != want {
			t.Errorf("PartitionOf(%q, 16) = %d, want %d", group, got, want)
		}
	}
	counts := make([]int, 16)
	for i := range 16_000 {
		counts[streams.PartitionOf(streams.Group("group-"+streams.Partition(i).String()), 16)]++
	}
	for p, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("partition %d has %d of 16,000 groups", p, n)
		}
	}
}

func payloads() []streams.Payload {
	return []streams.Payload{
		streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
			Type: "text", Body: []byte("hi\x00\n"), Mentions: []string{"bob"}, MentionAll: true, ReplyTo: 3,
			Priority: streampb.Priority_PRIORITY_HIGH, Expires: 9,
		}},
		streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 4, Body: []byte("{}"), BodyJson: true}},
		streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: 4}},
		streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "room", Settings: &streampb.Settings{Join: "open"}}},
		streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "c", Kind: "public"}},
		streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: "bob", Role: streampb.Role_ROLE_OWNER, Members: 5}},
		streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: "bob", Reason: "tired"}},
	}
}

func TestEventsAreReadBackAsTheyWereWritten(t *testing.T) {
	for _, payload := range payloads() {
		e := &streams.Event{
			Group: "g", Channel: "c", V: 5, N: 4, Seq: 77, Epoch: 12, Prev: 70, TS: 1794000000123, User: "alice",
			ClientID: streams.MakeClientID(1794000000000, [10]byte{1}), Answer: true, MentionAllCount: 2, Payload: payload,
		}
		data, err := streams.MarshalEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := streams.UnmarshalEvent(data, 77)
		if err != nil {
			t.Fatal(err)
		}
		again, err := streams.MarshalEvent(got)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: %v, read back differs", e.Kind(), err)
		}
		if got.Kind() != e.Kind() || got.Seq != 77 || got.ClientID != e.ClientID {
			t.Errorf("%s: got %+v", e.Kind(), got)
		}
	}
}

func FuzzUnmarshalEvent(f *testing.F) {
	for _, payload := range payloads() {
		data, err := streams.MarshalEvent(&streams.Event{Group: "g", Channel: "c", User: "u", Payload: payload})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	broken, _ := proto.Marshal(&streampb.Event{Group: "a.b", Channel: "c", User: "u"})
	f.Add(broken)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := streams.UnmarshalEvent(data, 1)
		if err != nil {
			return
		}
		if _, err := streams.MarshalEvent(e); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if strings.ContainsAny(streams.LogSubject(0, e.Group, e.Channel), "*> ") {
			t.Fatal("a name escaped")
		}
	})
}

func TestJudge(t *testing.T) {
	place := streams.Place{V: 10, Epoch: 100}
	for name, test := range map[string]struct {
		v     streams.Version
		epoch streams.Epoch
		want  streams.Verdict
	}{
		"the next":                          {11, 100, streams.Belongs},
		"the next, of a newer term":         {11, 200, streams.Belongs},
		"the next, of an older term":        {11, 50, streams.Stale},
		"the same again":                    {10, 100, streams.Known},
		"an older one again":                {3, 50, streams.Known},
		"the same number of a newer term":   {10, 200, streams.Known},
		"beyond the next":                   {12, 100, streams.Ahead},
		"beyond the next, of an older term": {12, 50, streams.Stale},
	} {
		e := &streams.Event{V: test.v, Epoch: test.epoch}
		if got := streams.Judge(place, e); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	first := &streams.Event{V: 1, Epoch: 1}
	if got := streams.Judge(streams.Place{}, first); got != streams.Belongs {
		t.Errorf("the first event of a channel: %v", got)
	}
}

func TestOnlyRejectionsReachClients(t *testing.T) {
	inner := errors.New("password is hunter2")
	if r := streams.AsRejection(inner); r.Code != streams.Internal || strings.Contains(r.Message, "hunter2") {
		t.Errorf("got %v", r)
	}
	if r := streams.AsRejection(errors.Join(inner, streams.Reject(streams.Muted, "quiet"))); r.Code != streams.Muted {
		t.Errorf("got %v", r)
	}
}
