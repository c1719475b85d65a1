package group

import (
	"slices"
	"strings"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// info is the group as command `group` shows it.
func (s *State) info(caller streams.User) *streampb.GroupInfo {
	return &streampb.GroupInfo{
		Kind: s.meta.kind, Name: s.meta.name, Settings: s.meta.settings,
		Channels: s.channelInfos(false), Members: s.meta.census.GetMembers(),
		Census: s.meta.census, Role: s.role(caller), Created: s.meta.created,
		V: uint64(s.Place(streams.GroupChannel).V),
	}
}

// snapshot is the group as an edge follows it. The sequencer adds sequence,
// epoch and the log's name.
func (s *State) snapshot() *streampb.Snapshot {
	return &streampb.Snapshot{
		Channels: s.channelInfos(true), Settings: s.meta.settings,
		Kind: s.meta.kind, Name: s.meta.name, Members: s.meta.census.GetMembers(),
	}
}

func (s *State) channelInfos(own bool) []*streampb.ChannelInfo {
	names := make([]streams.Channel, 0, len(s.channels))
	for name := range s.channels {
		if own || !name.Reserved() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	infos := make([]*streampb.ChannelInfo, len(names))
	for i, name := range names {
		ch := s.channels[name]
		infos[i] = &streampb.ChannelInfo{
			Channel: string(name), Kind: ch.kind, Name: ch.name,
			V: uint64(ch.v), N: uint64(ch.n), Seq: uint64(ch.seq), MentionAllCount: ch.mentionAllCount,
		}
		if own {
			infos[i].Recalled = ch.recalledNumbers()
		}
	}
	return infos
}

// GroupRecord and ChannelRecord are the entities as they are now, nil for one
// that is not there.
func (s *State) GroupRecord() *streampb.GroupRecord {
	return &streampb.GroupRecord{
		Seq: uint64(s.meta.seq), Kind: s.meta.kind, Name: s.meta.name, Settings: s.meta.settings,
		Created: s.meta.created, Members: s.meta.census.GetMembers(), Census: s.meta.census,
		Deleted: s.meta.deleted, Invites: s.meta.invites,
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
		LastSends: s.lastSends(ch),
	}
}

// lastSends is when those wrote who may still have to wait under slow mode.
func (s *State) lastSends(ch *channel) []*streampb.LastSend {
	newest, slow := int64(0), s.meta.settings.GetSlowModeMs()
	for _, ts := range ch.lastSend {
		newest = max(newest, ts)
	}
	var sends []*streampb.LastSend
	for u, ts := range ch.lastSend {
		if ts+slow > newest {
			sends = append(sends, &streampb.LastSend{User: string(u), Ts: ts})
		}
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
	}
	if s.meta.census == nil {
		s.meta.census = censusBefore(r.GetMembers())
	}
}

func (s *State) RestoreChannel(c streams.Channel, r *streampb.ChannelRecord) {
	ch := &channel{
		seq: streams.Seq(r.GetSeq()), v: streams.Version(r.GetV()), n: streams.Number(r.GetN()),
		mentionAllCount: r.GetMentionAllCount(), kind: r.GetKind(), name: r.GetName(),
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
