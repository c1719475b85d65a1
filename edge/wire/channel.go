package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func parseCreateChannel(f *fields, c *Command) {
	c.Group = f.group()
	c.Channel = streams.Channel(made(f, "channel"))
	kind := f.oneOf("kind", "public", "private", "thread")
	if kind == nil {
		f.bad("kind must be public, private or thread")
		return
	}
	create := &streampb.CreateChannel{
		Channel: string(c.Channel), Kind: *kind, Parent: f.parent(), Settings: f.channelSettings(),
		Members: f.users("members", streams.MaxAddressed),
	}
	if *kind == "thread" { // often named by nothing but its message
		create.Name, _ = f.words("name", streams.MaxDisplayName)
	} else {
		create.Name = f.title()
	}
	switch {
	case *kind == "thread" && create.GetParent() == nil:
		f.bad("a thread takes a parent")
	case *kind != "thread" && create.GetParent() != nil:
		f.bad("only a thread has a parent")
	case *kind != "private" && len(create.GetMembers()) > 0:
		f.bad("only a private channel names its members")
	}
	c.Write = &streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: create}}
}

// parent is where a thread hangs: {"channel","n"}, or the name of a channel
// alone for a thread that hangs from no message.
func (f *fields) parent() *streampb.Parent {
	v := f.raw("parent")
	switch {
	case v == nil:
		return nil
	case v[0] == '"':
		c, err := streams.ParseChannel(unquote(v))
		f.refuse(err)
		return &streampb.Parent{Channel: string(c)}
	}
	all, ok := members(v)
	if !ok {
		f.bad("parent must be a channel, or an object of channel and n")
		return nil
	}
	inner := fields{all: all}
	parent := &streampb.Parent{Channel: string(inner.channel()), N: inner.number("n").Value}
	f.refuse(inner.err)
	return parent
}

func parseUpdateChannel(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	update := &streampb.UpdateChannel{
		Channel: string(c.Channel), Settings: f.channelSettings(),
		Add: f.users("add", streams.MaxAddressed), Remove: f.users("remove", streams.MaxAddressed),
	}
	if name, given := f.words("name", streams.MaxDisplayName); given {
		update.Name = proto.String(name)
	}
	for _, added := range update.GetAdd() {
		for _, removed := range update.GetRemove() {
			if added == removed {
				f.bad("add and remove name the same user")
			}
		}
	}
	c.Write = &streampb.Command{Body: &streampb.Command_UpdateChannel{UpdateChannel: update}}
}

func parseDeleteChannel(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.Write = &streampb.Command{Body: &streampb.Command_DeleteChannel{DeleteChannel: &streampb.DeleteChannel{
		Channel: string(c.Channel), Reason: f.reason(),
	}}}
}

// channelSettings reads a channel's settings, which stand under settings or
// beside the other fields; where both name one, settings counts. nil if there
// are none.
func (f *fields) channelSettings() *streampb.ChannelSettingsPatch {
	patch, found := &streampb.ChannelSettingsPatch{}, false
	for _, m := range f.all {
		if _, known := f.channelSetting(patch, m.key); known {
			found = true
		}
	}
	if v := f.raw("settings"); v != nil {
		all, ok := members(v)
		if !ok {
			f.bad("settings must be an object")
			return nil
		}
		inner := fields{all: all}
		for _, m := range all {
			if _, known := inner.channelSetting(patch, m.key); !known {
				f.bad("settings has a key that is no setting of a channel")
			}
			found = true
		}
		f.refuse(inner.err)
	}
	if !found {
		return nil
	}
	return patch
}

// channelSetting reads one setting into the patch; known is false for a key
// that is none.
func (f *fields) channelSetting(patch *streampb.ChannelSettingsPatch, key string) (given, known bool) {
	given = f.raw(key) != nil
	switch key {
	case "write":
		if role, ok := f.role(key); ok {
			patch.Write = role.Enum()
		}
	case "write_groups":
		if given {
			patch.WriteGroups = &streampb.StringList{Values: f.names(key, streams.MaxUserGroups)}
		}
	case "read_groups":
		if given {
			patch.ReadGroups = &streampb.StringList{Values: f.names(key, streams.MaxUserGroups)}
		}
	case "slow_mode_ms":
		if given {
			patch.SlowModeMs = f.signed(key)
		}
	case "position":
		if given {
			patch.Position = f.signed(key)
		}
	case "category":
		if s, ok := f.words(key, streams.MaxDisplayName); ok {
			patch.Category = proto.String(s)
		}
	default:
		return given, false
	}
	return given, true
}

func appendChannelSettings(b []byte, s *streampb.ChannelSettings) []byte {
	o := object(b)
	write := s.GetWrite()
	if write == streampb.Role_ROLE_NONE {
		write = streampb.Role_ROLE_MEMBER
	}
	o.text("write", streams.RoleName(write))
	o.list("write_groups", s.GetWriteGroups())
	o.list("read_groups", s.GetReadGroups())
	o.signed("slow_mode_ms", s.GetSlowModeMs())
	o.signed("position", s.GetPosition())
	o.text("category", s.GetCategory())
	return o.end()
}

// parent is where a thread hangs, left out for what is none.
func (w *writer) parent(p *streampb.Parent) {
	if p == nil {
		return
	}
	w.key("parent")
	o := object(w.b)
	o.text("channel", p.GetChannel())
	if p.GetN() != 0 {
		o.number("n", p.GetN())
	}
	w.b = o.end()
}
