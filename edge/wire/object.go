package wire

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// writer appends one JSON object, member by member, without reflection.
type writer struct {
	b     []byte
	begun bool // a member is there
}

func object(b []byte) writer { return writer{b: append(b, '{')} }

func (w *writer) end() []byte { return append(w.b, '}') }

// key begins a member; names are ours and need no escaping.
func (w *writer) key(name string) {
	if w.begun {
		w.b = append(w.b, ',')
	}
	w.begun = true
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// keyText begins a member whose name came from outside.
func (w *writer) keyText(name string) {
	if w.begun {
		w.b = append(w.b, ',')
	}
	w.begun = true
	w.b = append(appendString(w.b, name), ':')
}

func (w *writer) text(name, s string) {
	w.key(name)
	w.b = appendString(w.b, s)
}

// some is text that is left out when empty.
func (w *writer) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) number(name string, n uint64) {
	w.key(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) signed(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) flag(name string, on bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, on)
}

// raw is a value that is JSON already.
func (w *writer) raw(name string, value []byte) {
	w.key(name)
	w.b = append(w.b, value...)
}

// list is strings, left out when there are none.
func (w *writer) list(name string, items []string) {
	if len(items) > 0 {
		w.strings(name, items)
	}
}

// strings is a list that is there even without an item.
func (w *writer) strings(name string, items []string) {
	w.key(name)
	w.b = append(w.b, '[')
	for i, s := range items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, s)
	}
	w.b = append(w.b, ']')
}

// array is values that are JSON already.
func (w *writer) array(name string, items [][]byte) {
	w.key(name)
	w.b = append(w.b, '[')
	for i, item := range items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, item...)
	}
	w.b = append(w.b, ']')
}

// body is a message's body as it is stored: text becomes a string; an object
// stands as it was sent, but for newlines, which are white space in it and
// would end the frame.
func (w *writer) body(body []byte, isJSON bool) {
	w.key("body")
	if !isJSON || len(body) == 0 {
		w.b = appendString(w.b, body)
		return
	}
	w.line(body)
}

// line appends JSON from outside without its newlines.
func (w *writer) line(value []byte) {
	start := len(w.b)
	w.b = append(w.b, value...)
	for rest := w.b[start:]; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return
		}
		rest[i] = ' '
		rest = rest[i+1:]
	}
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string: what JSON demands is escaped and
// nothing else, bytes that are not UTF-8 become U+FFFD.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size != 1 {
				i += size
				continue
			}
			b = append(b, s[start:i]...)
			b = append(b, `�`...)
			i++
			start = i
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
