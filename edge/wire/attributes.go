package wire

import (
	"crypto/sha256"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// MaxAskedKeys is how many keys one attrs names.
const MaxAskedKeys = 1000

// HashCode is what an invitation's code is known by in the log.
func HashCode(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

func validKey(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '-', c == '.', c == ':', c == '+', c == '=':
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= streams.MaxAttributeKey
}

func (f *fields) attributeKey(s string) {
	if !validKey(s) {
		f.bad("an attribute's key must be 1 to %d of A-Z a-z 0-9 _ - . : + =", streams.MaxAttributeKey)
	}
}

// attributeChannel is whose attributes are meant: the group's own without one.
func (f *fields) attributeChannel(c *Command) {
	c.Group, c.Channel = f.group(), streams.GroupChannel
	if f.raw("channel") != nil {
		c.Channel = f.channel()
	}
}

func parseAttrSet(f *fields, c *Command) {
	f.attributeChannel(c)
	set := &streampb.SetAttributes{Channel: string(c.Channel), Del: f.texts("del", streams.MaxSetKeys)}
	set.AutoDelete, _ = f.flag("auto_delete")
	set.Protect, _ = f.flag("protect")
	set.Set = map[string]string{}
	for _, m := range f.keyed("set") {
		if m.value[0] != '"' {
			f.bad("the value of an attribute must be a string")
			continue
		}
		value := unquote(m.value)
		if len(value) > streams.MaxAttribute {
			f.refuse(streams.Reject(streams.TooLarge, "the value of an attribute may have %d bytes", streams.MaxAttribute))
		}
		set.Set[m.key] = value
	}
	seen := map[string]bool{}
	for _, key := range set.GetDel() {
		f.attributeKey(key)
		if _, both := set.GetSet()[key]; both || seen[key] {
			f.bad("a key stands twice among what is set and deleted")
		}
		seen[key] = true
	}
	for _, m := range f.keyed("if_v") {
		v, ok := parseNumber(m.value)
		if !ok {
			f.bad("the versions of if_v must be integers from 0, below 2^53")
			continue
		}
		if set.IfV == nil {
			set.IfV = map[string]uint64{}
		}
		set.IfV[m.key] = v
	}
	switch keys := len(set.GetSet()) + len(set.GetDel()); {
	case keys == 0:
		f.bad("set and del name no key")
	case keys > streams.MaxSetKeys:
		f.bad("set and del may name %d keys together", streams.MaxSetKeys)
	}
	c.Write = &streampb.Command{Body: &streampb.Command_AttrSet{AttrSet: set}}
}

// keyed reads an object whose keys are those of attributes.
func (f *fields) keyed(name string) []member {
	v := f.raw(name)
	if v == nil {
		return nil
	}
	all, ok := members(v)
	if !ok {
		f.bad("%s must be an object", name)
		return nil
	}
	if len(all) > streams.MaxSetKeys {
		f.bad("%s may have %d keys", name, streams.MaxSetKeys)
		return nil
	}
	for _, m := range all {
		f.attributeKey(m.key)
	}
	return all
}

func parseAttrs(f *fields, c *Command) {
	f.attributeChannel(c)
	c.Read.After = f.number("after")
	if f.raw("keys") == nil {
		return
	}
	c.Read.Keys = append([]string{}, f.texts("keys", MaxAskedKeys)...)
	for _, key := range c.Read.Keys {
		f.attributeKey(key)
	}
}

// AppendAttribute appends a member of an answer's attrs: the key and how it
// stands.
func appendAttribute(w *writer, a *streampb.Attribute) {
	w.keyText(a.GetKey())
	o := object(w.b)
	if a.GetV() != 0 {
		o.text("value", a.GetValue())
	}
	o.number("v", a.GetV())
	o.some("user", a.GetUser())
	if a.GetTs() != 0 {
		o.signed("ts", a.GetTs())
	}
	if a.GetAutoDelete() {
		o.flag("auto_delete", true)
	}
	if a.GetProtected() {
		o.flag("protected", true)
	}
	w.b = o.end()
}

// AppendAttributes appends the map of an answer's attrs, in the order given.
func AppendAttributes(b []byte, attributes []*streampb.Attribute) []byte {
	w := object(b)
	for _, a := range attributes {
		appendAttribute(&w, a)
	}
	return w.end()
}

// AppendAttrs appends the ok object of attrs with all of them, as they are at
// v; attributes are from [AppendAttributes].
func AppendAttrs(b []byte, v streams.Version, attributes []byte) []byte {
	w := object(b)
	w.number("v", uint64(v))
	w.flag("full", true)
	w.raw("attrs", attributes)
	return w.end()
}

// AppendChanges appends the ok object of attrs with what the events changed:
// those of attributes, oldest first, up to v.
func AppendChanges(b []byte, v streams.Version, events []*streams.Event) []byte {
	w := object(b)
	w.number("v", uint64(v))
	w.flag("full", false)
	changes := make([][]byte, 0, len(events))
	for _, e := range events {
		o := object(nil)
		switch p := e.Payload.(type) {
		case streams.AttributeSet:
			o.text("op", "set")
			o.text("key", p.GetKey())
			o.text("value", p.GetValue())
		case streams.AttributeDeleted:
			o.text("op", "del")
			o.text("key", p.GetKey())
		}
		o.number("v", uint64(e.V))
		o.text("user", string(e.User))
		o.signed("ts", e.TS)
		changes = append(changes, o.end())
	}
	w.array("changes", changes)
	return w.end()
}
