package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

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

func (f *fields) reason() string {
	s, _ := f.words("reason", streams.MaxReason)
	return s
}

// peer reads the other user of a direct group, "" where none is named.
func (f *fields) peer(c *Command) string {
	s, given := f.text("user")
	if !given {
		return ""
	}
	user, err := streams.ParseUser(s)
	f.refuse(err)
	if err == nil && s[0] == '@' {
		f.bad("there is no direct group with the server")
	}
	c.Peer = user
	return s
}

func parseCreateGroup(f *fields, c *Command) {
	kind := f.oneOf("kind", "community", "room", "direct")
	if kind == nil {
		f.bad("kind must be community, room or direct")
		return
	}
	create := &streampb.CreateGroup{Kind: *kind}
	c.Write = &streampb.Command{Body: &streampb.Command_CreateGroup{CreateGroup: create}}
	if *kind == "direct" { // its name follows from the two users
		if create.Peer = f.peer(c); create.Peer == "" {
			f.bad("a direct group takes the other user")
		}
		return
	}
	c.Group = streams.Group(made(f, "group"))
	create.Name, create.Settings = f.title(), f.settings()
}

func parseUpdateGroup(f *fields, c *Command) {
	c.Group = f.group()
	update := &streampb.UpdateGroup{Settings: f.settings()}
	if name, given := f.words("name", streams.MaxDisplayName); given {
		update.Name = proto.String(name)
	}
	c.Write = &streampb.Command{Body: &streampb.Command_UpdateGroup{UpdateGroup: update}}
}

func parseDeleteGroup(f *fields, c *Command) {
	c.Group = f.group()
	c.Write = &streampb.Command{Body: &streampb.Command_DeleteGroup{DeleteGroup: &streampb.DeleteGroup{Reason: f.reason()}}}
}

// parseBlock and its undoing name the other user of a direct group.
func parseBlock(f *fields, c *Command)   { f.block(c, false) }
func parseUnblock(f *fields, c *Command) { f.block(c, true) }

func (f *fields) block(c *Command, undo bool) {
	peer := f.peer(c)
	if peer == "" {
		f.bad("user is missing")
	}
	c.Write = &streampb.Command{Body: &streampb.Command_Block{Block: &streampb.Block{Peer: peer, Undo: undo}}}
}
