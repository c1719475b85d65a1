package races

import (
	"errors"
	"testing"

	"github.com/throng/throng/streams/streamtest"
)

// It proves that what an edge refuses by itself it refuses as the owner does, in
// code and words: nobody learns from an answer which of the two it was.
func TestEdgeAndOwnerRefuseAlike(t *testing.T) {
	s := newStage(t)
	alice := connect(t, s.edges[0], "dev:alice", nil)
	streamtest.Eventually(t, patience, "the group is made", func() bool {
		return alice.call(t.Context(), "create_group", object{"group": "g", "kind": "community", "name": "G"}, nil) == nil
	})
	alice.must(t, "create_channel", object{"group": "g", "channel": "c", "kind": "public", "name": "C"}, nil)
	alice.must(t, "create_channel", object{"group": "g", "channel": "v", "kind": "private", "name": "V"}, nil)
	alice.must(t, "member", object{"group": "g", "user": "bob", "do": "add"}, nil)
	bob, stranger := connect(t, s.edges[0], "dev:bob", nil), connect(t, s.edges[0], "dev:stranger", nil)
	refused := func(c *client, command string, o object) string {
		t.Helper()
		var r *refusal
		if err := c.call(t.Context(), command, o, nil); !errors.As(err, &r) {
			t.Fatalf("%s %v: %v", command, o, err)
		}
		return r.Error()
	}
	in := func(channel string, more object) object {
		o := object{"group": "g", "channel": channel, "body": "x", "type": "t"}
		for key, value := range more {
			o[key] = value
		}
		return o
	}
	alike := func(what string, c *client, o object, by string, others ...string) {
		t.Helper()
		want := refused(c, by, o) // by the owner
		for _, command := range others {
			if got := refused(c, command, o); got != want {
				t.Errorf("%s: %s says %q, and the owner %q", what, command, got, want)
			}
		}
	}
	reads := []string{"history", "subscribe", "signal", "attrs"}
	alike("a stranger", stranger, in("c", nil), "send", reads...)
	alike("of no group", bob, object{"group": "nothing", "channel": "c", "body": "x", "type": "t"}, "send", reads...)
	alike("of no channel", bob, in("nothing", nil), "send", reads...)
	alike("of a channel that is not seen", bob, in("v", nil), "send", reads...)
	alike("of no message", bob, in("c", object{"n": 9}), "recall", "hide")
	alice.must(t, "member", object{"group": "g", "user": "bob", "do": "mute"}, nil)
	alike("who is muted", bob, in("c", nil), "send", "signal")
	alice.must(t, "member", object{"group": "g", "user": "bob", "do": "unmute"}, nil)
	alice.must(t, "update_group", object{"group": "g", "settings": object{"mute_all": true}}, nil)
	alike("who is muted with all", bob, in("c", nil), "send", "signal")
	if refused(bob, "send", in("nothing", nil)) != refused(bob, "send", in("v", nil)) {
		t.Error("an answer tells that a channel exists")
	}
}
