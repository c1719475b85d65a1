package transport

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Message is a whole message or a control frame of the peer.
type Message struct {
	Kind    Kind // Text, Binary, Close, Ping or Pong; 0 for none
	Payload []byte
}

// CloseCode reads a close frame, CloseNone where it gives no code.
func (m Message) CloseCode() int {
	if len(m.Payload) < 2 {
		return CloseNone
	}
	return int(binary.BigEndian.Uint16(m.Payload))
}

// Violation is how a peer broke the rules, and what to close with.
type Violation struct {
	Code   int
	Reason string
}

func (v *Violation) Error() string { return fmt.Sprintf("close %d: %s", v.Code, v.Reason) }

func violated(reason string) error { return &Violation{Code: CloseProtocolError, Reason: reason} }

// maxHeader is the longest header of a client's frame.
const maxHeader = 14

// Decoder reads the frames of one client. At rest it holds no buffer. The zero
// value is not ready: see [NewDecoder].
type Decoder struct {
	limit int // of a message, bytes

	head [maxHeader]byte // what has come of a header
	have uint8

	within bool // a frame's payload
	left   int  // bytes of it to come
	kind   Kind // of the frame
	fin    bool
	phase  uint8 // of the mask
	mask   [4]byte

	message Kind   // of the message that has begun, 0 for none
	payload []byte // what has come of it
	control []byte // what has come of a control frame
}

// NewDecoder returns a decoder of messages of at most limit bytes.
func NewDecoder(limit int) Decoder { return Decoder{limit: limit} }

// Idle reports whether nothing has come half.
func (d *Decoder) Idle() bool { return d.have == 0 && !d.within && d.message == 0 }

// Next takes bytes off the front of p until a message is complete or p is used
// up; then the message has no kind. The payload is the caller's to keep, p is
// not kept. An error is a [*Violation] and ends the decoder's use.
func (d *Decoder) Next(p []byte) (m Message, rest []byte, err error) {
	for {
		if !d.within {
			var whole bool
			if whole, p, err = d.header(p); err != nil || !whole {
				return Message{}, p, err
			}
		}
		p = d.body(p)
		if d.left > 0 {
			return Message{}, nil, nil
		}
		d.within = false
		if m, err = d.ended(); err != nil || m.Kind != 0 {
			return m, p, err
		}
	}
}

// header takes bytes of a header; whole is false while some are to come.
func (d *Decoder) header(p []byte) (whole bool, rest []byte, err error) {
	if d.have < 2 {
		if p = d.collect(p, 2); d.have < 2 {
			return false, p, nil
		}
		if err := d.first(); err != nil {
			return false, p, err
		}
	}
	need := 6
	switch d.head[1] &^ maskBit {
	case 126:
		need = 8
	case 127:
		need = 14
	}
	if p = d.collect(p, need); int(d.have) < need {
		return false, p, nil
	}
	return true, p, d.begin()
}

// collect takes bytes of a header up to a length.
func (d *Decoder) collect(p []byte, need int) (rest []byte) {
	taken := copy(d.head[d.have:need], p)
	d.have += uint8(taken)
	return p[taken:]
}

// first judges a frame's first two bytes.
func (d *Decoder) first() error {
	d.fin, d.kind = d.head[0]&finBit != 0, Kind(d.head[0]&0xf)
	size := d.head[1] &^ maskBit
	switch {
	case d.head[0]&0x70 != 0:
		return violated("reserved bits are set")
	case d.head[1]&maskBit == 0:
		return violated("a client's frames must be masked")
	}
	switch d.kind {
	case Text, Binary:
		if d.message != 0 {
			return violated("a message begins within another")
		}
	case Continuation:
		if d.message == 0 {
			return violated("a continuation of nothing")
		}
	case Close, Ping, Pong:
		switch {
		case !d.fin:
			return violated("a control frame in parts")
		case size > maxControl:
			return violated("a control frame is too long")
		}
	default:
		return violated("unknown opcode")
	}
	return nil
}

// begin takes the length and the mask of a whole header.
func (d *Decoder) begin() error {
	var size uint64
	switch size = uint64(d.head[1] &^ maskBit); size {
	case 126:
		if size = uint64(binary.BigEndian.Uint16(d.head[2:])); size < 126 {
			return violated("a length in more bytes than it takes")
		}
	case 127:
		size = binary.BigEndian.Uint64(d.head[2:])
		switch {
		case size <= 0xffff:
			return violated("a length in more bytes than it takes")
		case size>>63 != 0:
			return violated("a length that is negative")
		}
	}
	if !d.kind.control() {
		if size > uint64(d.limit-len(d.payload)) {
			return &Violation{Code: CloseTooLarge, Reason: "the message is too large"}
		}
		if d.kind != Continuation {
			d.message = d.kind
		}
	}
	copy(d.mask[:], d.head[d.have-4:d.have])
	d.left, d.phase, d.have, d.within = int(size), 0, 0, true
	return nil
}

// body takes bytes of the payload. A frame that has come whole gets a buffer of
// its size; of another only what has come takes memory, whatever it announces.
func (d *Decoder) body(p []byte) (rest []byte) {
	part := p[:min(d.left, len(p))]
	into := &d.payload
	if d.kind.control() {
		into = &d.control
	}
	if *into == nil && len(part) > 0 {
		*into = make([]byte, 0, len(part))
	}
	begin := len(*into)
	*into = append(*into, part...)
	d.unmask((*into)[begin:])
	d.left -= len(part)
	return p[len(part):]
}

func (d *Decoder) unmask(b []byte) {
	var key [4]byte
	for i := range key {
		key[i] = d.mask[(int(d.phase)+i)&3]
	}
	d.phase = uint8(int(d.phase)+len(b)) & 3
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// ended takes the end of a frame.
func (d *Decoder) ended() (m Message, err error) {
	switch {
	case d.kind.control():
		m = Message{Kind: d.kind, Payload: d.control}
		d.control = nil
		if m.Kind == Close {
			err = judgeClose(m)
		}
	case d.fin:
		m = Message{Kind: d.message, Payload: d.payload}
		d.message, d.payload = 0, nil
		if m.Kind == Text && !utf8.Valid(m.Payload) {
			err = &Violation{Code: CloseInvalidUTF8, Reason: "text must be UTF-8"}
		}
	}
	if err != nil {
		m = Message{}
	}
	return m, err
}

func judgeClose(m Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	code := m.CloseCode()
	switch {
	case len(m.Payload) == 1:
		return violated("half a close code")
	case code < 1000 || code > 4999 || code > 1014 && code < 3000 || code >= 1004 && code <= 1006:
		return violated("a close code nobody may send")
	case !utf8.Valid(m.Payload[2:]):
		return &Violation{Code: CloseInvalidUTF8, Reason: "the reason must be UTF-8"}
	}
	return nil
}
