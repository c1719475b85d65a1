package sequencer

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// simClient is one user whose commands an edge carries: one batch at a time,
// sent again in the same order until it is answered, as edge/owner does.
type simClient struct {
	world *simWorld
	user  streams.User
	left  int      // commands it has yet to think of
	ops   []*simOp // all of them, in the order it sent them

	batch    []*simOp // of ops, not answered yet
	attempt  int
	sentAt   time.Time
	deadline time.Time
	answered []*streampb.Result // to the present attempt
}

// simOp is a command and what its sender was told.
type simOp struct {
	client *simClient
	number int // among the client's
	group  streams.Group
	id     streams.ClientID
	body   any
	told   *streampb.Result // nil: nothing
	zombie bool             // by an owner behind whose back a newer fence stood
	giveUp bool             // its sender went on without an answer
}

func (o *simOp) String() string {
	return fmt.Sprintf("%s/%d %T %s", o.client.user, o.number, o.body, o.group)
}

func newSimClient(w *simWorld, number int) *simClient {
	return &simClient{world: w, user: streams.User(fmt.Sprintf("u%d", number)), left: 20 + w.below(40)}
}

func (c *simClient) step() {
	w := c.world
	switch {
	case c.answered != nil:
		c.take()
	case len(c.batch) == 0 && c.left > 0:
		for range min(c.left, 1+w.below(4)) {
			c.left--
			op := c.think()
			c.ops = append(c.ops, op)
			c.batch = append(c.batch, op)
			w.trace("%v is made", op)
		}
		c.deadline = w.now.Add(5 * time.Second)
		c.send()
	case len(c.batch) > 0 && w.now.Sub(c.sentAt) > 2*time.Second:
		c.again()
	}
}

// again sends once more, unless time has run out: then an application repeats
// it, or goes on with something else.
func (c *simClient) again() {
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
func (c *simClient) send() {
	w := c.world
	c.attempt++
	c.sentAt = w.now
	attempt := c.attempt
	for _, i := range w.instances {
		if i.term == nil || w.chance(0.02) {
			continue
		}
		commands := make([]Command, len(c.batch))
		for k, op := range c.batch {
			commands[k] = Command{Group: op.group, ClientID: op.id, Request: group.Request{User: c.user, Body: op.body}}
		}
		ops := c.batch
		i.submit(commands, func(results []*streampb.Result) {
			if c.attempt != attempt || c.answered != nil || w.chance(0.02) {
				return
			}
			c.answered = results
			for _, op := range ops {
				op.zombie = i.epochIsOld()
			}
		})
	}
}

// take notes the answers; commands at the end that could not be decided now
// are sent again.
func (c *simClient) take() {
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
		w.trace("%v is told v %d n %d seq %d %s", c.batch[k], r.GetV(), r.GetN(), r.GetSeq(), r.GetRejection().GetCode())
	}
	c.batch = c.batch[len(results):]
	if len(c.batch) > 0 {
		c.again()
	}
}

// think makes a command.
func (c *simClient) think() *simOp {
	w := c.world
	op := &simOp{client: c, number: len(c.ops), group: streams.Group([]string{"g", "h"}[w.below(2)])}
	var entropy [10]byte
	for k := range entropy {
		entropy[k] = byte(w.below(256))
	}
	op.id = streams.MakeClientID(w.now.UnixMilli(), entropy)
	channel := []string{"a", "b"}[w.below(2)]
	text := []byte(fmt.Sprintf("%s/%d", c.user, op.number))
	switch k := w.below(100); {
	case k < 6 || op.number < 2:
		op.body = &streampb.CreateGroup{Kind: "community", Name: string(text), Settings: &streampb.SettingsPatch{
			Attrs: streampb.Role_ROLE_MEMBER.Enum(),
		}}
	case k < 14:
		op.body = &streampb.Join{}
	case k < 16:
		op.body = &streampb.Leave{}
	case k < 24:
		op.body = &streampb.CreateChannel{Channel: channel, Kind: "public"}
	case k < 27:
		op.body = &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{MuteAll: proto.Bool(w.below(3) == 0)}}
	case k < 29:
		op.body = &streampb.UpdateGroup{Settings: &streampb.SettingsPatch{SlowModeMs: proto.Int64(int64(500 * w.below(2)))}}
	case k < 37:
		op.body = &streampb.Edit{Channel: channel, N: uint64(1 + w.below(12)), Body: text}
	case k < 50:
		// Above all what lets others go on: a group of banned and muted users is quiet.
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
		op.body = act
	case k < 54:
		op.body = &streampb.Recall{Channel: channel, N: uint64(1 + w.below(12))}
	case k < 60:
		op.body = c.touch(channel, string(text))
	default:
		op.body = &streampb.Send{Channel: channel, Type: "text", Body: text, MentionAll: w.below(8) == 0}
	}
	return op
}

// touch makes a command about what is loaded when it is needed: reactions and
// attributes.
func (c *simClient) touch(channel, text string) any {
	w := c.world
	n, emoji, key := uint64(1+w.below(6)), []string{"+", "-"}[w.below(2)], []string{"k", "l", "m"}[w.below(3)]
	if w.below(2) == 0 {
		channel = string(streams.GroupChannel)
	}
	switch w.below(8) {
	case 0, 1:
		return &streampb.SetAttributes{Channel: channel, Set: map[string]string{key: text}}
	case 2:
		return &streampb.SetAttributes{Channel: channel, Set: map[string]string{key: text}, IfV: map[string]uint64{key: 0}}
	case 3:
		return &streampb.SetAttributes{Channel: channel, Del: []string{key}}
	case 4, 5:
		return &streampb.Unreact{Channel: []string{"a", "b"}[w.below(2)], N: n, Emoji: emoji}
	}
	return &streampb.React{Channel: []string{"a", "b"}[w.below(2)], N: n, Emoji: emoji}
}
