// Package logtest makes logs for tests: random but well-formed events of many
// channels, and what the tables must hold once they are projected.
package logtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Log is the log of one partition as its sequencer would write it.
type Log struct {
	Partition streams.Partition
	Epoch     streams.Epoch
	Events    []*streams.Event // all that were made, in order

	random   *rand.Rand
	channels []*channel
	ts       int64

	communities map[streams.Group]*community
}

type channel struct {
	group    streams.Group
	name     streams.Channel
	v        streams.Version
	n        streams.Number
	prev     streams.Seq
	recalled map[uint64]bool

	reactions map[string]map[string]bool // users by message and emoji

	reacted     uint64 // the latest reaction: message, emoji, user
	emoji, user string
}

// New returns an empty log with that many groups of two channels each, @ and
// @members besides.
func New(partition streams.Partition, seed uint64, groups int) *Log {
	l := &Log{Partition: partition, random: rand.New(rand.NewPCG(seed, seed)), ts: 1_794_000_000_000, communities: map[streams.Group]*community{}}
	for i := range groups {
		for _, name := range []streams.Channel{"general", "off-topic", streams.MembersChannel, streams.GroupChannel} {
			l.channels = append(l.channels, &channel{
				group: streams.Group(fmt.Sprintf("p%dg%d", partition, i)), name: name, recalled: map[uint64]bool{},
			})
		}
	}
	return l
}

// hostile are bodies that break what is not escaped.
var hostile = []string{
	"tab\there", "line\nbreak\r\n", `back\slash \t \N \\`, `'single' "double" ` + "`tick`", "nul\x00inside\x00",
	"emoji 👩‍👩‍👧‍👦 🏳️‍🌈", "{name:String} @name ? $1", "'); DROP TABLE messages; --", "\x01\x02\x7f", "  white space\u00a0 ",
}

// Next makes the next event, to be stored at seq.
func (l *Log) Next(seq streams.Seq) *streams.Event {
	c := l.channels[l.random.IntN(len(l.channels))]
	l.ts += l.random.Int64N(5000)
	switch c.name {
	case streams.MembersChannel:
		return l.memberEvent(seq, c)
	case streams.GroupChannel:
		return l.groupEvent(seq, c)
	}
	if l.random.IntN(30) == 0 {
		return l.attributeEvent(seq, c)
	}
	if old := l.pick(c); old != 0 {
		switch l.random.IntN(8) {
		case 0:
			return l.make(seq, c, streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: old, Body: l.body()}})
		case 1:
			if l.random.IntN(3) == 0 {
				return l.make(seq, c, streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: old}})
			}
		case 2:
			return l.reactionEvent(seq, c, old)
		case 3:
			if l.random.IntN(3) == 0 {
				return l.make(seq, c, streams.Pinned{Pinned: &streampb.Pinned{Target: old}})
			}
			return l.reactionEvent(seq, c, max(old, 3)-2) // some on messages recalled, some on few messages
		}
	}
	message := &streampb.MessagePosted{
		Type: "text", Body: l.body(), MentionAll: l.random.IntN(10) == 0,
		Priority: streampb.Priority(l.random.IntN(3)), ReplyTo: l.pick(c),
	}
	if l.random.IntN(4) == 0 {
		message.Mentions = []string{"alice", "bob"}
		message.MentionRoles = []string{"admin"}
	}
	if l.random.IntN(10) == 0 {
		message.Expires, message.BodyJson, message.Body = l.ts+60_000, true, []byte(`{"a":"\t\u0000'"}`)
	}
	return l.make(seq, c, streams.MessagePosted{MessagePosted: message})
}

// pick returns a message that is not recalled, or 0: mostly a recent one.
func (l *Log) pick(c *channel) uint64 {
	if c.n == 0 {
		return 0
	}
	n := uint64(c.n) - min(uint64(c.n)-1, uint64(l.random.IntN(1+l.random.IntN(200))))
	if c.recalled[n] {
		return 0
	}
	return n
}

func (l *Log) body() []byte {
	body := hostile[l.random.IntN(len(hostile))]
	return fmt.Appendf(nil, "%s %d", body, l.random.IntN(1000))
}

// make makes an event of the channel with that payload.
func (l *Log) make(seq streams.Seq, c *channel, payload streams.Payload) *streams.Event {
	c.v++
	if p, ok := payload.(streams.MessageRecalled); ok {
		c.recalled[p.GetTarget()] = true
	}
	if _, ok := payload.(streams.MessagePosted); ok {
		c.n++
	}
	var entropy [10]byte
	for i := range entropy {
		entropy[i] = byte(l.random.Uint32())
	}
	e := &streams.Event{
		Group: c.group, Channel: c.name, V: c.v, N: c.n, Seq: seq, Epoch: l.Epoch, Prev: c.prev,
		TS: l.ts, User: streams.User(fmt.Sprintf("user%d", l.random.IntN(20))),
		ClientID: streams.MakeClientID(l.ts, entropy), Payload: payload,
	}
	c.prev = seq
	l.Events = append(l.Events, e)
	return e
}

// Message posts a text in a channel of its own choosing.
func (l *Log) Message(seq streams.Seq, group streams.Group, name streams.Channel, body []byte) *streams.Event {
	return l.make(seq, l.channel(group, name), streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: body}})
}

// Edit edits message n.
func (l *Log) Edit(seq streams.Seq, group streams.Group, name streams.Channel, n uint64, body []byte) *streams.Event {
	return l.make(seq, l.channel(group, name), streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: n, Body: body}})
}

// Recall recalls message n.
func (l *Log) Recall(seq streams.Seq, group streams.Group, name streams.Channel, n uint64) *streams.Event {
	return l.make(seq, l.channel(group, name), streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: n}})
}

// Skip takes a version for an event that is not made by this log.
func (l *Log) Skip(seq streams.Seq, group streams.Group, name streams.Channel) {
	c := l.channel(group, name)
	c.v, c.prev = c.v+1, seq
}

func (l *Log) channel(group streams.Group, name streams.Channel) *channel {
	i := slices.IndexFunc(l.channels, func(c *channel) bool { return c.group == group && c.name == name })
	if i < 0 {
		i = len(l.channels)
		l.channels = append(l.channels, &channel{group: group, name: name, recalled: map[uint64]bool{}})
	}
	return l.channels[i]
}

// Channels makes count channels and returns, for each, what posts in it.
func (l *Log) Channels(count int) []func(streams.Seq) *streams.Event {
	posts := make([]func(streams.Seq) *streams.Event, count)
	for i := range posts {
		c := &channel{group: streams.Group(fmt.Sprintf("many%d", i)), name: "c", recalled: map[uint64]bool{}}
		posts[i] = func(seq streams.Seq) *streams.Event {
			return l.make(seq, c, streams.MessagePosted{MessagePosted: &streampb.MessagePosted{Type: "text", Body: []byte("x")}})
		}
	}
	return posts
}

// Drop forgets the events of a channel from one version to another, both
// included: they are not expected in the tables.
func (l *Log) Drop(from, to streams.Version, name streams.Channel) {
	l.Events = slices.DeleteFunc(l.Events, func(e *streams.Event) bool {
		return e.Channel == name && from <= e.V && e.V <= to
	})
}
