package session_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams/streamtest"
)

// bare is a WebSocket whose frames are made by hand.
type bare struct {
	net.Conn
	reader *bufio.Reader
}

func newBare(t *testing.T, e *edge.Edge) *bare {
	t.Helper()
	conn, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	b := &bare{conn, bufio.NewReader(conn)}
	response, err := http.ReadResponse(b.reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	_ = response.Body.Close()
	return b
}

// masked is a client's frame with a mask of zeros, which leaves the payload as
// it is.
func masked(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

// next reads a frame of the server.
func (b *bare) next() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(b.reader, head[:]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1])
	switch size {
	case 126:
		var s [2]byte
		_, err = io.ReadFull(b.reader, s[:])
		size = uint64(binary.BigEndian.Uint16(s[:]))
	case 127:
		var s [8]byte
		_, err = io.ReadFull(b.reader, s[:])
		size = binary.BigEndian.Uint64(s[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(b.reader, payload)
	return head[0], payload, err
}

// ended reads up to the close frame and the end behind it, and says what came
// before. The close frame is answered, unless it is an answer itself.
func (b *bare) ended(first bool) (code int, before string) {
	for {
		opcode, payload, err := b.next()
		switch {
		case err != nil:
			return -1, before + err.Error()
		case opcode != 0x88:
			before += fmt.Sprintf("%x ", opcode)
			continue
		case len(payload) >= 2:
			code = int(binary.BigEndian.Uint16(payload))
		}
		if !first {
			_, _ = b.Write([]byte(masked(0x88, "")))
		}
		if _, _, err := b.next(); !errors.Is(err, io.EOF) {
			return code, fmt.Sprint(before, "then ", err)
		}
		return code, before
	}
}

func TestFramesThatBreakTheRulesCloseAndDisturbNobody(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	neighbour := connected(t, s.Edge, "bob")
	neighbour.ok("subscribe", `{"group":"g","channel":"c"}`)
	f := &follower{t: t}
	connect := masked(0x81, `{"id":1,"connect":{"token":"dev:alice"}}`)
	v := uint64(0)
	for name, test := range map[string]struct {
		say    string
		code   int
		closes bool // by itself
	}{
		"not masked":                      {"\x81\x01x", 1002, false},
		"a reserved bit":                  {masked(0xc1, "x"), 1002, false},
		"an unknown opcode":               {masked(0x83, "x"), 1002, false},
		"an unknown control frame":        {masked(0x8b, "x"), 1002, false},
		"a ping in parts":                 {masked(0x09, "x"), 1002, false},
		"a ping that is too long":         {masked(0x89, strings.Repeat("x", 126)), 1002, false},
		"a continuation of nothing":       {masked(0x80, "x"), 1002, false},
		"a text within a text":            {masked(0x01, "x") + masked(0x81, "y"), 1002, false},
		"text that is not UTF-8":          {masked(0x81, "\xff"), 1007, false},
		"text in parts that is not UTF-8": {masked(0x01, "\xc3") + masked(0x80, "x"), 1007, false},
		"too large":                       {masked(0x81, strings.Repeat("x", wire.MaxFrame+1)), 1009, false},
		"too large in parts":              {masked(0x01, strings.Repeat("x", wire.MaxFrame)) + masked(0x80, "x"), 1009, false},
		"too large to be there":           {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1009, false},
		"binary":                          {masked(0x82, "x"), 1003, false},
		"a ping, then a close":            {masked(0x89, "p") + masked(0x88, "\x03\xe8"), 1000, true},
		"a close without a code":          {masked(0x88, ""), 0, true},
		"a close nobody may send":         {masked(0x88, "\x03\xed"), 1002, false},
		"half a close code":               {masked(0x88, "\x03"), 1002, false},
	} {
		b := newBare(t, s.Edge)
		_, _ = io.WriteString(b, connect)
		if opcode, payload, err := b.next(); opcode != 0x81 || err != nil {
			t.Fatalf("%s: connect: %x %s %v", name, opcode, payload, err)
		}
		go func() { _, _ = io.WriteString(b, test.say) }() // the end may come before all is said
		if code, before := b.ended(test.closes); code != test.code || strings.Contains(before, "then") || strings.Contains(before, "81") {
			t.Errorf("%s: closed with %d (%s), want %d", name, code, before, test.code)
		}
		v++
		s.Send(t, name)
		f.until(neighbour, v)
	}
}

// Commands that come in parts, byte by byte or many at once are all the same.
func TestFramesMayBeCutAnywhere(t *testing.T) {
	s := edgetest.New(t)
	b := newBare(t, s.Edge)
	say := masked(0x81, `{"id":1,"connect":{"token":"dev:alice"}}`) + masked(0x01, `{"id":2,"pi`) + masked(0x89, "beat") +
		masked(0x00, ``) + masked(0x80, `ng":{}}`+"\n"+`{"id":3,"ping":{}}`) + masked(0x81, `{"id":4,"ping":{}}`)
	for i := range len(say) {
		_, _ = io.WriteString(b, say[i:i+1])
	}
	var got strings.Builder
	for strings.Count(got.String(), `"ok"`) < 4 || !strings.Contains(got.String(), "beat") {
		_, payload, err := b.next()
		if err != nil {
			t.Fatalf("%v behind %s", err, got.String())
		}
		got.Write(payload)
	}
	for _, want := range []string{`"id":1`, `"id":2`, `"id":3`, `"id":4`} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %s in %s", want, got.String())
		}
	}
}

// Connections at rest cost no goroutine, neither do those that have said half of
// something.
func TestConnectionsAtRestHaveNoGoroutine(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	first := connected(t, s.Edge, "bob")
	first.ok("subscribe", `{"group":"g","channel":"c"}`)
	before := runtime.NumGoroutine()
	clients := make([]*client, 100)
	for i := range clients {
		clients[i] = connected(t, s.Edge, "bob")
		clients[i].ok("subscribe", `{"group":"g","channel":"c"}`)
		b := newBare(t, s.Edge)
		_, _ = io.WriteString(b, masked(0x81, `{"id":1,"ping":{}}`)[:10])
	}
	streamtest.Eventually(t, patience, "only a few goroutines are left", func() bool {
		return runtime.NumGoroutine() < before+20
	})
	s.Send(t, "x")
	for _, c := range clients {
		f := &follower{t: t}
		f.until(c, 1)
	}
}
