package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const testLimit = 1000

// clientFrame is a frame as a client sends it; bits are those of the first byte
// beside the opcode.
func clientFrame(bits byte, kind Kind, payload string) []byte {
	b := []byte{bits | byte(kind)}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	mask := [4]byte{0x12, 0xf4, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// decode feeds pieces to a decoder and says what came out, a line each.
func decode(pieces ...[]byte) (said []string) {
	d := NewDecoder(testLimit)
	for _, p := range pieces {
		for {
			m, rest, err := d.Next(p)
			var violation *Violation
			if errors.As(err, &violation) {
				return append(said, fmt.Sprint("close ", violation.Code))
			}
			if m.Kind == 0 {
				break
			}
			said = append(said, fmt.Sprintf("%d %q", m.Kind, m.Payload))
			p = rest
		}
	}
	if !d.Idle() {
		said = append(said, "half")
	}
	return said
}

func closePayload(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

func TestFramesOfClients(t *testing.T) {
	text := func(s string) []byte { return clientFrame(finBit, Text, s) }
	for name, test := range map[string]struct {
		in   []byte
		want string
	}{
		"a text":                            {text("hello"), `1 "hello"`},
		"an empty text":                     {text(""), `1 ""`},
		"a text of 126 bytes":               {text(strings.Repeat("x", 126)), `1 "` + strings.Repeat("x", 126) + `"`},
		"a text of the limit":               {text(strings.Repeat("x", testLimit)), `1 "` + strings.Repeat("x", testLimit) + `"`},
		"a text above the limit":            {text(strings.Repeat("x", testLimit+1)), "close 1009"},
		"a text of 100 KB":                  {text(strings.Repeat("x", 100_000)), "close 1009"},
		"a binary":                          {clientFrame(finBit, Binary, "\xff"), `2 "\xff"`},
		"two texts":                         {append(text("a"), text("b")...), `1 "a"; 1 "b"`},
		"a text in three parts":             {slices(clientFrame(0, Text, "a"), clientFrame(0, Continuation, ""), clientFrame(finBit, Continuation, "bc")), `1 "abc"`},
		"a ping between parts":              {slices(clientFrame(0, Text, "a"), clientFrame(finBit, Ping, "p"), clientFrame(finBit, Continuation, "b")), `9 "p"; 1 "ab"`},
		"parts above the limit":             {slices(clientFrame(0, Text, strings.Repeat("x", 600)), clientFrame(finBit, Continuation, strings.Repeat("x", 401))), "close 1009"},
		"a rune in two parts":               {slices(clientFrame(0, Text, "\xc3"), clientFrame(finBit, Continuation, "\xa9")), `1 "é"`},
		"a text that is not UTF-8":          {text("\xff"), "close 1007"},
		"a text that breaks off in a rune":  {text("a\xc3"), "close 1007"},
		"a surrogate in UTF-8":              {text("\xed\xa0\x80"), "close 1007"},
		"a pong":                            {clientFrame(finBit, Pong, "x"), `10 "x"`},
		"a ping of 125 bytes":               {clientFrame(finBit, Ping, strings.Repeat("p", 125)), `9 "` + strings.Repeat("p", 125) + `"`},
		"a ping of 126 bytes":               {clientFrame(finBit, Ping, strings.Repeat("p", 126)), "close 1002"},
		"a ping in parts":                   {clientFrame(0, Ping, "p"), "close 1002"},
		"a close":                           {clientFrame(finBit, Close, ""), `8 ""`},
		"a close with a code":               {clientFrame(finBit, Close, closePayload(1000, "bye")), `8 "\x03\xe8bye"`},
		"a close with a code of its own":    {clientFrame(finBit, Close, closePayload(4999, "")), `8 "\x13\x87"`},
		"a close with half a code":          {clientFrame(finBit, Close, "\x03"), "close 1002"},
		"a close with 1005":                 {clientFrame(finBit, Close, closePayload(1005, "")), "close 1002"},
		"a close with 1006":                 {clientFrame(finBit, Close, closePayload(1006, "")), "close 1002"},
		"a close with 1015":                 {clientFrame(finBit, Close, closePayload(1015, "")), "close 1002"},
		"a close with 2999":                 {clientFrame(finBit, Close, closePayload(2999, "")), "close 1002"},
		"a close with 999":                  {clientFrame(finBit, Close, closePayload(999, "")), "close 1002"},
		"a close with 5000":                 {clientFrame(finBit, Close, closePayload(5000, "")), "close 1002"},
		"a close whose reason is no UTF-8":  {clientFrame(finBit, Close, closePayload(1000, "\xff")), "close 1007"},
		"not masked":                        {[]byte{finBit | 1, 1, 'x'}, "close 1002"},
		"the first reserved bit":            {clientFrame(finBit|0x40, Text, "x"), "close 1002"},
		"the second reserved bit":           {clientFrame(finBit|0x20, Text, "x"), "close 1002"},
		"the third reserved bit":            {clientFrame(finBit|0x10, Ping, "x"), "close 1002"},
		"opcode 3":                          {clientFrame(finBit, 3, "x"), "close 1002"},
		"opcode 7":                          {clientFrame(finBit, 7, "x"), "close 1002"},
		"opcode 11":                         {clientFrame(finBit, 11, "x"), "close 1002"},
		"opcode 15":                         {clientFrame(finBit, 15, ""), "close 1002"},
		"a continuation of nothing":         {clientFrame(finBit, Continuation, "x"), "close 1002"},
		"a continuation of what has ended":  {slices(text("a"), clientFrame(finBit, Continuation, "x")), `1 "a"; close 1002`},
		"a text within a text":              {slices(clientFrame(0, Text, "a"), text("b")), "close 1002"},
		"a length in two bytes for one":     {[]byte{finBit | 1, maskBit | 126, 0, 5}, "half"},
		"a length in two bytes for one, on": {[]byte{finBit | 1, maskBit | 126, 0, 5, 0, 0, 0, 0}, "close 1002"},
		"a length in eight bytes for two":   {[]byte{finBit | 1, maskBit | 127, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}, "close 1002"},
		"a negative length":                 {[]byte{finBit | 1, maskBit | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, "close 1002"},
		"the largest length":                {[]byte{finBit | 1, maskBit | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, "close 1009"},
		"half a header":                     {[]byte{finBit | 1}, "half"},
		"half a frame":                      {text("hello")[:8], "half"},
		"half a message":                    {clientFrame(0, Text, "hello"), "half"},
	} {
		if got := strings.Join(decode(test.in), "; "); got != test.want {
			t.Errorf("%s: got %.100s, want %.100s", name, got, test.want)
		}
		var single [][]byte
		for i := range test.in {
			single = append(single, test.in[i:i+1])
		}
		if got := strings.Join(decode(single...), "; "); got != test.want {
			t.Errorf("%s, byte by byte: got %.100s, want %.100s", name, got, test.want)
		}
	}
}

func slices(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// A frame that announces much and brings little costs what it brings, and a
// decoder between messages holds nothing.
func TestDecodersHoldNoMoreThanHasCome(t *testing.T) {
	d := NewDecoder(128 << 10)
	frame := clientFrame(finBit, Text, strings.Repeat("x", 100_000))
	if _, _, err := d.Next(frame[:100]); err != nil {
		t.Fatal(err)
	}
	if cap(d.payload) > 256 {
		t.Errorf("holds %d bytes after 100", cap(d.payload))
	}
	m, rest, err := d.Next(frame[100:])
	if err != nil || len(m.Payload) != 100_000 || len(rest) != 0 {
		t.Fatalf("%d bytes, %d left, %v", len(m.Payload), len(rest), err)
	}
	if d.payload != nil || d.control != nil || !d.Idle() {
		t.Error("holds a buffer at rest")
	}
}

func TestFramesOfTheServer(t *testing.T) {
	for size, header := range map[int]int{0: 2, 125: 2, 126: 4, 65535: 4, 65536: 10, 200_000: 10} {
		payload := bytes.Repeat([]byte("ab"), size/2+1)[:size]
		b := AppendFrame([]byte("before"), Text, payload)
		frame := b[len("before"):]
		if len(frame) != header+size || !bytes.Equal(frame[header:], payload) || frame[0] != finBit|1 || string(b[:6]) != "before" {
			t.Errorf("%d bytes: a frame of %d, %x", size, len(frame), frame[:min(10, len(frame))])
			continue
		}
		got := uint64(frame[1])
		switch header {
		case 4:
			got = uint64(binary.BigEndian.Uint16(frame[2:]))
		case 10:
			got = binary.BigEndian.Uint64(frame[2:])
		}
		if got != uint64(size) {
			t.Errorf("%d bytes: the header says %d", size, got)
		}
	}
	if got := AppendClose(nil, CloseNone, ""); !bytes.Equal(got, []byte{finBit | 8, 0}) {
		t.Errorf("a close without code is %x", got)
	}
	long := AppendClose(nil, 1000, strings.Repeat("é", 100))
	if len(long) != 2+2+122 || long[1] != 124 {
		t.Errorf("a long reason makes %d bytes, %d announced", len(long), long[1])
	}
}

// However the bytes are cut, the same comes out, and nothing crashes.
func FuzzDecoder(f *testing.F) {
	f.Add(clientFrame(finBit, Text, "hello"), uint8(3))
	f.Add(slices(clientFrame(0, Text, "a"), clientFrame(finBit, Ping, "p"), clientFrame(finBit, Continuation, "b")), uint8(1))
	f.Add(clientFrame(finBit, Close, closePayload(1000, "bye")), uint8(2))
	f.Add([]byte{finBit | 1, maskBit | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole := decode(data)
		var pieces [][]byte
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(step)+1)
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := decode(pieces...); strings.Join(got, "\n") != strings.Join(whole, "\n") {
			t.Errorf("in pieces %q, in one %q", got, whole)
		}
	})
}
