package group

import (
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func (s *State) createChannel(r Request, body *streampb.CreateChannel, now int64) (Decision, error) {
	var parent *streampb.Parent
	var members []string
	var err error
	switch kind := body.GetKind(); kind {
	case kindThread:
		err = s.opensThread(r, body, now)
		parent = body.GetParent()
	case kindPublic, kindPrivate:
		err = s.may(r, CreateChannel)
		if err == nil && body.GetParent() != nil {
			err = streams.Reject(streams.BadRequest, "only a thread has a parent")
		}
	default:
		err = streams.Reject(streams.BadRequest, "kind must be public, private or thread")
	}
	if err != nil {
		return Decision{}, err
	}
	name, err := streams.ParseChannel(body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if name.Reserved() {
		return Decision{}, streams.Reject(streams.BadRequest, "names that start with @ belong to the server")
	}
	display := body.GetName()
	if display == "" {
		display = string(name)
	}
	if err := checkDisplay(display); err != nil {
		return Decision{}, err
	}
	if members, err = named(r, body); err != nil {
		return Decision{}, err
	}
	settings, err := patchChannel(body.GetKind(), nil, body.GetSettings())
	if err != nil {
		return Decision{}, err
	}
	if s.channels[name] != nil {
		// The same for a channel the caller sees, one that is deleted, and one
		// that is not for the caller: who invents names of private channels
		// should leave that to the server.
		return Decision{}, streams.Reject(streams.Conflict, "this name is taken, or was")
	}
	if s.living() >= streams.MaxChannels {
		return Decision{}, streams.Reject(streams.Conflict, "a group has at most %d channels", streams.MaxChannels)
	}
	if len(s.channels) >= maxChannelNames+2 { // and the group's own two
		return Decision{}, streams.Reject(streams.Conflict, "a group makes at most %d channels, deleted ones included", maxChannelNames)
	}
	return one(r, streams.GroupChannel, streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{
		Channel: string(name), Kind: body.GetKind(), Name: display, Parent: parent, Members: members, Settings: settings,
	}})
}

// named is who is in a new private channel: its creator and whom they name,
// ascending. They need not be members yet.
func named(r Request, body *streampb.CreateChannel) ([]string, error) {
	if body.GetKind() != kindPrivate {
		if len(body.GetMembers()) > 0 {
			return nil, streams.Reject(streams.BadRequest, "only a private channel names its members")
		}
		return nil, nil
	}
	members, err := users(body.GetMembers())
	if err != nil {
		return nil, err
	}
	if r.User[0] != '@' { // a back end in nobody's name is nobody
		members = append(members, string(r.User))
	}
	slices.Sort(members)
	return slices.Compact(members), nil
}

// users checks a list of users and returns it ascending, each once.
func users(names []string) ([]string, error) {
	if len(names) > streams.MaxAddressed {
		return nil, streams.Reject(streams.BadRequest, "a command names at most %d users", streams.MaxAddressed)
	}
	for _, name := range names {
		if _, err := streams.ParseUser(name); err != nil {
			return nil, err
		}
	}
	sorted := slices.Sorted(slices.Values(names))
	return slices.Compact(sorted), nil
}

func checkDisplay(name string) error {
	if name == "" || len(name) > streams.MaxDisplayName || !utf8.ValidString(name) {
		return streams.Reject(streams.BadRequest, "name must be 1 to %d bytes of UTF-8", streams.MaxDisplayName)
	}
	return nil
}

// manages rejects who may not change or delete a channel they see: admins may,
// and whose a private channel or thread is.
func (s *State) manages(r Request, ch *channel, a Action) error {
	if (ch.kind == kindPrivate || ch.kind == kindThread) && ch.creator == r.User {
		return nil
	}
	return s.may(r, a)
}

func (s *State) updateChannel(r Request, body *streampb.UpdateChannel) (Decision, error) {
	c, ch, err := s.find(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if !leavesAlone(r, body) {
		if err := s.manages(r, ch, UpdateChannel); err != nil {
			return Decision{}, err
		}
	}
	updated := &streampb.ChannelUpdated{Channel: string(c), Name: ch.name}
	if body.Name != nil {
		updated.Name = body.GetName()
	}
	if err := checkDisplay(updated.Name); err != nil {
		return Decision{}, err
	}
	if updated.Settings, err = patchChannel(ch.kind, ch.settings, body.GetSettings()); err != nil {
		return Decision{}, err
	}
	if updated.Added, updated.Removed, err = ch.changes(body); err != nil {
		return Decision{}, err
	}
	if updated.Name == ch.name && proto.Equal(updated.Settings, ch.settings) && len(updated.Added)+len(updated.Removed) == 0 {
		return answer(&streampb.Result{V: uint64(s.Place(streams.GroupChannel).V), Already: true})
	}
	return one(r, streams.GroupChannel, streams.ChannelUpdated{ChannelUpdated: updated})
}

// leavesAlone reports whether somebody takes nobody but themselves from a
// private channel, which needs no right.
func leavesAlone(r Request, body *streampb.UpdateChannel) bool {
	return body.Name == nil && body.GetSettings() == nil && len(body.GetAdd()) == 0 &&
		len(body.GetRemove()) == 1 && body.GetRemove()[0] == string(r.User)
}

// changes is who really comes into a private channel or leaves it.
func (a *channel) changes(body *streampb.UpdateChannel) (added, removed []string, err error) {
	if len(body.GetAdd())+len(body.GetRemove()) == 0 {
		return nil, nil, nil
	}
	if a.kind != kindPrivate {
		return nil, nil, streams.Reject(streams.BadRequest, "only a private channel names its members")
	}
	if added, err = users(body.GetAdd()); err != nil {
		return nil, nil, err
	}
	if removed, err = users(body.GetRemove()); err != nil {
		return nil, nil, err
	}
	for _, u := range added {
		if slices.Contains(removed, u) {
			return nil, nil, streams.Reject(streams.BadRequest, "a user can't be added and removed at once")
		}
	}
	isIn := func(u string) bool { _, in := a.members[streams.User(u)]; return in }
	added = slices.DeleteFunc(added, isIn)
	removed = slices.DeleteFunc(removed, func(u string) bool { return !isIn(u) })
	if len(added) > 0 && len(a.members)+len(added)-len(removed) > streams.MaxChannelNamed {
		return nil, nil, streams.Reject(streams.Conflict, "a private channel names at most %d users; let user groups read it", streams.MaxChannelNamed)
	}
	return added, removed, nil
}

func (s *State) deleteChannel(r Request, body *streampb.DeleteChannel) (Decision, error) {
	c, ch, err := s.find(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if err := s.manages(r, ch, DeleteChannel); err != nil {
		return Decision{}, err
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	return one(r, streams.GroupChannel, streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{
		Channel: string(c), Reason: body.GetReason(),
	}})
}
