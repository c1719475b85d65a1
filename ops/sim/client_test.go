package sim

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// client is one user whose commands an edge carries: one batch at a time,
// sent again in the same order until it is answered, as edge/owner does.
type client struct {
	world *world
	user  streams.User
	left  int   // commands it has yet to think of
	ops   []*op // all of them, in the order it sent them

	batch    []*op // of ops, not answered yet
	attempt  int
	sentAt   time.Time
	deadline time.Time
	answered []*streampb.Result // to the present attempt
}

// op is a command and what its sender was told.
type op struct {
	client *client
	number int // among the client's
	group  streams.Group
	id     streams.ClientID
	body   any
	told   *streampb.Result // nil: nothing
	giveUp bool             // its sender went on without an answer
}

func (o *op) String() string {
	return fmt.Sprintf("%s/%d %T %s", o.client.user, o.number, o.body, o.group)
}

func newClient(w *world, number int) *client {
	return &client{world: w, user: streams.User(fmt.Sprintf("u%d", number)), left: 30 + w.below(50)}
}

func (c *client) step() {
	w := c.world
	switch {
	case w.below(6) == 0:
		c.read()
	case c.answered != nil:
		c.take()
	case len(c.batch) == 0 && c.left > 0:
		for range min(c.left, 1+w.below(4)) {
			c.left--
			o := c.think()
			c.ops = append(c.ops, o)
			c.batch = append(c.batch, o)
			w.trace("%v is made", o)
		}
		c.deadline = w.now.Add(5 * time.Second)
		c.send()
	case len(c.batch) > 0 && w.now.Sub(c.sentAt) > 2*time.Second:
		c.again()
	}
}

// read asks whoever listens where a group stands: all that was acknowledged
// before must be in the answer.
func (c *client) read() {
	w := c.world
	i, g, before := w.instances[w.below(len(w.instances))], groups[w.below(2)], w.acknowledged
	if !i.listens() {
		return
	}
	i.request([]sequencer.Command{readSnapshot(g)}, func(results []*streampb.Result) {
		if snap := results[0].GetSnapshot(); snap != nil && snap.GetSeq() < before {
			w.problem("epoch %d answers a read as of %d, and %d was acknowledged before", snap.GetEpoch(), snap.GetSeq(), before)
		}
	})
}

func readSnapshot(g streams.Group) sequencer.Command {
	return sequencer.Command{Group: g, Request: group.Request{User: "@server", Server: true, Body: &streampb.ReadSnapshot{}}}
}

// again sends once more, unless time has run out: then an application repeats
// it, or goes on with something else.
func (c *client) again() {
	w := c.world
	if w.now.After(c.deadline) {
		if w.chance(0.2) {
			for _, op := range c.batch {
				op.giveUp = true
				w.trace("%v is given up", op)
			}
			c.batch = nil
			c.attempt++
			return
		}
		c.deadline = w.now.Add(5 * time.Second)
	}
	c.send()
}

// send brings the batch to all who listen on the partition's subject.
func (c *client) send() {
	w := c.world
	c.attempt++
	c.sentAt = w.now
	attempt := c.attempt
	for _, i := range w.instances {
		if !i.listens() || w.chance(0.02) || i.number != w.leader && w.chance(0.3) {
			continue
		}
		commands := make([]sequencer.Command, len(c.batch))
		for k, op := range c.batch {
			commands[k] = sequencer.Command{Group: op.group, ClientID: op.id, Request: group.Request{User: c.user, Body: op.body}}
		}
		i.request(commands, func(results []*streampb.Result) {
			if c.attempt != attempt || c.answered != nil || w.chance(0.02) {
				return
			}
			c.answered = results
		})
	}
}

// take notes the answers; commands at the end that could not be decided now
// are sent again.
func (c *client) take() {
	w, results := c.world, c.answered
	c.answered = nil
	c.attempt++ // what another owner answers to this one is not heard
	if len(results) != len(c.batch) {
		w.problem("client %s: %d results for %d commands", c.user, len(results), len(c.batch))
		return
	}
	for len(results) > 0 && results[len(results)-1].GetRejection().GetCode() == string(streams.Unavailable) {
		results = results[:len(results)-1]
	}
	for k, r := range results {
		c.batch[k].told = r
		if r.GetRejection() == nil && !r.GetAlready() {
			w.acknowledged = max(w.acknowledged, r.GetSeq())
		}
		w.trace("%v is told v %d n %d seq %d %s", c.batch[k], r.GetV(), r.GetN(), r.GetSeq(), r.GetRejection().GetCode())
	}
	c.batch = c.batch[len(results):]
	if len(c.batch) > 0 {
		c.again()
	}
}

// openings are the first commands of everybody, for one group and the other:
// create, join, create a channel.
var openings = []int{0, 0, 3, 3, 10, 10}

// think makes a command.
func (c *client) think() *op {
	w := c.world
	o := &op{client: c, number: len(c.ops), group: groups[w.below(2)]}
	var entropy [10]byte
	for k := range entropy {
		entropy[k] = byte(w.below(256))
	}
	o.id = streams.MakeClientID(w.now.UnixMilli(), entropy)
	channel := []string{"a", "b"}[w.below(2)]
	text := []byte(fmt.Sprintf("%s/%d", c.user, o.number))
	k := w.below(100)
	if o.number < len(openings) {
		k, o.group, channel = openings[o.number], groups[o.number%2], []string{"a", "b"}[o.number%2]
	}
	switch {
	case k < 3:
		o.body = &streampb.CreateGroup{Kind: "community", Name: string(text), Settings: &streampb.SettingsPatch{
			Attrs: streampb.Role_ROLE_MEMBER.Enum(),
		}}
	case k < 9:
		o.body = &streampb.Join{}
	case k < 10:
		o.body = &streampb.Leave{}
	case k < 15:
		o.body = &streampb.CreateChannel{Channel: channel, Kind: "public"}
	case k < 20:
		o.body = &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{MuteAll: proto.Bool(w.below(2) == 0)}}
	case k < 22:
		o.body = &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{SlowModeMs: proto.Int64(int64(500 * w.below(2)))}}
	case k < 30:
		o.body = &streampb.Edit{Channel: channel, N: uint64(1 + w.below(12)), Body: text}
	case k < 36:
		o.body = &streampb.Recall{Channel: channel, N: uint64(1 + w.below(12))}
	case k < 44:
		o.body = c.moderate()
	case k < 50:
		o.body = c.touch(channel, string(text))
	default:
		o.body = &streampb.Send{Channel: channel, Type: "text", Body: text, MentionAll: w.below(8) == 0}
	}
	return o
}

// moderate makes a command about another member: above all what lets others go
// on, for a group of banned and muted users is quiet.
func (c *client) moderate() *streampb.ActOnMember {
	w := c.world
	acts := []streampb.Act{
		streampb.Act_ACT_ADD, streampb.Act_ACT_ADD, streampb.Act_ACT_UNBAN, streampb.Act_ACT_UNMUTE, streampb.Act_ACT_ROLE,
		streampb.Act_ACT_KICK, streampb.Act_ACT_BAN, streampb.Act_ACT_MUTE,
	}
	act := &streampb.ActOnMember{
		User: fmt.Sprintf("u%d", w.below(6)), Act: acts[w.below(len(acts))], Role: streampb.Role(1 + w.below(4)),
	}
	if w.below(3) > 0 && (act.Act == streampb.Act_ACT_MUTE || act.Act == streampb.Act_ACT_BAN) {
		act.Until = w.now.UnixMilli() + 2000
	}
	return act
}

// touch makes a command about what is loaded when it is needed: reactions and
// attributes.
func (c *client) touch(channel, text string) any {
	w := c.world
	n, emoji, key := uint64(1+w.below(6)), []string{"+", "-"}[w.below(2)], []string{"k", "l", "m"}[w.below(3)]
	at := channel
	if w.below(2) == 0 {
		at = string(streams.GroupChannel)
	}
	switch w.below(8) {
	case 0, 1:
		return &streampb.SetAttributes{Channel: at, Set: map[string]string{key: text}}
	case 2:
		return &streampb.SetAttributes{Channel: at, Set: map[string]string{key: text}, IfV: map[string]uint64{key: 0}}
	case 3:
		return &streampb.SetAttributes{Channel: at, Del: []string{key}}
	case 4, 5:
		return &streampb.Unreact{Channel: channel, N: n, Emoji: emoji}
	}
	return &streampb.React{Channel: channel, N: n, Emoji: emoji}
}

// target is the message the command is about, if it is an edit or recall.
func (o *op) target() (key messageKey, ok bool) {
	key.group = o.group
	switch body := o.body.(type) {
	case *streampb.Edit:
		key.channel, key.n = streams.Channel(body.GetChannel()), streams.Number(body.GetN())
	case *streampb.Recall:
		key.channel, key.n = streams.Channel(body.GetChannel()), streams.Number(body.GetN())
	default:
		return key, false
	}
	return key, true
}
