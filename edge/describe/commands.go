package describe

import (
	"slices"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// command is one command as its sender sees it.
type command struct {
	name   wire.Name
	about  string
	fields []field
	rules  []*schema // on its fields together
	answer *schema
	writes bool // it may carry a client_id
	socket bool // it takes a WebSocket
}

// commands is all of them, in the order of the contract.
func commands() []command {
	return slices.Concat(reading(), grouping(), organizing(), writing())
}

// common is the fields it has beside its own.
func (c *command) common() (fields []field) {
	if c.name == wire.Connect {
		return nil // it is for whoever the token names
	}
	if c.writes {
		fields = append(fields, may("client_id", clientID(
			"a UUIDv7 the sender makes, at most a minute ahead: repeated, the command is answered with its first result and changes nothing")))
	}
	return append(fields,
		may("as", identifier("whom a back end speaks for; takes a server token")),
		may("ts", millis("the past time an import gives what it writes; takes a server token")),
	)
}

// request is the object of a command.
func (c *command) request() *schema {
	s := open(c.about, append(slices.Clone(c.fields), c.common()...)...)
	s.AllOf = c.rules
	return s
}

// nothing is the answer of commands that only are done.
func nothing() *schema { return closed("done") }

// written is the answer of a command that makes an event.
func written(fields ...field) *schema {
	fields = append(fields, version(), may("duplicate", set("the client_id was answered before: this is that answer")))
	return closed("", fields...)
}

// changed is the answer of a command that may find nothing to change.
func changed(fields ...field) *schema {
	s := written(fields...)
	s.Properties = append(s.Properties, may("already", set("it was so before")))
	return s
}

func reading() []command {
	page := may("limit", count("how many at most; what is more than the server gives is cut to that"))
	after := may("after", count("events with a higher v"))
	found := must("events", &schema{Type: "array", Items: ref("event"), About: "oldest first"})
	more := must("more", flag("there is more"))
	attributes := byKey(streams.MaxAttributes, ref("attribute"), "by key")
	ofChannel := may("channel", identifier("whose attributes; the group's own without it"))

	limits := closed("what this server takes",
		must("max_message_bytes", count("bytes of a body")), must("max_frame_bytes", count("bytes of a WebSocket message or an HTTP body")),
		must("dedup_ms", duration("for how long a repeated client_id is recognised")),
		must("max_mentions", count("users or roles one message mentions")),
		must("pull_limit", count("events or messages of one answer")),
	)
	return []command{
		{name: wire.Connect, about: "The first command of a connection", socket: true,
			fields: []field{
				must("token", text("as Authorization: Bearer takes it")),
				may("device", identifier("a further connection of the same user and device replaces this one")),
			},
			answer: closed("",
				must("user", identifier("")), must("device", &schema{Type: "string", MaxLength: streams.MaxName, About: "empty for none"}),
				must("session", text("the connection, for support")), must("server_time", millis("")),
				must("heartbeat_ms", duration("between pings; silent for two is closed")), must("limits", limits),
				must("version", text("of the server")),
			)},
		{name: wire.Ping, about: "Asks for nothing but an answer", answer: nothing()},
		{name: wire.Subscribe, about: "Follows a channel: everything with a v above the answer's is delivered, in order, each once", socket: true,
			fields: []field{group(), channel(),
				may("mode", oneOf("push: the events; hint: only heads", "push", "hint")), after,
				may("log", text("the log one knows: with another one in the answer, start over")),
				may("tail", count("that many newest events, without after")),
			},
			answer: closed("",
				must("v", count("the newest event's version")), must("n", count("how many messages there were")),
				must("log", text("names this history of the channel; another one after it was lost or restored")), found,
				may("gap", closed("after < v <= upto was left out before them", must("after", count("")), must("upto", count("")))),
				may("attrs", byKey(streams.MaxAttributes, ref("attribute"), "channel @: the group's attributes")),
			)},
		{name: wire.Unsubscribe, about: "Follows a channel no longer", socket: true, fields: []field{group(), channel()}, answer: nothing()},
		{name: wire.Pull, about: "Events after < v <= upto, from wherever they are now",
			fields: []field{group(), channel(), must("after", count("events with a higher v")),
				may("upto", count("the last v, not below after; the head without it")), page},
			answer: closed("", found, must("through", count("complete up to this v")), more)},
		{name: wire.History, about: "Messages by number as they read now: newest first with before, oldest first with after",
			fields: []field{group(), channel(), may("before", count("messages with a lower n")), may("after", count("messages with a higher n")), page},
			rules:  []*schema{{Not: having("before", "after")}},
			answer: closed("", must("messages", &schema{Type: "array", Items: ref("message")}), more)},
		{name: wire.Attrs, about: "Attributes as they are, or what changed since after",
			fields: []field{group(), ofChannel, after, may("keys", list(wire.MaxAskedKeys, attributeKey(""), "only these"))},
			answer: &schema{OneOf: []*schema{
				closed("all of them", must("v", count("")), must("full", &schema{Const: true}), must("attrs", attributes)),
				closed("what changed", must("v", count("")), must("full", &schema{Const: false}),
					must("changes", &schema{Type: "array", Items: ref("change"), About: "oldest first"})),
			}}},
		{name: wire.Group, about: "A group: settings, channels, counts, the caller's role", fields: []field{group()},
			answer: closed("", group(), must("kind", oneOf("", groupKinds...)), must("name", text("for people")),
				must("role", oneOf("the caller's; empty for back ends", append([]string{""}, roles...)...)),
				must("settings", ref("settings")), must("channels", &schema{Type: "array", Items: ref("channel"), About: "all but @ and @members"}),
				must("members", count("")), may("roles", ref("roles")), must("online", count("members with a connection")),
				must("v", count("of @")), must("created", millis("")))},
		{name: wire.Members, about: "Members, a page at a time",
			fields: []field{group(), may("after", identifier("the user the last page ended with")), page,
				may("role", role("only those")), may("online", flag("only who has a connection"))},
			answer: closed("", must("members", &schema{Type: "array", Items: ref("member")}),
				may("after", identifier("for the next page; left out on the last")), must("count", count("members of the group")), may("roles", ref("roles")))},
		{name: wire.Presence, about: "How many members have a connection, at most 3 s old", fields: []field{group()},
			answer: closed("", must("online", count("")), must("members", count("")))},
	}
}
