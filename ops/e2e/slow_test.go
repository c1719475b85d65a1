//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// It proves that a client that does not read is told what it missed, while
// others are served, and finds everything by pull.
func TestSlowReaderIsToldTheGap(t *testing.T) {
	s := startServer(t)
	newGroup(t, s.listen, "g1", "general", "alice", "slow")
	fast := connect(t, s.listen, "dev:alice")
	fast.mustSubscribe(t, "g1", "general", nil)
	slow := openRaw(t, s.listen).connect("dev:slow")
	if err := slow.conn.NetConn().(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	slow.say(websocket.TextMessage, `{"id":2,"subscribe":{"group":"g1","channel":"general"}}`)
	if f, err := slow.hear(); err != nil || f.OK == nil {
		t.Fatal(f, err)
	}
	// More than sockets buffer and a ring holds.
	writer := connect(t, s.listen, "dev:alice")
	const messages = 2000
	body := strings.Repeat("a", 8<<10)
	began := time.Now()
	var window []*waiter
	for i := range messages {
		w, err := writer.begin("send", object{"group": "g1", "channel": "general", "body": body}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if window = append(window, w); len(window) == 50 || i == messages-1 {
			for _, w := range window {
				if err := writer.end(w, nil); err != nil {
					t.Fatal(err)
				}
			}
			window = nil
		}
	}
	fast.await(t, "g1", "general", messages)
	t.Logf("%d messages of %d KB sent and delivered in %.1f s", messages, len(body)>>10, time.Since(began).Seconds())
	sameEvents(t, "the fast reader", fast.complete(t, "g1", "general"), writer.mustPull(t, "g1", "general", 0, messages))

	// Now the slow one drains.
	f := &feed{}
	for f.last < messages {
		_ = slow.conn.SetReadDeadline(time.Now().Add(patience)) // a dead connection errs below
		_, data, err := slow.conn.ReadMessage()
		if err != nil {
			t.Fatalf("the slow reader at v %d: %v", f.last, err)
		}
		for _, line := range bytes.Split(data, []byte("\n")) {
			var fr frame
			if err := json.Unmarshal(line, &fr); err != nil {
				t.Fatal(err)
			}
			switch {
			case fr.Gap != nil:
				err = f.skip(fr.Gap.missing)
			case fr.Block != nil:
				for _, e := range fr.Block.Events {
					err = errors.Join(err, f.take(e))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("the slow reader got %d events and %d gaps", len(f.events), len(f.gaps))
	if len(f.gaps) == 0 {
		t.Error("the slow reader got no gap: the test did not make it fall behind")
	}
}
