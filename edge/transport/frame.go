package transport

import (
	"encoding/binary"
	"unicode/utf8"
)

// Kind is what a frame holds: its opcode.
type Kind byte

const (
	Continuation Kind = 0
	Text         Kind = 1
	Binary       Kind = 2
	Close        Kind = 8
	Ping         Kind = 9
	Pong         Kind = 10
)

func (k Kind) control() bool { return k >= Close }

// Close codes of RFC 6455 that are sent from here.
const (
	CloseProtocolError = 1002
	CloseInvalidUTF8   = 1007
	CloseTooLarge      = 1009
	// CloseNone stands for a close frame that gives no code. It is never sent.
	CloseNone = 1005
)

// maxControl is the most bytes a control frame holds.
const maxControl = 125

const (
	finBit  = 0x80
	maskBit = 0x80
)

// usualHeader is the length of the header of most frames the server sends: of
// 126 to 65,535 bytes.
const usualHeader = 4

// BeginFrame makes room for a frame's header; the payload is appended behind it.
func BeginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// EndFrame makes what was appended since [BeginFrame] returned a buffer of
// length begin+4 one final frame.
func EndFrame(b []byte, begin int, kind Kind) []byte {
	size := len(b) - begin - usualHeader
	b[begin] = finBit | byte(kind)
	switch {
	case size < 126:
		b[begin+1] = byte(size)
		copy(b[begin+2:], b[begin+usualHeader:])
		return b[:len(b)-2]
	case size <= 0xffff:
		b[begin+1] = 126
		binary.BigEndian.PutUint16(b[begin+2:], uint16(size))
		return b
	}
	b = append(b, 0, 0, 0, 0, 0, 0)
	copy(b[begin+10:], b[begin+usualHeader:begin+usualHeader+size])
	b[begin+1] = 127
	binary.BigEndian.PutUint64(b[begin+2:], uint64(size))
	return b
}

// AppendFrame appends one final frame.
func AppendFrame(b []byte, kind Kind, payload []byte) []byte {
	begin := len(b)
	return EndFrame(append(BeginFrame(b), payload...), begin, kind)
}

// AppendClose appends a close frame. The reason is cut to what fits; CloseNone
// makes one without code.
func AppendClose(b []byte, code int, reason string) []byte {
	if code == CloseNone {
		return AppendFrame(b, Close, nil)
	}
	if len(reason) > maxControl-2 {
		cut := maxControl - 2
		for !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	begin := len(b)
	b = binary.BigEndian.AppendUint16(BeginFrame(b), uint16(code))
	return EndFrame(append(b, reason...), begin, Close)
}
