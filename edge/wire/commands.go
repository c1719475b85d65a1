package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// parsers reads each command's own fields.
var parsers = map[Name]func(*fields, *Command){
	Connect:       parseConnect,
	Ping:          func(*fields, *Command) {},
	Subscribe:     parseSubscribe,
	Unsubscribe:   func(f *fields, c *Command) { c.Group, c.Channel = f.group(), f.channel() },
	Pull:          parsePull,
	History:       parseHistory,
	Group:         func(f *fields, c *Command) { c.Group = f.group() },
	Members:       parseMembers,
	CreateGroup:   parseCreateGroup,
	UpdateGroup:   parseUpdateGroup,
	CreateChannel: parseCreateChannel,
	Join:          parseJoin,
	Leave:         parseLeave,
	Send:          parseSend,
	Edit:          parseEdit,
	Recall:        parseRecall,
}

func parseConnect(f *fields, c *Command) {
	c.Token, _ = f.text("token")
	if s, given := f.text("device"); given {
		device, err := streams.ParseDevice(s)
		f.refuse(err)
		c.Device = device
	}
}

func parseSubscribe(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	if mode := f.oneOf("mode", "push", "hint"); mode != nil && *mode == "hint" {
		c.Read.Hint = true
	}
	c.Read.After, c.Read.Tail = f.number("after"), f.number("tail")
	c.Read.Log, _ = f.text("log")
}

func parsePull(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.Read.After, c.Read.Upto, c.Read.Limit = f.number("after"), f.number("upto"), f.number("limit")
	if !c.Read.After.Given {
		f.bad("after is missing")
	}
	if c.Read.Upto.Given && c.Read.Upto.Value < c.Read.After.Value {
		f.bad("upto lies before after")
	}
}

func parseHistory(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.Read.Before, c.Read.After, c.Read.Limit = f.number("before"), f.number("after"), f.number("limit")
	if c.Read.Before.Given && c.Read.After.Given {
		f.bad("history goes before or after, not both")
	}
}

func parseMembers(f *fields, c *Command) {
	c.Group = f.group()
	c.Read.Limit = f.number("limit")
	c.Read.Role, _ = f.role("role")
	if s, given := f.text("after"); given {
		user, err := streams.ParseUser(s)
		f.refuse(err)
		c.Read.Behind = user
	}
	if online, _ := f.flag("online"); online {
		f.bad("online is not available in this version")
	}
}

// made reads the name of what a command makes; without one the edge makes the
// name up.
func made(f *fields, name string) string {
	s, given := f.text(name)
	if !given {
		return ""
	}
	if _, err := streams.ParseGroup(s); err != nil || s[0] == '@' {
		f.bad("%s must be 1 to %d of A-Z a-z 0-9 _ -", name, streams.MaxName)
	}
	return s
}

func (f *fields) title() string {
	s, given := f.words("name", streams.MaxDisplayName)
	if !given {
		f.bad("name is missing")
	}
	return s
}

func parseCreateGroup(f *fields, c *Command) {
	c.Group = streams.Group(made(f, "group"))
	kind := f.oneOf("kind", "community", "room", "direct")
	switch {
	case kind == nil:
		f.bad("kind must be community or room")
	case *kind == "direct":
		f.bad("direct groups are not available in this version")
	default:
		c.Write = &streampb.Command{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{
			Kind: *kind, Name: f.title(), Settings: f.settings(),
		}}}
	}
}

func parseUpdateGroup(f *fields, c *Command) {
	c.Group = f.group()
	update := &streampb.UpdateGroup{Settings: f.settings()}
	if name, given := f.words("name", streams.MaxDisplayName); given {
		update.Name = proto.String(name)
	}
	c.Write = &streampb.Command{Body: &streampb.Command_UpdateGroup{UpdateGroup: update}}
}

func parseCreateChannel(f *fields, c *Command) {
	c.Group = f.group()
	c.Channel = streams.Channel(made(f, "channel"))
	kind := f.oneOf("kind", "public", "private", "thread")
	switch {
	case kind == nil:
		f.bad("kind must be public")
	case *kind != "public":
		f.bad("channels of this kind are not available in this version")
	default:
		c.Write = &streampb.Command{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{
			Channel: string(c.Channel), Kind: *kind, Name: f.title(),
		}}}
	}
}

func parseJoin(f *fields, c *Command) {
	c.Group = f.group()
	reason, _ := f.words("reason", streams.MaxReason)
	c.Write = &streampb.Command{Body: &streampb.Command_Join{Join: &streampb.Join{Reason: reason}}}
}

func parseLeave(f *fields, c *Command) {
	c.Group = f.group()
	reason, _ := f.words("reason", streams.MaxReason)
	c.Write = &streampb.Command{Body: &streampb.Command_Leave{Leave: &streampb.Leave{Reason: reason}}}
}

const textType = "text"

func validType(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= streams.MaxType
}

func parseSend(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	send := &streampb.Send{Channel: string(c.Channel), Type: textType}
	if s, given := f.text("type"); given {
		send.Type = s
		if !validType(s) {
			f.bad("type must be 1 to %d of a-z A-Z 0-9 _ - .", streams.MaxType)
		}
	}
	send.Body, send.BodyJson = f.body(send.Type != textType)
	send.Mentions = f.texts("mentions", streams.MaxMentions)
	for _, s := range send.Mentions {
		_, err := streams.ParseUser(s)
		f.refuse(err)
	}
	send.MentionAll, _ = f.flag("mention_all")
	send.MentionRoles = f.texts("mention_roles", streams.MaxMentions)
	for _, s := range send.MentionRoles {
		if _, ok := streams.ParseRole(s); !ok {
			f.bad("mention_roles must be of owner, admin, moderator and member")
		}
	}
	send.ReplyTo = f.number("reply_to").Value
	send.TtlMs = int64(f.number("ttl_ms").Value)
	switch s, given := f.text("priority"); {
	case !given || s == "normal":
	case s == "high":
		send.Priority = streampb.Priority_PRIORITY_HIGH
	case s == "low":
		send.Priority = streampb.Priority_PRIORITY_LOW
	default:
		f.bad("priority must be high, normal or low")
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Send{Send: send}}
}

func parseEdit(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	edit := &streampb.Edit{Channel: string(c.Channel), N: f.required("n")}
	edit.Body, edit.BodyJson = f.body(true)
	c.Write = &streampb.Command{Body: &streampb.Command_Edit{Edit: edit}}
}

func parseRecall(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.Write = &streampb.Command{Body: &streampb.Command_Recall{Recall: &streampb.Recall{
		Channel: string(c.Channel), N: f.required("n"),
	}}}
}
