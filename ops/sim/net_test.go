package sim

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// conn is one process's connection to NATS. What it publishes lies in out
// until the scheduler takes it to the server, what comes to its subscriptions
// in in until the scheduler brings it, each in order. Questions are tasks'.
type conn struct {
	world  *world
	name   string
	out    []*nats.Msg
	in     []*nats.Msg
	subs   []*subscription
	tasks  int
	paused int  // steps its process will not be given
	dead   bool // its process is gone; what has left it may still arrive
}

type subscription struct {
	subject string // a literal, or one that ends with .*
	box     chan *nats.Msg
}

var _ eventlog.Transport = (*conn)(nil)

func (w *world) connect(name string) *conn {
	c := &conn{world: w, name: name}
	w.conns = append(w.conns, c)
	return c
}

func (c *conn) Publish(msg *nats.Msg) error {
	if c.dead {
		return nats.ErrConnectionClosed
	}
	c.out = append(c.out, msg)
	return nil
}

func (c *conn) Subscribe(subject string, box chan *nats.Msg) (stop func(), err error) {
	s := &subscription{subject: subject, box: box}
	c.subs = append(c.subs, s)
	return func() {
		for i := range c.subs {
			if c.subs[i] == s {
				c.subs = append(c.subs[:i:i], c.subs[i+1:]...)
				return
			}
		}
	}, nil
}

func (s *subscription) matches(subject string) bool {
	prefix, any := strings.CutSuffix(s.subject, "*")
	return s.subject == subject || any && strings.HasPrefix(subject, prefix)
}

func (c *conn) Request(_ context.Context, subject string, body []byte) (*nats.Msg, error) {
	answers, err := c.exchange(subject, body)
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

func (c *conn) RequestMany(_ context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	answers, err := c.exchange(subject, body)
	if err != nil {
		return err
	}
	for _, msg := range answers {
		if !visit(msg) {
			return nil
		}
	}
	return errLost
}

func (c *conn) exchange(subject string, body []byte) ([]*nats.Msg, error) {
	answer, err := c.world.ask(c, subject, func() any {
		if answers := c.answer(subject, body); answers != nil {
			return answers
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer.([]*nats.Msg), nil
}

// answer is what the other side does with a question; nil if there is none.
func (c *conn) answer(subject string, body []byte) []*nats.Msg {
	w := c.world
	if name, ok := strings.CutPrefix(subject, "$JS.API.DIRECT.GET."); ok {
		s := w.stream(name)
		head, first := s.last(), s.first
		if !w.quiet && w.chance(0.3) { // of a replica that lags
			head -= min(head, streams.Seq(w.below(1+w.below(40))))
			first = s.formerFirst
		}
		w.trace("%s reads %s at %d: %s", c.name, name, head, body)
		return s.get(body, first, head)
	}
	if verb, name, ok := cutAdmin(subject); ok {
		w.trace("%s %s %s: %s", c.name, verb, name, body)
		return []*nats.Msg{{Data: w.stream(name).admin(verb, body)}}
	}
	if strings.HasPrefix(subject, "throng.query.") {
		return w.sink.query(subject, body)
	}
	s := w.streamOf(subject)
	if w.below(2) == 0 { // the same connection carries it behind what was published before
		for len(c.out) > 0 {
			c.deliverOut()
		}
	}
	ack := s.publish(&nats.Msg{Subject: subject, Data: body}, w.now)
	w.trace("%s puts %s at %d", c.name, subject, ack.Seq)
	return []*nats.Msg{{Data: ack.encode()}}
}

// deliverOut takes the oldest message to the server, or loses it.
func (c *conn) deliverOut() {
	w, msg := c.world, c.out[0]
	c.out = c.out[1:]
	s := w.streamOf(msg.Subject)
	if w.chance(0.01) {
		w.trace("%s: %s is lost", c.name, msg.Subject)
		return
	}
	if s == nil {
		w.spread(msg)
		return
	}
	var ack *ack
	if w.chance(0.003) {
		ack = refusal(10164, "wrong last sequence")
	} else {
		ack = s.publish(msg, w.now)
	}
	if ack == nil {
		return
	}
	w.trace("%s: %s at %d %v", c.name, msg.Subject, ack.Seq, ack.Error != nil)
	if msg.Reply == "" || c.dead || w.chance(0.01) {
		return
	}
	c.in = append(c.in, &nats.Msg{Subject: msg.Reply, Data: ack.encode()})
	if w.chance(0.01) {
		c.in = append(c.in, &nats.Msg{Subject: msg.Reply, Data: ack.encode()})
	}
}

// spread brings a message of no stream to all who listen.
func (w *world) spread(msg *nats.Msg) {
	for _, e := range w.edges {
		e.hear(msg)
	}
	for _, c := range w.conns {
		for _, s := range c.subs {
			if s.matches(msg.Subject) && !w.chance(0.02) {
				c.in = append(c.in, msg)
				break
			}
		}
	}
}

// deliverIn brings the oldest message to its subscription.
func (c *conn) deliverIn() {
	msg := c.in[0]
	c.in = c.in[1:]
	for _, s := range c.subs {
		if s.matches(msg.Subject) {
			select {
			case s.box <- msg:
			default: // full: lost
			}
			return
		}
	}
}

func (c *conn) step() {
	w := c.world
	switch {
	case len(c.out) > 0 && (len(c.in) == 0 || w.below(2) == 0):
		for range 1 + w.below(8) {
			if len(c.out) > 0 {
				c.deliverOut()
			}
		}
	case len(c.in) > 0 && c.paused == 0:
		for range 1 + w.below(8) {
			if len(c.in) > 0 {
				c.deliverIn()
			}
		}
	}
}

// die ends the process: some of what it published had left it.
func (c *conn) die() {
	w := c.world
	c.dead, c.paused = true, 0
	c.out = c.out[:w.below(len(c.out)+1)]
	c.in, c.subs = nil, nil
	w.end(c)
}

// bury forgets connections of processes that are gone and have nothing on its
// way any more.
func (w *world) bury() {
	kept := w.conns[:0]
	for _, c := range w.conns {
		if !c.dead || len(c.out) > 0 {
			kept = append(kept, c)
		}
	}
	clear(w.conns[len(kept):])
	w.conns = kept
}

func cutAdmin(subject string) (verb, name string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "$JS.API.STREAM.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}
