package group

import (
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// patchChannel returns a copy of a channel's settings with what p names
// changed, nil where all are defaults, or a rejection.
func patchChannel(kind string, s *streampb.ChannelSettings, p *streampb.ChannelSettingsPatch) (*streampb.ChannelSettings, error) {
	if p == nil {
		return s, nil
	}
	next := &streampb.ChannelSettings{}
	if s != nil {
		next = proto.CloneOf(s)
	}
	if p.Write != nil {
		if w := p.GetWrite(); w < streampb.Role_ROLE_NONE || w > streampb.Role_ROLE_OWNER {
			return nil, streams.Reject(streams.BadRequest, "settings.write must be member, moderator, admin or owner")
		}
		next.Write = p.GetWrite()
	}
	var err error
	if p.WriteGroups != nil {
		if next.WriteGroups, err = userGroupNames(p.GetWriteGroups().GetValues()); err != nil {
			return nil, err
		}
	}
	if p.ReadGroups != nil {
		if kind != kindPrivate {
			return nil, streams.Reject(streams.BadRequest, "settings.read_groups are for private channels")
		}
		if next.ReadGroups, err = userGroupNames(p.GetReadGroups().GetValues()); err != nil {
			return nil, err
		}
	}
	if p.SlowModeMs != nil {
		if next.SlowModeMs = p.GetSlowModeMs(); !validSlowMode(next.SlowModeMs) {
			return nil, streams.Reject(streams.BadRequest, "settings.slow_mode_ms must be 0 to 6 hours")
		}
	}
	if p.Position != nil {
		if at := p.GetPosition(); at < -streams.MaxInteger || at > streams.MaxInteger {
			return nil, streams.Reject(streams.BadRequest, "settings.position must lie within ±2^53")
		}
		next.Position = p.GetPosition()
	}
	if p.Category != nil {
		if text := p.GetCategory(); len(text) > streams.MaxDisplayName || !utf8.ValidString(text) {
			return nil, streams.Reject(streams.BadRequest, "settings.category must be at most %d bytes of UTF-8", streams.MaxDisplayName)
		}
		next.Category = p.GetCategory()
	}
	if proto.Size(next) == 0 {
		return nil, nil
	}
	return next, nil
}

// userGroupNames checks the user groups a channel names and returns them
// ascending, each once.
func userGroupNames(names []string) ([]string, error) {
	if len(names) > streams.MaxUserGroups {
		return nil, streams.Reject(streams.BadRequest, "a channel names at most %d user groups", streams.MaxUserGroups)
	}
	for _, name := range names {
		if _, err := streams.ParseUser(name); err != nil {
			return nil, streams.Reject(streams.BadRequest, "a user group's name must be 1 to %d of A-Z a-z 0-9 _ -", streams.MaxName)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// mayWrite rejects who may not write messages into a channel that is not for
// everybody to write in.
func (s *State) mayWrite(r Request, ch *channel) error {
	least := ch.settings.GetWrite()
	if least <= streampb.Role_ROLE_MEMBER || s.inOneOf(r.User, ch.settings.GetWriteGroups()) {
		return s.may(r, SendMessage)
	}
	return s.mayAs(r, SendRestricted, least)
}
