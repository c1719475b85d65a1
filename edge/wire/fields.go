package wire

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/throng/throng/streams"
)

// Option is a number a client may leave out.
type Option struct {
	Value uint64
	Given bool
}

// Or returns the number, or other where none was given.
func (o Option) Or(other uint64) uint64 {
	if o.Given {
		return o.Value
	}
	return other
}

// fields reads the members of a command's object. The first refusal stays in
// err and the rest reads as absent.
type fields struct {
	all []member
	err error
}

func (f *fields) refuse(err error) {
	if f.err == nil && err != nil {
		f.err = err
	}
}

func (f *fields) bad(format string, args ...any) {
	f.refuse(streams.Reject(streams.BadRequest, format, args...))
}

// raw returns the value's bytes, nil for null and where there is none.
func (f *fields) raw(name string) []byte {
	for i := len(f.all) - 1; i >= 0; i-- {
		if f.all[i].key == name {
			if v := f.all[i].value; string(v) != "null" {
				return v
			}
			return nil
		}
	}
	return nil
}

func (f *fields) text(name string) (s string, given bool) {
	v := f.raw(name)
	switch {
	case v == nil:
		return "", false
	case v[0] != '"':
		f.bad("%s must be a string", name)
		return "", false
	}
	return unquote(v), true
}

// words is text of at most limit bytes.
func (f *fields) words(name string, limit int) (s string, given bool) {
	s, given = f.text(name)
	if len(s) > limit {
		f.refuse(streams.Reject(streams.TooLarge, "%s may have %d bytes", name, limit))
	}
	return s, given
}

func (f *fields) number(name string) Option {
	v := f.raw(name)
	if v == nil {
		return Option{}
	}
	n, ok := parseNumber(v)
	if !ok {
		f.bad("%s must be an integer from 0, below 2^53", name)
	}
	return Option{Value: n, Given: ok}
}

// required is a number above 0 that must be there.
func (f *fields) required(name string) uint64 {
	n := f.number(name)
	if n.Value == 0 {
		f.bad("%s must be an integer above 0", name)
	}
	return n.Value
}

func parseNumber(v []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(v), 10, 64)
	return n, err == nil && n <= streams.MaxInteger
}

func (f *fields) flag(name string) (on, given bool) {
	switch v := f.raw(name); string(v) {
	case "":
		return false, false
	case "true":
		return true, true
	case "false":
		return false, true
	}
	f.bad("%s must be true or false", name)
	return false, false
}

// texts is a list of strings.
func (f *fields) texts(name string, limit int) []string {
	v := f.raw(name)
	if v == nil {
		return nil
	}
	items, ok := elements(v)
	if !ok {
		f.bad("%s must be a list of strings", name)
		return nil
	}
	if len(items) > limit {
		f.bad("%s may have %d entries", name, limit)
		return nil
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		if item[0] != '"' {
			f.bad("%s must be a list of strings", name)
			return nil
		}
		list = append(list, unquote(item))
	}
	return list
}

// users is a list of users, each once.
func (f *fields) users(name string, limit int) []string {
	list := f.texts(name, limit)
	for _, s := range list {
		if _, err := streams.ParseUser(s); err != nil {
			f.bad("%s must be a list of users", name)
		}
	}
	return unique(list)
}

// names is a list of names like those of users, each once.
func (f *fields) names(name string, limit int) []string {
	list := f.texts(name, limit)
	for _, s := range list {
		if _, err := streams.ParseUser(s); err != nil {
			f.bad("%s must be a list of names of 1 to %d of A-Z a-z 0-9 _ -", name, streams.MaxName)
		}
	}
	return unique(list)
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func (f *fields) group() streams.Group {
	s, _ := f.text("group")
	g, err := streams.ParseGroup(s)
	f.refuse(err)
	return g
}

func (f *fields) channel() streams.Channel {
	s, _ := f.text("channel")
	c, err := streams.ParseChannel(s)
	f.refuse(err)
	return c
}

// body reads a message's body: text, or where object allows it a JSON object,
// kept byte for byte.
func (f *fields) body(object bool) (body []byte, isJSON bool) {
	v := f.raw("body")
	switch {
	case v == nil:
		f.bad("body is missing")
	case v[0] == '"':
		body = []byte(unquote(v))
	case v[0] == '{' && object:
		body, isJSON = bytes.Clone(v), true
	case v[0] == '{':
		f.bad("a body of type text must be a string")
	default:
		f.bad("body must be a string, or an object for a type of your own")
	}
	if f.err == nil && len(body) == 0 {
		f.bad("body is empty")
	}
	if len(body) > streams.MaxBody {
		f.refuse(streams.Reject(streams.TooLarge, "a body may have %d bytes", streams.MaxBody))
	}
	return body, isJSON
}
