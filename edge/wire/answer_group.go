package wire

import (
	"strconv"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// AppendGroup appends the ok object of group. The group's own channels @ and
// @members are left out: they are there in every group.
func AppendGroup(b []byte, group streams.Group, info *streampb.GroupInfo) []byte {
	w := object(b)
	w.text("group", string(group))
	w.text("kind", info.GetKind())
	w.text("name", info.GetName())
	w.text("role", streams.RoleName(info.GetRole()))
	w.key("settings")
	w.b = appendSettings(w.b, info.GetSettings())
	channels := make([][]byte, 0, len(info.GetChannels()))
	for _, c := range info.GetChannels() {
		if name := c.GetChannel(); name == "" || name[0] == '@' {
			continue
		}
		channels = append(channels, appendChannel(nil, c))
	}
	w.array("channels", channels)
	w.number("members", info.GetMembers())
	w.census(info.GetCensus())
	w.number("online", info.GetOnline())
	w.number("v", info.GetV())
	w.signed("created", info.GetCreated())
	return w.end()
}

func appendChannel(b []byte, c *streampb.ChannelInfo) []byte {
	w := object(b)
	w.text("channel", c.GetChannel())
	w.text("kind", c.GetKind())
	w.text("name", c.GetName())
	w.number("v", c.GetV())
	w.number("n", c.GetN())
	w.parent(c.GetParent())
	w.key("settings")
	w.b = appendChannelSettings(w.b, c.GetSettings())
	if len(c.GetPinned()) > 0 {
		w.key("pinned")
		w.b = append(w.b, '[')
		for i, n := range c.GetPinned() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = strconv.AppendUint(w.b, n, 10)
		}
		w.b = append(w.b, ']')
	}
	return w.end()
}

// census counts members by their role, left out where nobody counted.
func (w *writer) census(c *streampb.Census) {
	if c == nil {
		return
	}
	w.key("roles")
	o := object(w.b)
	above := c.GetOwners() + c.GetAdmins() + c.GetModerators()
	o.number("owner", c.GetOwners())
	o.number("admin", c.GetAdmins())
	o.number("moderator", c.GetModerators())
	o.number("member", max(c.GetMembers(), above)-above)
	w.b = o.end()
}

// AppendMembers appends the ok object of members. A mute that has ended by now,
// in ms since 1970 UTC, is none.
func AppendMembers(b []byte, page *streampb.MemberPage, now int64) []byte {
	w := object(b)
	members := make([][]byte, 0, len(page.GetMembers()))
	for _, m := range page.GetMembers() {
		o := object(nil)
		o.text("user", m.GetUser())
		o.text("role", streams.RoleName(m.GetRole()))
		o.signed("joined", m.GetJoined())
		switch until := m.GetMutedUntil(); {
		case until < 0: // for good
			o.number("muted_until", streams.MaxInteger)
		case until > now:
			o.signed("muted_until", until)
		}
		o.flag("online", m.GetOnline())
		o.list("user_groups", m.GetUserGroups())
		members = append(members, o.end())
	}
	w.array("members", members)
	w.some("after", page.GetAfter())
	w.number("count", page.GetCount())
	w.census(page.GetCensus())
	return w.end()
}

// AppendPresence appends the ok object of presence.
func AppendPresence(b []byte, p *streampb.Presence) []byte {
	w := object(b)
	w.number("online", p.GetOnline())
	w.number("members", p.GetMembers())
	return w.end()
}
