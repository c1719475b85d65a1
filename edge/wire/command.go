package wire

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// MaxFrame is the largest WebSocket message and HTTP or NATS body, in bytes: a
// body of the largest size fits even if every byte of it is escaped as \u00XX.
const MaxFrame = 128 << 10

// Name is the name of a command.
type Name string

// The commands of this version.
const (
	Connect       Name = "connect"
	Ping          Name = "ping"
	Subscribe     Name = "subscribe"
	Unsubscribe   Name = "unsubscribe"
	Pull          Name = "pull"
	History       Name = "history"
	Attrs         Name = "attrs"
	Group         Name = "group"
	Members       Name = "members"
	Presence      Name = "presence"
	CreateGroup   Name = "create_group"
	UpdateGroup   Name = "update_group"
	DeleteGroup   Name = "delete_group"
	CreateChannel Name = "create_channel"
	UpdateChannel Name = "update_channel"
	DeleteChannel Name = "delete_channel"
	Join          Name = "join"
	Leave         Name = "leave"
	Member        Name = "member"
	Rollback      Name = "rollback"
	Invite        Name = "invite"
	InviteRevoke  Name = "invite_revoke"
	Block         Name = "block"
	Unblock       Name = "unblock"
	Send          Name = "send"
	Edit          Name = "edit"
	Recall        Name = "recall"
	React         Name = "react"
	Unreact       Name = "unreact"
	Pin           Name = "pin"
	Unpin         Name = "unpin"
	AttrSet       Name = "attr_set"
	Hide          Name = "hide"
	Signal        Name = "signal"
)

// Names lists them in the order of the contract.
var Names = []Name{
	Connect, Ping, Subscribe, Unsubscribe, Pull, History, Attrs, Group, Members, Presence,
	CreateGroup, UpdateGroup, DeleteGroup, CreateChannel, UpdateChannel, DeleteChannel,
	Join, Leave, Member, Rollback, Invite, InviteRevoke, Block, Unblock,
	Send, Edit, Recall, React, Unreact, Pin, Unpin, Hide, AttrSet, Signal,
}

// Later lists the commands of the contract this version does not have.
var Later = []Name{"sync", "search", "read", "notify"}

// Command is one command, parsed and checked as far as that needs nothing but
// its own bytes.
type Command struct {
	Name    Name
	Group   streams.Group   // empty where create_group shall make one up
	Channel streams.Channel // likewise
	Token   string          // connect
	Device  streams.Device  // connect; empty for none
	N       streams.Number  // hide
	Read    Read            // subscribe, pull, history, members, attrs
	// Peer is the other user of a direct group: then the group is theirs and the
	// caller's, and no name of it was given.
	Peer streams.User
	// Code is the code a new invitation shall have, empty for one the edge makes
	// up, and Lasts how long it may be used, in ms, not given for ever.
	Code  string
	Lasts Option
	// Signal is set for signal.
	Signal *Hint
	// Write is set for the writing commands: all but user, server and the
	// names the edge makes up.
	Write *streampb.Command
	// Undo is set for rollback.
	Undo *Undoing
	// As is whom a back end speaks for, empty for nobody else.
	As streams.User
	// TS is the time an import gives, ms since 1970 UTC, 0 for now.
	TS int64
}

// Read is what a reading command asks for.
type Read struct {
	After  Option // a v, for history an n
	Upto   Option // a v
	Before Option // an n
	Tail   Option // events
	Limit  Option // events, messages or members
	Log    string
	Hint   bool // subscribe: mode hint
	Behind streams.User
	Role   streampb.Role
	Online bool     // members: only who has a connection
	Keys   []string // attrs: only these; nil for all
}

// ClientID is what the sender named the command, zero for nothing.
func (c *Command) ClientID() streams.ClientID {
	id, _ := streams.ClientIDFromBytes(c.Write.GetClientId()) // 16 bytes or none by parsing
	return id
}

// Parse reads the object of a command. Errors are [*streams.Rejection].
func Parse(name Name, object []byte) (Command, error) {
	if !utf8.Valid(object) || !json.Valid(object) {
		return Command{}, streams.Reject(streams.BadRequest, "this is not JSON in UTF-8")
	}
	return parse(name, object)
}

func parse(name Name, object []byte) (Command, error) {
	parser, ok := parsers[name]
	if !ok {
		for _, later := range Later {
			if name == later {
				return Command{Name: name}, streams.Reject(streams.BadRequest, "%s is not available in this version", name)
			}
		}
		return Command{}, streams.Reject(streams.BadRequest, "there is no such command")
	}
	c := Command{Name: name}
	all, ok := members(object)
	if !ok {
		return c, streams.Reject(streams.BadRequest, "a command must be an object")
	}
	f := &fields{all: all}
	parser(f, &c)
	if s, given := f.text("as"); given {
		user, err := streams.ParseUser(s)
		f.refuse(err)
		c.As = user
	}
	c.TS = int64(f.number("ts").Value)
	if c.Write != nil {
		f.complete(&c)
	}
	return c, f.err
}

// complete fills in what all writing commands have.
func (f *fields) complete(c *Command) {
	c.Write.Group = string(c.Group)
	c.Write.Ts = c.TS
	c.Write.ClientId = f.clientID().Bytes()
}

func (f *fields) clientID() streams.ClientID {
	s, given := f.text("client_id")
	if !given {
		return streams.ClientID{}
	}
	id, err := streams.ParseClientID(s)
	f.refuse(err)
	return id
}
