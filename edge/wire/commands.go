package wire

import "github.com/throng/throng/streams"

// parsers reads each command's own fields.
var parsers = map[Name]func(*fields, *Command){
	Connect:       parseConnect,
	Ping:          func(*fields, *Command) {},
	Subscribe:     parseSubscribe,
	Unsubscribe:   func(f *fields, c *Command) { c.Group, c.Channel = f.group(), f.channel() },
	Pull:          parsePull,
	History:       parseHistory,
	Attrs:         parseAttrs,
	Group:         func(f *fields, c *Command) { c.Group = f.group() },
	Members:       parseMembers,
	Presence:      func(f *fields, c *Command) { c.Group = f.group() },
	CreateGroup:   parseCreateGroup,
	UpdateGroup:   parseUpdateGroup,
	DeleteGroup:   parseDeleteGroup,
	CreateChannel: parseCreateChannel,
	UpdateChannel: parseUpdateChannel,
	DeleteChannel: parseDeleteChannel,
	Join:          parseJoin,
	Leave:         parseLeave,
	Member:        parseMember,
	Rollback:      parseRollback,
	Invite:        parseInvite,
	InviteRevoke:  parseInviteRevoke,
	Block:         parseBlock,
	Unblock:       parseUnblock,
	Send:          parseSend,
	Edit:          parseEdit,
	Recall:        parseRecall,
	React:         parseReact,
	Unreact:       parseUnreact,
	Pin:           parsePin,
	Unpin:         parseUnpin,
	Hide:          parseHide,
	AttrSet:       parseAttrSet,
	Signal:        parseSignal,
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
	c.Read.Online, _ = f.flag("online")
}

func parseHide(f *fields, c *Command) {
	c.Group, c.Channel = f.group(), f.channel()
	c.N = streams.Number(f.required("n"))
}
