package wire

import (
	"bytes"
	"unicode"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

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
	send := &streampb.Send{Type: textType}
	if f.raw("group") == nil && f.raw("user") != nil {
		send.Peer = f.peer(c)
	} else {
		c.Group, c.Channel = f.group(), f.channel()
		send.Channel = string(c.Channel)
	}
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

// target reads what a command on a message names.
func (f *fields) target(c *Command) (channel string, n uint64) {
	c.Group, c.Channel = f.group(), f.channel()
	return string(c.Channel), f.required("n")
}

func (f *fields) emoji() string {
	s, _ := f.text("emoji")
	if s == "" || len(s) > streams.MaxEmoji {
		f.bad("emoji must have 1 to %d bytes", streams.MaxEmoji)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			f.bad("emoji must not hold white space or control characters")
		}
	}
	return s
}

func parseReact(f *fields, c *Command) {
	channel, n := f.target(c)
	c.Write = &streampb.Command{Body: &streampb.Command_React{React: &streampb.React{Channel: channel, N: n, Emoji: f.emoji()}}}
}

func parseUnreact(f *fields, c *Command) {
	channel, n := f.target(c)
	c.Write = &streampb.Command{Body: &streampb.Command_Unreact{Unreact: &streampb.Unreact{Channel: channel, N: n, Emoji: f.emoji()}}}
}

func parsePin(f *fields, c *Command) {
	channel, n := f.target(c)
	c.Write = &streampb.Command{Body: &streampb.Command_Pin{Pin: &streampb.Pin{Channel: channel, N: n}}}
}

func parseUnpin(f *fields, c *Command) {
	channel, n := f.target(c)
	c.Write = &streampb.Command{Body: &streampb.Command_Unpin{Unpin: &streampb.Unpin{Channel: channel, N: n}}}
}

// Hint is what a signal says: nobody stores it.
type Hint struct {
	Type string
	Data []byte // JSON, at most [MaxSignal]; "null" for nothing
}

// MaxSignal bounds the data of a signal, in bytes.
const MaxSignal = 4096

func parseSignal(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.Signal = &Hint{Data: []byte("null")}
	c.Signal.Type, _ = f.text("type")
	if !validType(c.Signal.Type) {
		f.bad("type must be 1 to %d of a-z A-Z 0-9 _ - .", streams.MaxType)
	}
	if data := f.raw("data"); data != nil {
		c.Signal.Data = bytes.Clone(data)
	}
	if len(c.Signal.Data) > MaxSignal {
		f.refuse(streams.Reject(streams.TooLarge, "the data of a signal may have %d bytes", MaxSignal))
	}
}
