package wire

import (
	"bytes"
	"encoding/json"
)

// member is one key of a JSON object with the bytes of its value.
type member struct {
	key   string
	value []byte
}

// members splits an object into its members. The bytes must be valid JSON; ok
// is false if they are no object. The values are parts of b.
func members(b []byte) (all []member, ok bool) {
	i := space(b, 0)
	if i == len(b) || b[i] != '{' {
		return nil, false
	}
	i = space(b, i+1)
	for b[i] != '}' {
		end := stringEnd(b, i)
		key := unquote(b[i:end])
		i = space(b, space(b, end)+1) // past the colon
		end = valueEnd(b, i)
		all = append(all, member{key: key, value: b[i:end]})
		i = space(b, end)
		if b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return all, true
}

// elements splits an array of valid JSON like [members].
func elements(b []byte) (all [][]byte, ok bool) {
	i := space(b, 0)
	if i == len(b) || b[i] != '[' {
		return nil, false
	}
	i = space(b, i+1)
	for b[i] != ']' {
		end := valueEnd(b, i)
		all = append(all, b[i:end])
		i = space(b, end)
		if b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return all, true
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index behind the string that starts at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the index behind the value that starts at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

// unquote decodes a valid JSON string; lone surrogates become U+FFFD.
func unquote(b []byte) string {
	if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(b, &s) // valid by the caller's word
	return s
}
