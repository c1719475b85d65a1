package streams

import "github.com/throng/throng/streams/streampb"

// The payloads, by idea: messages and what is done to them,
type (
	MessagePosted   struct{ *streampb.MessagePosted }
	MessageEdited   struct{ *streampb.MessageEdited }
	MessageRecalled struct{ *streampb.MessageRecalled }
	Reacted         struct{ *streampb.Reacted }
	Unreacted       struct{ *streampb.Unreacted }
	Pinned          struct{ *streampb.Pinned }
	Unpinned        struct{ *streampb.Unpinned }
)

// the group's own settings, channels and attributes,
type (
	GroupUpdated     struct{ *streampb.GroupUpdated }
	ChannelCreated   struct{ *streampb.ChannelCreated }
	ChannelUpdated   struct{ *streampb.ChannelUpdated }
	ChannelDeleted   struct{ *streampb.ChannelDeleted }
	AttributeSet     struct{ *streampb.AttributeSet }
	AttributeDeleted struct{ *streampb.AttributeDeleted }
)

// and its members.
type (
	MemberJoined      struct{ *streampb.MemberJoined }
	MemberLeft        struct{ *streampb.MemberLeft }
	RoleChanged       struct{ *streampb.RoleChanged }
	MemberMuted       struct{ *streampb.MemberMuted }
	MemberUnmuted     struct{ *streampb.MemberUnmuted }
	MemberBanned      struct{ *streampb.MemberBanned }
	MemberUnbanned    struct{ *streampb.MemberUnbanned }
	MemberKicked      struct{ *streampb.MemberKicked }
	JoinRequested     struct{ *streampb.JoinRequested }
	JoinDeclined      struct{ *streampb.JoinDeclined }
	UserGroupsChanged struct{ *streampb.UserGroupsChanged }
	InviteCreated     struct{ *streampb.InviteCreated }
	InviteRevoked     struct{ *streampb.InviteRevoked }
	PeerBlocked       struct{ *streampb.PeerBlocked }
	PeerUnblocked     struct{ *streampb.PeerUnblocked }
)

func (MessagePosted) kind() Kind     { return KindMessage }
func (MessageEdited) kind() Kind     { return KindEdit }
func (MessageRecalled) kind() Kind   { return KindRecall }
func (Reacted) kind() Kind           { return KindReact }
func (Unreacted) kind() Kind         { return KindUnreact }
func (Pinned) kind() Kind            { return KindPin }
func (Unpinned) kind() Kind          { return KindUnpin }
func (GroupUpdated) kind() Kind      { return KindGroupUpdate }
func (ChannelCreated) kind() Kind    { return KindChannelCreate }
func (ChannelUpdated) kind() Kind    { return KindChannelUpdate }
func (ChannelDeleted) kind() Kind    { return KindChannelDelete }
func (AttributeSet) kind() Kind      { return KindAttrSet }
func (AttributeDeleted) kind() Kind  { return KindAttrDel }
func (MemberJoined) kind() Kind      { return KindJoin }
func (MemberLeft) kind() Kind        { return KindLeave }
func (RoleChanged) kind() Kind       { return KindRole }
func (MemberMuted) kind() Kind       { return KindMute }
func (MemberUnmuted) kind() Kind     { return KindUnmute }
func (MemberBanned) kind() Kind      { return KindBan }
func (MemberUnbanned) kind() Kind    { return KindUnban }
func (MemberKicked) kind() Kind      { return KindKick }
func (JoinRequested) kind() Kind     { return KindJoinRequest }
func (JoinDeclined) kind() Kind      { return KindJoinDecline }
func (UserGroupsChanged) kind() Kind { return KindUserGroups }
func (InviteCreated) kind() Kind     { return KindInvite }
func (InviteRevoked) kind() Kind     { return KindInviteRevoke }
func (PeerBlocked) kind() Kind       { return KindBlock }
func (PeerUnblocked) kind() Kind     { return KindUnblock }

// encode puts a payload into its place in the stored form; false for a type
// this version does not know.
func encode(pb *streampb.Event, payload Payload) bool {
	switch p := payload.(type) {
	case MessagePosted:
		pb.Payload = &streampb.Event_Message{Message: p.MessagePosted}
	case MessageEdited:
		pb.Payload = &streampb.Event_Edit{Edit: p.MessageEdited}
	case MessageRecalled:
		pb.Payload = &streampb.Event_Recall{Recall: p.MessageRecalled}
	case Reacted:
		pb.Payload = &streampb.Event_React{React: p.Reacted}
	case Unreacted:
		pb.Payload = &streampb.Event_Unreact{Unreact: p.Unreacted}
	case Pinned:
		pb.Payload = &streampb.Event_Pin{Pin: p.Pinned}
	case Unpinned:
		pb.Payload = &streampb.Event_Unpin{Unpin: p.Unpinned}
	case GroupUpdated:
		pb.Payload = &streampb.Event_GroupUpdate{GroupUpdate: p.GroupUpdated}
	case ChannelCreated:
		pb.Payload = &streampb.Event_ChannelCreate{ChannelCreate: p.ChannelCreated}
	case ChannelUpdated:
		pb.Payload = &streampb.Event_ChannelUpdate{ChannelUpdate: p.ChannelUpdated}
	case ChannelDeleted:
		pb.Payload = &streampb.Event_ChannelDelete{ChannelDelete: p.ChannelDeleted}
	case AttributeSet:
		pb.Payload = &streampb.Event_AttrSet{AttrSet: p.AttributeSet}
	case AttributeDeleted:
		pb.Payload = &streampb.Event_AttrDel{AttrDel: p.AttributeDeleted}
	case MemberJoined:
		pb.Payload = &streampb.Event_Join{Join: p.MemberJoined}
	case MemberLeft:
		pb.Payload = &streampb.Event_Leave{Leave: p.MemberLeft}
	case RoleChanged:
		pb.Payload = &streampb.Event_Role{Role: p.RoleChanged}
	case MemberMuted:
		pb.Payload = &streampb.Event_Mute{Mute: p.MemberMuted}
	case MemberUnmuted:
		pb.Payload = &streampb.Event_Unmute{Unmute: p.MemberUnmuted}
	case MemberBanned:
		pb.Payload = &streampb.Event_Ban{Ban: p.MemberBanned}
	case MemberUnbanned:
		pb.Payload = &streampb.Event_Unban{Unban: p.MemberUnbanned}
	case MemberKicked:
		pb.Payload = &streampb.Event_Kick{Kick: p.MemberKicked}
	case JoinRequested:
		pb.Payload = &streampb.Event_JoinRequest{JoinRequest: p.JoinRequested}
	case JoinDeclined:
		pb.Payload = &streampb.Event_JoinDecline{JoinDecline: p.JoinDeclined}
	case UserGroupsChanged:
		pb.Payload = &streampb.Event_UserGroups{UserGroups: p.UserGroupsChanged}
	case InviteCreated:
		pb.Payload = &streampb.Event_Invite{Invite: p.InviteCreated}
	case InviteRevoked:
		pb.Payload = &streampb.Event_InviteRevoke{InviteRevoke: p.InviteRevoked}
	case PeerBlocked:
		pb.Payload = &streampb.Event_Block{Block: p.PeerBlocked}
	case PeerUnblocked:
		pb.Payload = &streampb.Event_Unblock{Unblock: p.PeerUnblocked}
	default:
		return false
	}
	return true
}

// decode is the inverse of encode; nil for what this version does not know.
func decode(pb *streampb.Event) Payload {
	switch p := pb.GetPayload().(type) {
	case *streampb.Event_Message:
		return MessagePosted{p.Message}
	case *streampb.Event_Edit:
		return MessageEdited{p.Edit}
	case *streampb.Event_Recall:
		return MessageRecalled{p.Recall}
	case *streampb.Event_React:
		return Reacted{p.React}
	case *streampb.Event_Unreact:
		return Unreacted{p.Unreact}
	case *streampb.Event_Pin:
		return Pinned{p.Pin}
	case *streampb.Event_Unpin:
		return Unpinned{p.Unpin}
	case *streampb.Event_GroupUpdate:
		return GroupUpdated{p.GroupUpdate}
	case *streampb.Event_ChannelCreate:
		return ChannelCreated{p.ChannelCreate}
	case *streampb.Event_ChannelUpdate:
		return ChannelUpdated{p.ChannelUpdate}
	case *streampb.Event_ChannelDelete:
		return ChannelDeleted{p.ChannelDelete}
	case *streampb.Event_AttrSet:
		return AttributeSet{p.AttrSet}
	case *streampb.Event_AttrDel:
		return AttributeDeleted{p.AttrDel}
	case *streampb.Event_Join:
		return MemberJoined{p.Join}
	case *streampb.Event_Leave:
		return MemberLeft{p.Leave}
	case *streampb.Event_Role:
		return RoleChanged{p.Role}
	case *streampb.Event_Mute:
		return MemberMuted{p.Mute}
	case *streampb.Event_Unmute:
		return MemberUnmuted{p.Unmute}
	case *streampb.Event_Ban:
		return MemberBanned{p.Ban}
	case *streampb.Event_Unban:
		return MemberUnbanned{p.Unban}
	case *streampb.Event_Kick:
		return MemberKicked{p.Kick}
	case *streampb.Event_JoinRequest:
		return JoinRequested{p.JoinRequest}
	case *streampb.Event_JoinDecline:
		return JoinDeclined{p.JoinDecline}
	case *streampb.Event_UserGroups:
		return UserGroupsChanged{p.UserGroups}
	case *streampb.Event_Invite:
		return InviteCreated{p.Invite}
	case *streampb.Event_InviteRevoke:
		return InviteRevoked{p.InviteRevoke}
	case *streampb.Event_Block:
		return PeerBlocked{p.Block}
	case *streampb.Event_Unblock:
		return PeerUnblocked{p.Unblock}
	}
	return nil
}

// MemberOf returns whom an event of @members is about and how they stand after
// it; nil for events that are about no member, and for joins and leaves written
// before the state was carried.
func MemberOf(e *Event) (User, *streampb.MemberState) {
	if about, ok := e.Payload.(interface {
		GetMember() string
		GetState() *streampb.MemberState
	}); ok {
		return User(about.GetMember()), about.GetState()
	}
	return "", nil
}

// CensusOf returns the members' count after an event, nil where it carries none.
func CensusOf(e *Event) *streampb.Census {
	if counts, ok := e.Payload.(interface{ GetCensus() *streampb.Census }); ok {
		return counts.GetCensus()
	}
	return nil
}
