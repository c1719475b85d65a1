package describe

import "github.com/throng/throng/streams"

// groupSettings is what can be set of a group. In answers all of it is there
// but hook, in commands only what changes.
func groupSettings(least func(string, *schema) field) []field {
	size := integer(1, "the longest message body, bytes")
	most := int64(streams.MaxBody)
	size.Maximum = &most
	return []field{
		least("join", oneOf("who may join: anybody, by invitation, or whom an admin lets in", "open", "invite", "approval")),
		least("mute_all", flag("members below moderator do not write")),
		least("history", oneOf("whether who joins reads what was before", "all", "since_join")),
		least("slow_mode_ms", duration("between two messages of one member; 0 for none")),
		least("max_message_bytes", size),
		least("mention_all", role("least role that may mention all")),
		least("attrs", role("least role that may set attributes")),
		least("room_idle_ms", duration("after which an empty room ends; 0 for never")),
		least("edit_window_ms", duration("for how long one's own message can be edited; 0 for ever")),
		least("threads", role("least role that may open a thread")),
	}
}

func settingsPatch() field {
	hook := may("hook", oneOf("what holds where the check before sending fails; empty for the deployment's rule", "", "open", "closed"))
	return may("settings", closed("what changes", append(groupSettings(may), hook)...))
}

// channelSettings is what can be set of a channel.
func channelSettings() []field {
	return []field{
		may("write", role("least role that writes messages")),
		may("write_groups", userGroups("user groups that write whatever their role")),
		may("read_groups", userGroups("user groups that are in it, if it is private")),
		may("slow_mode_ms", duration("between two messages of one member; 0 for the group's")),
		may("position", count("order in lists")),
		may("category", words(streams.MaxDisplayName, "a heading in lists")),
	}
}

// channelPatch is a channel's settings in a command: they stand beside its other
// fields or under settings, which counts where both name one.
func channelPatch() []field {
	return append(channelSettings(), may("settings", closed("the channel's settings, instead of beside the other fields", channelSettings()...)))
}

func parent(about string) *schema {
	return closed(about, channel(), may("n", ordinal("the message; missing for a thread that hangs from none")))
}

// saying is what a message says, on its event and in history.
func saying() []field {
	return []field{
		must("type", messageType("text, or the application's own")),
		must("body", body(0, "what it says")),
		may("mentions", list(streams.MaxMentions, identifier(""), "users it mentions")),
		may("mention_all", set("it mentions all members")),
		may("mention_roles", list(streams.MaxMentions, role(""), "roles it mentions")),
		may("reply_to", ordinal("the n of the message it answers")),
		may("priority", oneOf("left out for normal", "high", "low")),
		may("expires", millis("when its body goes")),
	}
}

// author is whose an event or message is.
func author() []field {
	return []field{
		must("user", identifier("who caused it")),
		may("client_id", clientID("what its sender named the command")),
	}
}

// components is what the commands' schemas point to.
func components() []named {
	settings := append(groupSettings(must), may("hook", oneOf("left out for the deployment's rule", "open", "closed")))
	all := []named{
		{"error", refusal()},
		{"settings", closed("the settings of a group", settings...)},
		{"channel_settings", channelSettingsNow()},
		{"channel", closed("a channel of a group",
			channel(),
			must("kind", oneOf("", channelKinds...)),
			must("name", text("for people")),
			must("v", count("the newest event's version, 0 for none")),
			must("n", count("how many messages there were")),
			may("parent", parent("where a thread hangs")),
			must("settings", ref("channel_settings")),
			may("pinned", list(streams.MaxPins, ordinal(""), "the n of its pinned messages")),
		)},
		{"member", closed("a user's place in a group",
			must("user", identifier("")),
			must("role", role("")),
			must("joined", millis("since when")),
			may("muted_until", millis("until then, 2^53-1 for good; left out for who is not muted")),
			must("online", flag("has a connection")),
			may("user_groups", userGroups("")),
		)},
		{"roles", closed("members by their role",
			must("owner", count("")), must("admin", count("")), must("moderator", count("")), must("member", count("")),
		)},
		{"attribute", closed("an attribute as it is now",
			may("value", words(streams.MaxAttribute, "left out where it does not exist")),
			must("v", count("the version that set it, 0 where it does not exist")),
			may("user", identifier("who set it")),
			may("ts", millis("when it was set")),
			may("auto_delete", set("it goes with its setter's last connection")),
			may("protected", set("only its setter or a moderator changes it")),
		)},
		{"change", changes()},
		{"message", message()},
	}
	return append(all, events()...)
}

func channelSettingsNow() *schema {
	fields := channelSettings()
	for i := range fields {
		// Lists of user groups are left out where they are empty.
		fields[i].required = fields[i].schema.Type != "array"
	}
	return closed("the settings of a channel", fields...)
}

func changes() *schema {
	by := func(op string, value ...field) *schema {
		fields := append([]field{must("op", &schema{Const: op}), must("key", attributeKey(""))}, value...)
		return closed("", append(fields, version(), must("user", identifier("")), must("ts", millis("")))...)
	}
	return &schema{About: "what one event did to an attribute", OneOf: []*schema{
		by("set", must("value", words(streams.MaxAttribute, ""))), by("del"),
	}}
}

// message is a message of a history page.
func message() *schema {
	n := must("n", ordinal("its number in the channel"))
	reaction := closed("", must("count", ordinal("users with it")), must("mine", flag("the caller is one of them")))
	fields := []field{
		n, must("v", ordinal("the version that posted it")), must("seq", ordinal("its place in the group's order")),
		must("ts", millis("when it was taken")),
	}
	fields = append(append(fields, author()...), saying()...)
	fields = append(fields,
		may("edited_ts", millis("of the last edit")),
		may("reactions", &schema{Type: "object", AdditionalProperties: reaction, MaxProperties: streams.MaxEmojis, About: "by emoji"}),
	)
	return &schema{About: "a message as it reads now", OneOf: []*schema{
		closed("", fields...),
		closed("a message that was recalled", n, must("recalled", set(""))),
		closed("a message whose time has passed", n, must("expired", set(""))),
	}}
}
