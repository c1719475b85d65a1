package describe

import (
	"fmt"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

func displayName() *schema { return words(streams.MaxDisplayName, "for people") }

func peer(about string) *schema { return own(about) }

// kindIs is the case of a command that has several.
func kindIs(kinds ...string) *schema {
	return holding(must("kind", &schema{Enum: kinds}))
}

// grouping is the commands that make and change groups and channels.
func grouping() []command {
	ofGroup, ofChannel := must("group", identifier("the group's name")), must("channel", identifier("the channel's name"))
	return []command{
		{name: wire.CreateGroup, about: "Makes a group, or finds the one direct group with another user", writes: true,
			fields: []field{
				may("group", own("its name; the server makes one up without it; not for direct groups")),
				must("kind", oneOf("", groupKinds...)), may("name", displayName()), settingsPatch(),
				may("user", peer("direct: the other user")),
			},
			rules:  []*schema{{If: kindIs("direct"), Then: having("user"), Else: having("name")}},
			answer: changed(ofGroup)},
		{name: wire.UpdateGroup, about: "Changes a group's name or settings", writes: true,
			fields: []field{group(), may("name", displayName()), settingsPatch()}, answer: changed(ofGroup)},
		{name: wire.DeleteGroup, about: "Ends a group; its name stays taken", writes: true,
			fields: []field{group(), reason()}, answer: changed(ofGroup)},
		{name: wire.CreateChannel, about: "Makes a channel or opens a thread", writes: true,
			fields: append([]field{group(),
				may("channel", own("its name; the server makes one up without it")), must("kind", oneOf("", channelKinds...)),
				may("name", displayName()),
				may("parent", &schema{About: "where a thread hangs: a message, or a channel's name alone", AnyOf: []*schema{
					identifier(""), open("", channel(), may("n", count("the message"))),
				}}),
				may("members", users("whom a private channel names beside its creator")),
			}, channelPatch()...),
			rules: []*schema{
				{If: kindIs("thread"), Then: having("parent"), Else: &schema{Required: []string{"name"}, Not: having("parent")}},
				{If: kindIs("private"), Else: &schema{Not: holding(must("members", &schema{MinItems: 1}))}},
			},
			answer: changed(ofChannel)},
		{name: wire.UpdateChannel, about: "Changes a channel's name, settings, or whom a private one names", writes: true,
			fields: append([]field{group(), channel(), may("name", displayName()),
				may("add", users("whom a private channel names from now on")), may("remove", users("and whom no longer; none of add")),
			}, channelPatch()...),
			answer: changed(ofChannel)},
		{name: wire.DeleteChannel, about: "Ends a channel and its threads; its name stays taken", writes: true,
			fields: []field{group(), channel(), reason()}, answer: changed(ofChannel)},
	}
}

// organizing is the commands about members.
func organizing() []command {
	acts := []string{"add", "kick", "ban", "unban", "mute", "unmute", "role", "decline", "user_groups"}
	needs := func(do string, fields ...string) *schema {
		return &schema{If: holding(must("do", &schema{Const: do})), Then: having(fields...)}
	}
	everybody := list(streams.MaxAddressed, identifier(""), "whose messages")
	everybody.MinItems = 1
	many := list(streams.MaxAdded, identifier(""), "add, by a back end: all of them, in the place of user")
	many.MinItems = 1
	until := func(about string) field { return may("until", millis(about+"; for good without it or with 0")) }
	block := func(about string) command {
		return command{about: about, writes: true, fields: []field{must("user", peer("the other user of the direct group"))},
			answer: changed(must("group", identifier("the direct group")))}
	}
	blocking, unblocking := block("Takes nothing of another user in the direct group any more"), block("Takes what the other user sends again")
	blocking.name, unblocking.name = wire.Block, wire.Unblock
	entered := changed()
	entered.Properties = append(entered.Properties, may("waiting", set("an admin decides")))
	return []command{
		{name: wire.Join, about: "Becomes a member", writes: true,
			fields: []field{group(), may("code", text("an invitation's")), reason()}, answer: entered},
		{name: wire.Leave, about: "Is a member no longer", writes: true, fields: []field{group(), reason()}, answer: changed()},
		{name: wire.Member, about: "Acts on a member", writes: true,
			fields: []field{group(), may("user", identifier("whom")), may("users", many), must("do", oneOf("", acts...)),
				until("mute and ban: until then"), may("role", role("add and role: the role from now on")), reason(),
				may("user_groups", userGroups("user_groups: all of them from now on"))},
			rules: []*schema{needs("role", "role"), needs("user_groups", "user_groups"),
				{OneOf: []*schema{having("user"), having("users")}},
				{If: having("users"), Then: holding(must("do", &schema{Const: "add"}))}},
			answer: changed()},
		{name: wire.Rollback, about: "Bans users and recalls what they wrote, in all channels; repeat it while there is more", writes: true,
			fields: []field{group(), must("users", everybody),
				may("since_seq", count("from this place of the group's order on")), may("since", millis("or from this time on")),
				reason(), may("ban", flag("without it they are banned, too")), until("the bans: until then")},
			rules: []*schema{
				{OneOf: []*schema{having("since_seq"), having("since")}},
				{Not: holding(must("until", &schema{Minimum: new(int64(1))}), must("ban", &schema{Const: false}))},
			},
			answer: closed("", must("recalled", count("messages this recalled")), must("banned", count("users this banned")),
				must("through", count("the seq up to which it looked")), may("more", set("there is more: repeat it")))},
		{name: wire.Invite, about: "Makes an invitation", writes: true,
			fields: []field{group(),
				may("code", &schema{Type: "string", MinLength: wire.MinCode, MaxLength: wire.MaxCode,
					About: fmt.Sprintf("%d to %d bytes; the server makes one up without it", wire.MinCode, wire.MaxCode)}),
				may("expires_in_ms", ordinal("for how long it can be used, ms; for ever without it")), may("uses", count("how often; any number without it"))},
			answer: changed(must("invite", identifier("its id")),
				may("code", text("left out where it was told before")))},
		{name: wire.InviteRevoke, about: "Ends an invitation", writes: true,
			fields: []field{group(), must("invite", identifier("its id"))}, answer: changed()},
		blocking, unblocking,
	}
}
