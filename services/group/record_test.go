package group_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// The largest records there can be still fit into one message of NATS, whose
// limit is 1 MiB unless it is raised: one that does not would end every term.
func TestTheLargestRecordsFit(t *testing.T) {
	const limit = 1<<20 - 1024 // less subject and headers
	name := func(i int) string { return fmt.Sprintf("%s-%05d", strings.Repeat("x", streams.MaxName-6), i) }
	channel := &streampb.ChannelRecord{
		Kind: "private", Name: strings.Repeat("x", streams.MaxDisplayName), Creator: name(0), InfoSeq: 1 << 50, Seq: 1 << 50, V: 1 << 50, N: 1 << 40,
		Settings: &streampb.ChannelSettings{Category: strings.Repeat("x", streams.MaxDisplayName)},
	}
	for i := range streams.MaxChannelNamed {
		channel.Members = append(channel.Members, name(i))
		channel.LastSends = append(channel.LastSends, &streampb.LastSend{User: name(i), Ts: 1_794_000_000_000 + int64(i)})
	}
	for i := range streams.MaxUserGroups {
		channel.Settings.ReadGroups = append(channel.Settings.ReadGroups, name(i))
		channel.Settings.WriteGroups = append(channel.Settings.WriteGroups, name(i))
	}
	for i := range 1 << 16 {
		channel.Recalled = append(channel.Recalled, uint64(1<<26+i))
	}
	for i := range streams.MaxPins {
		channel.Pinned = append(channel.Pinned, uint64(1<<40+i))
	}
	channel.Settings.SlowModeMs = 6 * 60 * 60 * 1000
	s := group.New("g")
	s.RestoreChannel("c", channel)
	if got := proto.Size(s.ChannelRecord("c")); got > limit {
		t.Errorf("a channel's record takes %d bytes", got)
	}

	card := &streampb.CardRecord{Seq: 1 << 50}
	for i := range streams.MaxEmojis {
		r := &streampb.ReactionRecord{Emoji: strings.Repeat(string(rune('a'+i)), streams.MaxEmoji)}
		for k := range streams.MaxReactions / streams.MaxEmojis {
			r.Users = append(r.Users, uint64(k))
		}
		card.Reactions = append(card.Reactions, r)
	}
	data, err := proto.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(group.Entity{Channel: "c", Card: 1}, data); err != nil {
		t.Fatal(err)
	}
	if got := proto.Size(s.CardRecord("c", 1)); got > limit {
		t.Errorf("a message's reactions take %d bytes", got)
	}
}
