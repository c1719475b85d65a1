package group

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// info is the group as command `group` shows it, or a page of it.
func (s *State) info(r Request, body *streampb.ReadGroup) *streampb.GroupInfo {
	channels, after := s.channelsFor(r, body)
	return &streampb.GroupInfo{
		Kind: s.meta.kind, Name: s.meta.name, Settings: s.meta.settings,
		Channels: channels, After: after, Members: s.population(), Online: s.online(),
		Census: s.meta.census, Role: s.role(r.User), Created: s.meta.created,
		V: uint64(s.Place(streams.GroupChannel).V),
	}
}

// snapshot is the group as an edge follows it, or a page of it. The sequencer
// adds sequence, epoch and the log's name.
func (s *State) snapshot(body *streampb.ReadSnapshot) *streampb.Snapshot {
	channels, after := s.allChannels(body)
	return &streampb.Snapshot{
		Channels: channels, After: after, Settings: s.meta.settings,
		Kind: s.meta.kind, Name: s.meta.name, Members: s.population(),
	}
}

// paged is a question whose answer comes in pages.
type paged interface {
	GetAfter() string
	GetBytes() uint32
}

// channelsFor is the channels that a caller sees.
func (s *State) channelsFor(r Request, p paged) (page []*streampb.ChannelInfo, after string) {
	return s.infos(p, func(name streams.Channel, ch *channel) *streampb.ChannelInfo {
		if name.Reserved() || !s.lives(ch) || !r.Server && !s.sees(r.User, ch) {
			return nil
		}
		return ch.info(name)
	})
}

// allChannels is every channel, as an edge needs them to tell who may follow
// which: the deleted ones, private ones and the group's own, too.
func (s *State) allChannels(p paged) (page []*streampb.ChannelInfo, after string) {
	return s.infos(p, func(name streams.Channel, ch *channel) *streampb.ChannelInfo {
		info := ch.info(name)
		if info.Recalled, info.Deleted = ch.recalledNumbers(), !s.lives(ch); info.Deleted {
			info.Name, info.Settings, info.Pinned = "", nil, nil
		}
		return info
	})
}

// infos returns what show makes of the channels, nil for those that are left
// out, by their names, and the last one's name where there may be more.
func (s *State) infos(p paged, show func(streams.Channel, *channel) *streampb.ChannelInfo) (page []*streampb.ChannelInfo, after string) {
	names := make([]streams.Channel, 0, len(s.channels))
	for name := range s.channels {
		if string(name) > p.GetAfter() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	size := uint32(0)
	for _, name := range names {
		info := show(name, s.channels[name])
		if info == nil {
			continue
		}
		if p.GetBytes() > 0 {
			if size += uint32(proto.Size(info)); len(page) > 0 && size > p.GetBytes() {
				return page, page[len(page)-1].GetChannel()
			}
		}
		page = append(page, info)
	}
	return page, ""
}

func (c *channel) info(name streams.Channel) *streampb.ChannelInfo {
	return &streampb.ChannelInfo{
		Channel: string(name), Kind: c.kind, Name: c.name,
		V: uint64(c.v), N: uint64(c.n), Seq: uint64(c.seq), MentionAllCount: c.mentionAllCount,
		Parent: c.parent, Settings: c.settings, Pinned: c.pinnedNumbers(),
	}
}

// GroupRecord and ChannelRecord are the entities as they are now, nil for one
// that is not there.
func (s *State) GroupRecord() *streampb.GroupRecord {
	return &streampb.GroupRecord{
		Seq: uint64(s.meta.seq), Kind: s.meta.kind, Name: s.meta.name, Settings: s.meta.settings,
		Created: s.meta.created, Members: s.meta.census.GetMembers(), Census: s.meta.census,
		Deleted: s.meta.deleted, Invites: s.meta.invites,
		Guests: s.insiders(true), Residents: s.insiders(false),
	}
}

func (s *State) ChannelRecord(c streams.Channel) *streampb.ChannelRecord {
	ch := s.channels[c]
	if ch == nil {
		return nil
	}
	return &streampb.ChannelRecord{
		Seq: uint64(ch.seq), V: uint64(ch.v), N: uint64(ch.n), MentionAllCount: ch.mentionAllCount,
		Kind: ch.kind, Name: ch.name, Recalled: ch.recalledNumbers(),
		LastSends: s.lastSends(ch), Pinned: ch.pinnedNumbers(),
		InfoSeq: uint64(ch.infoSeq), Creator: string(ch.creator), Parent: ch.parent, Members: ch.memberNames(),
		Settings: ch.settings, Deleted: ch.deleted, Attributes: ch.attributes(), Tied: ch.tied,
	}
}

// maxLastSends bounds those in a record: with the longest names, 10,000 users
// named and as many messages recalled as are remembered, it stays below the
// 1 MiB that NATS takes.
const maxLastSends = 1000

// lastSends is when those wrote who may still have to wait under slow mode.
func (s *State) lastSends(ch *channel) []*streampb.LastSend {
	newest, slow := int64(0), s.slow(ch)
	for _, ts := range ch.lastSend {
		newest = max(newest, ts)
	}
	var sends []*streampb.LastSend
	for u, ts := range ch.lastSend {
		if ts+slow > newest {
			sends = append(sends, &streampb.LastSend{User: string(u), Ts: ts})
		}
	}
	if len(sends) > maxLastSends { // the others wait once less after a takeover
		slices.SortFunc(sends, func(a, b *streampb.LastSend) int { return cmp.Compare(b.GetTs(), a.GetTs()) })
		sends = sends[:maxLastSends]
	}
	slices.SortFunc(sends, func(a, b *streampb.LastSend) int { return strings.Compare(a.GetUser(), b.GetUser()) })
	return sends
}

// RestoreGroup and RestoreChannel put a record back, before any event is
// applied.
func (s *State) RestoreGroup(r *streampb.GroupRecord) {
	s.meta = meta{
		seq: streams.Seq(r.GetSeq()), kind: r.GetKind(), name: r.GetName(), settings: r.GetSettings(),
		created: r.GetCreated(), census: r.GetCensus(), deleted: r.GetDeleted(), invites: r.GetInvites(),
		inside: restoreInside(r),
	}
	if s.meta.census == nil {
		s.meta.census = censusBefore(r.GetMembers())
	}
}

func (s *State) RestoreChannel(c streams.Channel, r *streampb.ChannelRecord) {
	ch := &channel{
		seq: streams.Seq(r.GetSeq()), v: streams.Version(r.GetV()), n: streams.Number(r.GetN()),
		mentionAllCount: r.GetMentionAllCount(), kind: r.GetKind(), name: r.GetName(), about: aboutOf(r),
	}
	for _, n := range r.GetRecalled() {
		ch.recalled = append(ch.recalled, streams.Number(n))
	}
	for _, sent := range r.GetLastSends() {
		if ch.lastSend == nil {
			ch.lastSend = map[streams.User]int64{}
		}
		ch.lastSend[streams.User(sent.GetUser())] = sent.GetTs()
	}
	s.channels[c] = ch
}
