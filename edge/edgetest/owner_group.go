package edgetest

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// pageKeys is how many attributes one page holds: few, so that a load takes
// several.
const pageKeys = 3

// reaction is one emoji at one message.
type reaction struct {
	channel streams.Channel
	n       uint64
	emoji   string
}

func expires(ttl int64) int64 {
	if ttl == 0 {
		return 0
	}
	return time.Now().UnixMilli() + ttl
}

// expiry is that of the message an edit is about; o.mu is held.
func (o *Owner) expiry(c *streampb.Command) int64 {
	for _, e := range o.events {
		p, posted := e.Payload.(streams.MessagePosted)
		if posted && string(e.Group) == c.GetGroup() && string(e.Channel) == c.GetEdit().GetChannel() && uint64(e.N) == c.GetEdit().GetN() {
			return p.GetExpires()
		}
	}
	return 0
}

func (g *group) channel(name streams.Channel) *streampb.ChannelInfo {
	info := &streampb.ChannelInfo{Channel: string(name), Kind: "public"}
	g.channels[name] = info
	g.order = append(g.order, name)
	return info
}

func (g *group) access(user string) *streampb.Access {
	state := g.standing[user]
	a := &streampb.Access{Role: g.roles[user], JoinedSeq: state.GetJoinedSeq(), MutedUntil: state.GetMutedUntil(), UserGroups: state.GetUserGroups()}
	for name, users := range g.named {
		if users[user] {
			a.Channels = append(a.Channels, string(name))
		}
	}
	slices.Sort(a.Channels)
	return a
}

// dismiss takes a user's name from all private channels.
func (g *group) dismiss(user string) {
	for _, users := range g.named {
		delete(users, user)
	}
}

// page is a page of attributes, in order of their keys.
func (g *group) page(r *streampb.ReadAttributes) *streampb.AttributePage {
	channel := streams.Channel(r.GetChannel())
	page := &streampb.AttributePage{V: g.channels[channel].GetV()}
	for _, key := range slices.Sorted(maps.Keys(g.attributes[channel])) {
		if key <= r.GetAfter() {
			continue
		}
		if len(page.Attributes) == pageKeys {
			page.After = page.Attributes[pageKeys-1].GetKey()
			break
		}
		page.Attributes = append(page.Attributes, g.attributes[channel][key])
	}
	return page
}

// patch changes the settings tests look at.
func patch(s *streampb.Settings, p *streampb.SettingsPatch) {
	if p.GetJoin() != "" {
		s.Join = p.GetJoin()
	}
	if p.GetHistory() != "" {
		s.History = p.GetHistory()
	}
	if p.GetMuteAll() {
		s.MuteAll = true
	}
}

// join lets a user in; o.mu is held.
func (o *Owner) join(g *group, c *streampb.Command, id streams.ClientID, user string, role streampb.Role) *streampb.Result {
	g.roles[user] = role
	r := o.append(g, c, id, streams.MembersChannel, streams.MemberJoined{MemberJoined: &streampb.MemberJoined{
		Member: user, Role: role, State: &streampb.MemberState{Role: role}, Census: &streampb.Census{Members: uint64(len(g.roles))},
	}})
	g.standing[user] = &streampb.MemberState{Role: role, JoinedSeq: r.GetSeq()}
	return r
}

// organize does the commands that make and change groups; o.mu is held.
func (o *Owner) organize(g *group, c *streampb.Command, id streams.ClientID) *streampb.Result {
	switch body := c.GetBody().(type) {
	case *streampb.Command_UpdateGroup:
		g.name = body.UpdateGroup.GetName()
		patch(g.settings, body.UpdateGroup.GetSettings())
		return o.append(g, c, id, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
			Kind: g.kind, Name: g.name, Settings: proto.Clone(g.settings).(*streampb.Settings),
		}})
	case *streampb.Command_DeleteGroup:
		g.deleted = true
		return o.append(g, c, id, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
			Kind: g.kind, Name: g.name, Settings: g.settings, Deleted: true,
		}})
	case *streampb.Command_CreateChannel:
		return o.createChannel(g, c, id, body.CreateChannel)
	case *streampb.Command_UpdateChannel:
		return o.updateChannel(g, c, id, body.UpdateChannel)
	case *streampb.Command_DeleteChannel:
		g.channels[streams.Channel(body.DeleteChannel.GetChannel())].Deleted = true
		return o.append(g, c, id, streams.GroupChannel, streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: body.DeleteChannel.GetChannel()}})
	case *streampb.Command_Member:
		return o.member(g, c, id, body.Member)
	case *streampb.Command_AttrSet:
		return o.setAttributes(g, c, id, body.AttrSet)
	case *streampb.Command_React:
		return o.react(g, c, id, body.React.GetChannel(), body.React.GetN(), body.React.GetEmoji(), true)
	case *streampb.Command_Unreact:
		return o.react(g, c, id, body.Unreact.GetChannel(), body.Unreact.GetN(), body.Unreact.GetEmoji(), false)
	case *streampb.Command_Invite:
		return o.append(g, c, id, streams.MembersChannel, streams.InviteCreated{InviteCreated: &streampb.InviteCreated{
			Invite: body.Invite.GetInvite(), Hash: body.Invite.GetHash(), Expires: body.Invite.GetExpires(), Uses: body.Invite.GetUses(),
		}})
	}
	return refused(streams.BadRequest)
}

func (o *Owner) createChannel(g *group, c *streampb.Command, id streams.ClientID, create *streampb.CreateChannel) *streampb.Result {
	name := streams.Channel(create.GetChannel())
	if g.channels[name] != nil {
		return refused(streams.Conflict)
	}
	info := g.channel(name)
	info.Name, info.Kind, info.Parent = create.GetName(), create.GetKind(), create.GetParent()
	info.Settings = &streampb.ChannelSettings{ReadGroups: create.GetSettings().GetReadGroups().GetValues()}
	created := &streampb.ChannelCreated{Channel: string(name), Kind: info.GetKind(), Name: info.GetName(), Parent: info.GetParent(), Settings: info.GetSettings()}
	if info.GetKind() == "private" {
		created.Members = append([]string{c.GetUser()}, create.GetMembers()...)
		g.named[name] = map[string]bool{}
		for _, user := range created.GetMembers() {
			g.named[name][user] = true
		}
	}
	r := o.append(g, c, id, streams.GroupChannel, streams.ChannelCreated{ChannelCreated: created})
	r.Channel = string(name)
	return r
}

func (o *Owner) updateChannel(g *group, c *streampb.Command, id streams.ClientID, update *streampb.UpdateChannel) *streampb.Result {
	name := streams.Channel(update.GetChannel())
	info := g.channels[name]
	if groups := update.GetSettings().GetReadGroups(); groups != nil {
		info.Settings = &streampb.ChannelSettings{ReadGroups: groups.GetValues()}
	}
	for _, user := range update.GetAdd() {
		g.named[name][user] = true
	}
	for _, user := range update.GetRemove() {
		delete(g.named[name], user)
	}
	return o.append(g, c, id, streams.GroupChannel, streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{
		Channel: string(name), Name: info.GetName(), Settings: info.GetSettings(), Added: update.GetAdd(), Removed: update.GetRemove(),
	}})
}

// member does what tests need of it; o.mu is held.
func (o *Owner) member(g *group, c *streampb.Command, id streams.ClientID, act *streampb.ActOnMember) *streampb.Result {
	user := act.GetUser()
	if act.GetCheck() {
		return &streampb.Result{Already: true}
	}
	if g.standing[user] == nil && act.GetAct() != streampb.Act_ACT_BAN { // who is not here yet can be banned
		return refused(streams.NotFound)
	}
	state := proto.Clone(g.standing[user]).(*streampb.MemberState)
	var payload streams.Payload
	switch act.GetAct() {
	case streampb.Act_ACT_KICK:
		state = &streampb.MemberState{}
		payload = streams.MemberKicked{MemberKicked: &streampb.MemberKicked{Member: user, Reason: act.GetReason(), State: state}}
	case streampb.Act_ACT_BAN:
		state = &streampb.MemberState{Banned: true}
		payload = streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: user, State: state}}
	case streampb.Act_ACT_MUTE:
		if state.MutedUntil = act.GetUntil(); act.GetUntil() == 0 {
			state.MutedUntil = -1
		}
		payload = streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: user, Until: state.GetMutedUntil(), State: state}}
	case streampb.Act_ACT_UNMUTE:
		state.MutedUntil = 0
		payload = streams.MemberUnmuted{MemberUnmuted: &streampb.MemberUnmuted{Member: user, State: state}}
	case streampb.Act_ACT_USER_GROUPS:
		state.UserGroups = act.GetUserGroups()
		payload = streams.UserGroupsChanged{UserGroupsChanged: &streampb.UserGroupsChanged{Member: user, State: state}}
	default:
		return refused(streams.BadRequest)
	}
	g.standing[user], g.roles[user] = state, state.GetRole()
	if state.GetRole() == streampb.Role_ROLE_NONE {
		delete(g.standing, user)
		delete(g.roles, user)
		g.dismiss(user)
	}
	return o.append(g, c, id, streams.MembersChannel, payload)
}

func (o *Owner) setAttributes(g *group, c *streampb.Command, id streams.ClientID, set *streampb.SetAttributes) *streampb.Result {
	channel := streams.Channel(set.GetChannel())
	all := g.attributes[channel]
	if all == nil {
		all = map[string]*streampb.Attribute{}
		g.attributes[channel] = all
	}
	refusal := &streams.Rejection{Code: streams.Conflict, Message: "changed"}
	for key, v := range set.GetIfV() {
		if all[key].GetV() != v {
			refusal.Current = append(refusal.Current, streams.AttributeNow{Key: key, Value: all[key].GetValue(), V: streams.Version(all[key].GetV())})
		}
	}
	if len(refusal.Current) > 0 {
		return &streampb.Result{Rejection: refusal.Proto()}
	}
	r := &streampb.Result{V: g.channels[channel].GetV(), Already: true}
	for _, key := range slices.Sorted(maps.Keys(set.GetSet())) {
		r = o.append(g, c, id, channel, streams.AttributeSet{AttributeSet: &streampb.AttributeSet{Key: key, Value: set.GetSet()[key]}})
		all[key] = &streampb.Attribute{Key: key, Value: set.GetSet()[key], V: r.GetV(), User: c.GetUser(), Ts: r.GetTs()}
	}
	for _, key := range set.GetDel() {
		if all[key] != nil {
			r = o.append(g, c, id, channel, streams.AttributeDeleted{AttributeDeleted: &streampb.AttributeDeleted{Key: key}})
			delete(all, key)
		}
	}
	return r
}

func (o *Owner) react(g *group, c *streampb.Command, id streams.ClientID, channel string, n uint64, emoji string, on bool) *streampb.Result {
	key := reaction{streams.Channel(channel), n, emoji}
	users := g.reactions[key]
	if users[c.GetUser()] == on {
		return &streampb.Result{V: g.channels[key.channel].GetV(), Already: true}
	}
	if !on {
		delete(users, c.GetUser())
		return o.append(g, c, id, key.channel, streams.Unreacted{Unreacted: &streampb.Unreacted{Target: n, Emoji: emoji, Count: uint64(len(users))}})
	}
	if users == nil {
		users = map[string]bool{}
		g.reactions[key] = users
	}
	users[c.GetUser()] = true
	return o.append(g, c, id, key.channel, streams.Reacted{Reacted: &streampb.Reacted{Target: n, Emoji: emoji, Count: uint64(len(users))}})
}
