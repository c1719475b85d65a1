package describe

import "github.com/throng/throng/streams"

// eventKind is one kind of event and what it has beside its place.
type eventKind struct {
	kind   streams.Kind
	about  string
	fields []field
}

// hiddenKind is no event of its own: it stands in the place of one the reader
// may not know.
const hiddenKind streams.Kind = "hidden"

func eventKinds() []eventKind {
	target := must("target", ordinal("the message's n"))
	member := must("member", identifier("whom it is about"))
	members := may("members", count("how many members there are after it"))
	until := may("until", millis("left out for good"))
	why := may("reason", text("why"))
	reaction := []field{target, must("emoji", emoji()), must("count", count("users who have it after the event"))}
	gone := []field{may("recalled", set("it was recalled since: the body is empty"))}
	key := must("key", attributeKey(""))
	targetChannel := must("target_channel", identifier("which channel"))
	name := must("name", text("for people"))
	settings := must("settings", ref("settings"))
	ofChannel := must("settings", ref("channel_settings"))
	invite := must("invite", identifier("the invitation's id"))

	return []eventKind{
		{streams.KindMessage, "somebody wrote", append(saying(), gone[0],
			may("expired", set("its time has passed: the body is empty")))},
		{streams.KindEdit, "a message has another body", append([]field{target, must("body", body(0, "what it says now"))}, gone...)},
		{streams.KindRecall, "a message was taken back", []field{target}},
		{streams.KindReact, "", reaction},
		{streams.KindUnreact, "", reaction},
		{streams.KindPin, "", []field{target}},
		{streams.KindUnpin, "", []field{target}},
		{streams.KindGroupUpdate, "on @: the group as it is after it", []field{
			must("group_kind", oneOf("", groupKinds...)), name, settings, may("deleted", set("the group is gone")), why,
		}},
		{streams.KindChannelCreate, "on @", []field{
			targetChannel, must("channel_kind", oneOf("", channelKinds...)), name, may("parent", parent("where a thread hangs")),
			may("members", list(0, identifier(""), "whom a private channel names")), ofChannel,
		}},
		{streams.KindChannelUpdate, "on @: the channel as it is after it", []field{
			targetChannel, name, ofChannel,
			may("added", list(0, identifier(""), "who came into a private channel")),
			may("removed", list(0, identifier(""), "who left it by this")),
		}},
		{streams.KindChannelDelete, "on @", []field{targetChannel, why}},
		{streams.KindAttrSet, "on @, or on the channel whose attribute it is", []field{
			key, must("value", words(streams.MaxAttribute, "")), may("auto_delete", set("it goes with its setter's last connection")),
			may("protected", set("only its setter or a moderator changes it")),
		}},
		{streams.KindAttrDel, "on @, or on the channel whose attribute it was", []field{key, may("reason", text("gone where the setter's presence ended"))}},
		{streams.KindJoin, "on @members", []field{member, must("role", role("")), why, may("invite", identifier("the invitation it came by")), members}},
		{streams.KindLeave, "on @members", []field{member, may("reason", text("gone where the last connection to a room ended")), members}},
		{streams.KindRole, "on @members", []field{member, must("role", role("from now on")), why}},
		{streams.KindMute, "on @members", []field{member, until, why}},
		{streams.KindUnmute, "on @members", []field{member, why}},
		{streams.KindBan, "on @members", []field{member, until, why, members}},
		{streams.KindUnban, "on @members", []field{member, why}},
		{streams.KindKick, "on @members", []field{member, why, members}},
		{streams.KindJoinRequest, "on @members", []field{member, why}},
		{streams.KindJoinDecline, "on @members", []field{member, why}},
		{streams.KindUserGroups, "on @members", []field{member, must("user_groups", userGroups("all of them from now on"))}},
		{streams.KindInvite, "on @members; member made it", []field{
			member, invite, may("expires", millis("until when it can be used")), may("uses", ordinal("how often it can be used")),
		}},
		{streams.KindInviteRevoke, "on @members", []field{member, invite}},
		{streams.KindBlock, "in a direct group: member takes nothing of the other", []field{member}},
		{streams.KindUnblock, "in a direct group: member takes what the other sends", []field{member}},
		{hiddenKind, "an event the reader may not know stands here", nil},
	}
}

// place is where an event stands; each has it, also who may know no more.
func place(kind streams.Kind) []field {
	return []field{
		group(), channel(), version(),
		must("n", count("the message's number; of other events: how many messages there were so far")),
		must("seq", ordinal("the place in the group's order, over all channels")),
		must("kind", &schema{Const: string(kind)}),
		must("ts", millis("when it was taken")),
	}
}

func eventName(kind streams.Kind) string { return string(kind) + "_event" }

// events is a component for each kind, and event for any of them.
func events() []named {
	either := &schema{About: "an entry of a channel's log"}
	all := []named{{"event", either}}
	for _, k := range eventKinds() {
		fields := place(k.kind)
		if k.kind != hiddenKind {
			fields = append(fields, author()...)
		}
		all = append(all, named{eventName(k.kind), closed(k.about, append(fields, k.fields...)...)})
		either.OneOf = append(either.OneOf, ref(eventName(k.kind)))
	}
	return all
}
