package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const uuid = "019364f0-0000-7000-8000-000000000001"

func TestFramesThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", streams.MaxBody+1)
	tests := []struct {
		name, frame string
		id          uint64
		code        streams.Code
	}{
		{"no JSON", `hello`, 0, streams.BadRequest},
		{"an array", `[1]`, 0, streams.BadRequest},
		{"no id", `{"ping":{}}`, 0, streams.BadRequest},
		{"id zero", `{"id":0,"ping":{}}`, 0, streams.BadRequest},
		{"id negative", `{"id":-3,"ping":{}}`, 0, streams.BadRequest},
		{"id a string", `{"id":"7","ping":{}}`, 0, streams.BadRequest},
		{"id a fraction", `{"id":7.5,"ping":{}}`, 0, streams.BadRequest},
		{"id beyond 2^53", `{"id":9007199254740992,"ping":{}}`, 0, streams.BadRequest},
		{"broken off behind the id", `{"id":7,"ping":{`, 7, streams.BadRequest},
		{"text behind the frame", `{"id":7,"ping":{}} x`, 7, streams.BadRequest},
		{"no command", `{"id":7}`, 7, streams.BadRequest},
		{"two commands", `{"id":7,"ping":{},"pull":{}}`, 7, streams.BadRequest},
		{"unknown command", `{"id":7,"pong":{}}`, 7, streams.BadRequest},
		{"command of a later version", `{"id":7,"sync":{}}`, 7, streams.BadRequest},
		{"command that is no object", `{"id":7,"ping":null}`, 7, streams.BadRequest},
		{"group missing", `{"id":7,"subscribe":{"channel":"c"}}`, 7, streams.BadRequest},
		{"group with a dot", `{"id":7,"subscribe":{"group":"a.b","channel":"c"}}`, 7, streams.BadRequest},
		{"group with a wildcard", `{"id":7,"subscribe":{"group":">","channel":"c"}}`, 7, streams.BadRequest},
		{"group of 65", `{"id":7,"subscribe":{"group":"` + strings.Repeat("a", 65) + `","channel":"c"}}`, 7, streams.BadRequest},
		{"group a number", `{"id":7,"subscribe":{"group":5,"channel":"c"}}`, 7, streams.BadRequest},
		{"after negative", `{"id":7,"subscribe":{"group":"g","channel":"c","after":-1}}`, 7, streams.BadRequest},
		{"after a string", `{"id":7,"subscribe":{"group":"g","channel":"c","after":"1"}}`, 7, streams.BadRequest},
		{"mode unknown", `{"id":7,"subscribe":{"group":"g","channel":"c","mode":"x"}}`, 7, streams.BadRequest},
		{"pull reversed", `{"id":7,"pull":{"group":"g","channel":"c","after":5,"upto":4}}`, 7, streams.BadRequest},
		{"pull without after", `{"id":7,"pull":{"group":"g","channel":"c"}}`, 7, streams.BadRequest},
		{"history both ways", `{"id":7,"history":{"group":"g","channel":"c","before":5,"after":4}}`, 7, streams.BadRequest},
		{"body missing", `{"id":7,"send":{"group":"g","channel":"c"}}`, 7, streams.BadRequest},
		{"body empty", `{"id":7,"send":{"group":"g","channel":"c","body":""}}`, 7, streams.BadRequest},
		{"body null", `{"id":7,"send":{"group":"g","channel":"c","body":null}}`, 7, streams.BadRequest},
		{"body a number", `{"id":7,"send":{"group":"g","channel":"c","body":5}}`, 7, streams.BadRequest},
		{"body an object for text", `{"id":7,"send":{"group":"g","channel":"c","body":{}}}`, 7, streams.BadRequest},
		{"body an array", `{"id":7,"send":{"group":"g","channel":"c","type":"t","body":[]}}`, 7, streams.BadRequest},
		{"body too large", `{"id":7,"send":{"group":"g","channel":"c","body":"` + long + `"}}`, 7, streams.TooLarge},
		{"object too large", `{"id":7,"send":{"group":"g","channel":"c","type":"t","body":{"a":"` + long + `"}}}`, 7, streams.TooLarge},
		{"type empty", `{"id":7,"send":{"group":"g","channel":"c","type":"","body":"x"}}`, 7, streams.BadRequest},
		{"type with a space", `{"id":7,"send":{"group":"g","channel":"c","type":"a b","body":"x"}}`, 7, streams.BadRequest},
		{"client_id no UUIDv7", `{"id":7,"send":{"group":"g","channel":"c","body":"x","client_id":"abc"}}`, 7, streams.BadRequest},
		{"client_id a UUIDv4", `{"id":7,"send":{"group":"g","channel":"c","body":"x","client_id":"019364f0-0000-4000-8000-000000000001"}}`, 7, streams.BadRequest},
		{"mentions no list", `{"id":7,"send":{"group":"g","channel":"c","body":"x","mentions":"bob"}}`, 7, streams.BadRequest},
		{"mentions of numbers", `{"id":7,"send":{"group":"g","channel":"c","body":"x","mentions":[1]}}`, 7, streams.BadRequest},
		{"mentions outside the alphabet", `{"id":7,"send":{"group":"g","channel":"c","body":"x","mentions":["a b"]}}`, 7, streams.BadRequest},
		{"mention_all a string", `{"id":7,"send":{"group":"g","channel":"c","body":"x","mention_all":"true"}}`, 7, streams.BadRequest},
		{"priority unknown", `{"id":7,"send":{"group":"g","channel":"c","body":"x","priority":"urgent"}}`, 7, streams.BadRequest},
		{"edit of nothing", `{"id":7,"edit":{"group":"g","channel":"c","body":"x"}}`, 7, streams.BadRequest},
		{"recall of zero", `{"id":7,"recall":{"group":"g","channel":"c","n":0}}`, 7, streams.BadRequest},
		{"a name the server gives", `{"id":7,"create_group":{"group":"@x","kind":"room","name":"x"}}`, 7, streams.BadRequest},
		{"group of no kind", `{"id":7,"create_group":{"kind":"club","name":"x"}}`, 7, streams.BadRequest},
		{"unknown setting", `{"id":7,"update_group":{"group":"g","settings":{"jion":"open"}}}`, 7, streams.BadRequest},
		{"setting of the wrong type", `{"id":7,"update_group":{"group":"g","settings":{"mute_all":1}}}`, 7, streams.BadRequest},
		{"setting of no value", `{"id":7,"update_group":{"group":"g","settings":{"join":"maybe"}}}`, 7, streams.BadRequest},
		{"settings a list", `{"id":7,"update_group":{"group":"g","settings":[]}}`, 7, streams.BadRequest},
		{"device outside the alphabet", `{"id":7,"connect":{"token":"x","device":"a/b"}}`, 7, streams.BadRequest},
		{"token a number", `{"id":7,"connect":{"token":1}}`, 7, streams.BadRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, _, err := wire.ParseFrame([]byte(test.frame))
			if err == nil {
				t.Fatal("was taken")
			}
			if got := streams.AsRejection(err); id != test.id || got.Code != test.code {
				t.Errorf("got id %d %v, want id %d %s", id, got, test.id, test.code)
			}
		})
	}
}

func parse(t *testing.T, frame string) wire.Command {
	t.Helper()
	_, c, err := wire.ParseFrame([]byte(frame))
	if err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	return c
}

func TestSendKeepsEveryField(t *testing.T) {
	c := parse(t, `{ "id" : 7 , "send" : {"group":"g","channel":"c","client_id":"`+uuid+`","type":"a.b","body":{ "k" : "v\n" },
		"mentions":["bob"],"mention_all":true,"mention_roles":["admin"],"reply_to":3,"priority":"low","ttl_ms":500,
		"unknown":[{"]":"}"}],"as":"carol","ts":123}}`)
	send := c.Write.GetSend()
	if c.Name != wire.Send || c.Group != "g" || c.Channel != "c" || c.ClientID().String() != uuid || c.As != "carol" || c.TS != 123 {
		t.Errorf("got %+v", c)
	}
	if string(send.GetBody()) != `{ "k" : "v\n" }` || !send.GetBodyJson() {
		t.Errorf("body %q, an object %v", send.GetBody(), send.GetBodyJson())
	}
	if send.GetType() != "a.b" || send.GetMentions()[0] != "bob" || !send.GetMentionAll() || send.GetMentionRoles()[0] != "admin" ||
		send.GetReplyTo() != 3 || send.GetPriority() != streampb.Priority_PRIORITY_LOW || send.GetTtlMs() != 500 {
		t.Errorf("got %v", send)
	}
}

func TestNullIsAbsentAndTheLastOfTwoKeysCounts(t *testing.T) {
	c := parse(t, `{"id":7,"subscribe":{"group":"x","group":"g","channel":"c","after":null,"log":null,"mode":null,"tail":0}}`)
	if c.Group != "g" || c.Read.After.Given || !c.Read.Tail.Given || c.Read.Hint {
		t.Errorf("got %+v", c)
	}
	if c := parse(t, `{"id":7,"send":{"group":"g","channel":"c","body":"\ud83d\ude00 \u00e9","client_id":null}}`); string(c.Write.GetSend().GetBody()) != "😀 é" {
		t.Errorf("body %q", c.Write.GetSend().GetBody())
	}
}

func TestNextCutsFramesAtNewlines(t *testing.T) {
	rest, got := []byte("\n a \n\n b\r\nc"), ""
	for {
		frame, next, ok := wire.Next(rest)
		if !ok {
			break
		}
		got += string(frame) + "|"
		rest = next
	}
	if got != "a|b|c|" {
		t.Errorf("got %q", got)
	}
}

func TestEveryCommandOfTheContractIsKnown(t *testing.T) {
	for _, name := range wire.Names {
		if _, err := wire.Parse(name, []byte(`{}`)); err != nil && strings.Contains(err.Error(), "no such command") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range wire.Later {
		if _, err := wire.Parse(name, []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "not available in this version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{
		`{"id":7,"ping":{}}`, `{"id":7,"pull":{"group":"g","channel":"c","after":1}}`, `{"id":1,"x":[{"a":"\"]"}]}`, `{"id":`,
		`{"id":7,"send":{"group":"g","channel":"c","type":"t","body":{"a":[1,"}"]},"mentions":["a","b"]}}`,
		`{"id":7,"update_group":{"group":"g","settings":{"join":"open","slow_mode_ms":5}}}`, `{"\u0069d":3,"ping":{}}`,
		`{"id":7,"create_channel":{"group":"g","kind":"thread","parent":{"channel":"c","n":1},"settings":{"write":"admin"}}}`,
		`{"id":7,"member":{"group":"g","user":"u","do":"mute","until":5,"reason":"x","user_groups":["a"]}}`,
		`{"id":7,"attr_set":{"group":"g","set":{"a:b":"v"},"del":["c"],"if_v":{"a:b":0}}}`, `{"id":7,"send":{"user":"u","body":"x"}}`,
		`{"id":7,"react":{"group":"g","channel":"c","n":1,"emoji":"x"}}`, `{"id":7,"signal":{"group":"g","channel":"c","type":"t","data":{"a":[]}}}`,
		`{"id":7,"hide":{"group":"g","channel":"c","n":1}}`,
		`{"id":7,"attrs":{"group":"g","keys":["a"],"after":1}}`, `{"id":7,"invite":{"group":"g","code":"12345678","expires_in_ms":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if !utf8.Valid(frame) {
			return // closed with 1007 before
		}
		id, c, err := wire.ParseFrame(frame)
		if id > streams.MaxInteger {
			t.Fatalf("id %d", id)
		}
		if err != nil {
			if line := wire.AppendError(nil, id, streams.AsRejection(err)); !json.Valid(line) {
				t.Fatalf("answer %s", line)
			}
			return
		}
		if c.Group != "" {
			if _, err := streams.ParseGroup(string(c.Group)); err != nil {
				t.Fatalf("group %q", c.Group)
			}
		}
		if c.Channel != "" {
			if _, err := streams.ParseChannel(string(c.Channel)); err != nil {
				t.Fatalf("channel %q", c.Channel)
			}
		}
		if send := c.Write.GetSend(); send != nil && (len(send.GetBody()) == 0 || len(send.GetBody()) > streams.MaxBody) {
			t.Fatalf("body of %d bytes", len(send.GetBody()))
		}
		for key, value := range c.Write.GetAttrSet().GetSet() {
			if key == "" || len(key) > streams.MaxAttributeKey || len(value) > streams.MaxAttribute || !utf8.ValidString(value) {
				t.Fatalf("attribute %q of %d bytes", key, len(value))
			}
		}
	})
}
