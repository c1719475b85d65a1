package describe

import (
	"fmt"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// writing is the commands on messages and attributes.
func writing() []command {
	n := must("n", ordinal("the message"))
	on := func(fields ...field) []field { return append([]field{group(), channel(), n}, fields...) }
	direct := may("group", identifier("the direct group, where user named it"))
	plain := holding(may("type", &schema{Const: "text"}))
	keys := list(streams.MaxSetKeys, attributeKey(""), "keys that go; none of set, none twice")
	keys.UniqueItems = true
	value := words(streams.MaxAttribute, "")
	return []command{
		{name: wire.Send, about: "Sends a message; answered once it is stored", writes: true,
			fields: []field{
				may("group", identifier("the group, with channel")), may("channel", identifier("the channel")),
				may("user", peer("instead of both: the direct group with this user, which the first message makes")),
				may("type", messageType("text without it, or the application's own")),
				must("body", body(1, "what it says")),
				may("mentions", list(streams.MaxMentions, identifier(""), "users it mentions")),
				may("mention_all", flag("it mentions all members")),
				may("mention_roles", list(streams.MaxMentions, role(""), "roles it mentions")),
				may("reply_to", count("the n of the message it answers; 0 for none")),
				may("priority", oneOf("", "high", "normal", "low")),
				may("ttl_ms", duration("after which its body goes; 0 for never")),
			},
			rules: []*schema{
				{AnyOf: []*schema{having("group", "channel"), {Required: []string{"user"}, Not: having("group")}}},
				{If: plain, Then: holding(may("body", &schema{Type: "string"}))},
			},
			answer: changed(direct, must("n", ordinal("its number")), must("seq", ordinal("its place in the group's order")), must("ts", millis("when it was taken")))},
		{name: wire.Edit, about: "Gives a message another body", writes: true, fields: on(must("body", body(1, "what it says now"))), answer: changed()},
		{name: wire.Recall, about: "Takes a message back: its body is gone from every later answer", writes: true, fields: on(), answer: changed()},
		{name: wire.React, about: "Reacts to a message", writes: true, fields: on(must("emoji", emoji())), answer: changed()},
		{name: wire.Unreact, about: "Takes a reaction back", writes: true, fields: on(must("emoji", emoji())), answer: changed()},
		{name: wire.Pin, about: "Pins a message", writes: true, fields: on(), answer: changed()},
		{name: wire.Unpin, about: "Pins it no longer", writes: true, fields: on(), answer: changed()},
		{name: wire.Hide, about: "Hides a message from the caller, on all devices; a back end names the user with as", fields: on(), answer: nothing()},
		{name: wire.AttrSet, about: fmt.Sprintf("Sets and deletes attributes, all or nothing; set and del name 1 to %d keys together", streams.MaxSetKeys), writes: true,
			fields: []field{group(), may("channel", identifier("whose attributes; the group's own without it")),
				may("set", byKey(streams.MaxSetKeys, value, "values by key")), may("del", keys),
				may("if_v", byKey(streams.MaxSetKeys, count("0: it does not exist"), "only if each of these keys has this v")),
				may("auto_delete", flag("the keys go with the last connection of who sets them")),
				may("protect", flag("only who sets them or a moderator changes the keys")),
			},
			rules: []*schema{{AnyOf: []*schema{
				holding(must("set", &schema{MinProperties: 1})), holding(must("del", &schema{MinItems: 1})),
			}}},
			answer: changed()},
		{name: wire.Signal, about: "Tells who follows the channel now; nothing is stored, and it may be dropped under load",
			fields: []field{group(), channel(), must("type", messageType("typing, or the application's own")),
				may("data", &schema{About: fmt.Sprintf("any JSON of at most %d bytes; null without it", wire.MaxSignal)})},
			answer: nothing()},
	}
}
