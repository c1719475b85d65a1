package refusals_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that a group may be as large as its limits let it be: 1,000 channels
// with the longest names, and a hundred of them with the longest settings, twice
// what fits into one message of NATS, are shown, followed
// for events and for heads, written to and read; and that what NATS can't carry
// is refused over it and told by the other ways.
func TestAGroupOfTheLargestChannels(t *testing.T) {
	d := deploy(t)
	d.must(t, "alice", "create_group", `{"group":"g","kind":"community","name":"x"}`)
	long := func(pattern string, n int) string {
		return several(n, "[", `"`+pattern+strings.Repeat("x", streams.MaxName-len(pattern)-3)+`%03d"`, "]")
	}
	settings := `"category":"` + letters(streams.MaxDisplayName) + `","write_groups":` + long("w", streams.MaxUserGroups) + `,"read_groups":` + long("r", streams.MaxUserGroups)
	name := func(i int) string { return fmt.Sprintf("c%063d", i) }
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range streams.MaxChannels {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			settings := settings
			if i%10 > 0 {
				settings = `"position":1`
			}
			a := d.nats(t, "dev:alice", "create_channel", `{"group":"g","channel":"`+name(i)+`","kind":"private","name":"`+letters(streams.MaxDisplayName)+`",`+settings+`}`)
			if a.code() != "" {
				t.Errorf("channel %d: %s", i, a)
			}
		})
	}
	wait.Wait()
	if a := d.nats(t, "dev:alice", "create_channel", `{"group":"g","channel":"more","kind":"public","name":"x"}`); a.code() != "conflict" {
		t.Errorf("one channel more: %s", a)
	}
	alice := d.connect(t, "dev:alice")
	for i := range streams.MaxChannels {
		if a := alice.ask(t, "subscribe", `{"group":"g","channel":"`+name(i)+`","mode":"hint"}`); a.code() != "" {
			t.Fatalf("channel %d is not followed: %s", i, a)
		}
	}
	for _, i := range []int{0, 500, 999} {
		d.must(t, "alice", "send", `{"group":"g","channel":"`+name(i)+`","body":"x"}`)
		streamtest.Eventually(t, patience, "a head of "+name(i), func() bool {
			return slices.ContainsFunc(alice.heard(), func(frame []byte) bool {
				return bytes.Contains(frame, []byte(`"heads"`)) && bytes.Contains(frame, []byte(name(i)))
			})
		})
		if a := alice.ask(t, "history", `{"group":"g","channel":"`+name(i)+`"}`); !bytes.Contains(a.body, []byte(`"n":1`)) {
			t.Errorf("history of channel %d: %s", i, a)
		}
	}
	for way, a := range map[string]answer{
		"WebSocket": alice.ask(t, "group", `{"group":"g"}`), "HTTP": d.http(t, "dev:alice", "group", `{"group":"g"}`),
	} {
		var group struct {
			OK       *struct{ Channels []struct{ Channel string } }
			Channels []struct{ Channel string }
		}
		if err := json.Unmarshal(a.body, &group); err != nil {
			t.Fatalf("group over %s: %v", way, err)
		}
		if group.OK != nil {
			group.Channels = group.OK.Channels
		}
		if len(group.Channels) != streams.MaxChannels || group.Channels[999].Channel != name(999) {
			t.Errorf("%d channels over %s", len(group.Channels), way)
		}
	}
	if a := d.nats(t, "dev:alice", "group", `{"group":"g"}`); a.code() != "too_large" {
		t.Errorf("group over NATS: %.300s", a)
	}
	if a := d.connect(t, "dev:alice").ask(t, "subscribe", `{"group":"g","channel":"@","tail":5}`); a.code() != "" {
		t.Errorf("subscribe to @: %.300s", a)
	}
}
