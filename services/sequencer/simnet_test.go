package sequencer

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

var errSimLost = errors.New("simulated: no answer")

// simConn is one process's connection to NATS. What it publishes lies in out
// until the scheduler takes it to the server, what is answered in in until the
// scheduler brings it back, each in order. Questions are answered at once, but
// the rest of the world goes on before and after.
type simConn struct {
	world *simWorld
	name  string
	out   []*nats.Msg
	in    []*nats.Msg
	subs  []*simSub
	dead  bool // its process is gone; what has left it may still arrive
}

type simSub struct {
	subject string // a literal, or one that ends with .*
	take    func(*nats.Msg)
}

var _ eventlog.Transport = (*simConn)(nil)

func (w *simWorld) connect(name string) *simConn {
	c := &simConn{world: w, name: name}
	w.conns = append(w.conns, c)
	return c
}

func (c *simConn) Publish(msg *nats.Msg) error {
	if c.dead {
		return nats.ErrConnectionClosed
	}
	c.out = append(c.out, msg)
	return nil
}

func (c *simConn) Subscribe(subject string, take func(*nats.Msg)) (stop func(), err error) {
	s := &simSub{subject: subject, take: take}
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

func (c *simConn) Request(_ context.Context, subject string, body []byte) (*nats.Msg, error) {
	answers, err := c.exchange(subject, body)
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

func (c *simConn) RequestMany(_ context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	answers, err := c.exchange(subject, body)
	if err != nil {
		return err
	}
	for _, msg := range answers {
		if !visit(msg) {
			return nil
		}
	}
	return errSimLost
}

func (c *simConn) exchange(subject string, body []byte) ([]*nats.Msg, error) {
	w := c.world
	w.meanwhile()
	if c.dead || w.chance(0.02) {
		w.trace("%s asks %s: lost", c.name, subject)
		return nil, errSimLost
	}
	answers := c.answer(subject, body)
	w.meanwhile()
	if c.dead || answers == nil || w.chance(0.02) {
		w.trace("%s asks %s: the answer is lost", c.name, subject)
		return nil, errSimLost
	}
	return answers, nil
}

// answer is what the server does with a question.
func (c *simConn) answer(subject string, body []byte) []*nats.Msg {
	w := c.world
	if name, ok := strings.CutPrefix(subject, "$JS.API.DIRECT.GET."); ok {
		s := w.stream(name)
		head := s.last()
		if w.chance(0.3) { // of a replica that lags
			head -= min(head, streams.Seq(w.below(1+w.below(40))))
		}
		w.trace("%s reads %s at %d: %s", c.name, name, head, body)
		return s.get(body, head)
	}
	if name, ok := strings.CutPrefix(subject, "$JS.API.STREAM.INFO."); ok {
		w.trace("%s lists %s: %s", c.name, name, body)
		return []*nats.Msg{{Data: w.stream(name).info(body)}}
	}
	s := w.streamOf(subject)
	if s == nil {
		return nil // nobody answers
	}
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
func (c *simConn) deliverOut() {
	w, msg := c.world, c.out[0]
	c.out = c.out[1:]
	if msg.Subject == streams.BeaconSubject(0) {
		for _, r := range w.readers {
			r.hear(msg)
		}
		return
	}
	if w.chance(0.01) {
		w.trace("%s: %s is lost", c.name, msg.Subject)
		return
	}
	var ack *simAck
	if w.chance(0.003) {
		ack = refusal(10164, "wrong last sequence")
	} else {
		ack = w.streamOf(msg.Subject).publish(msg, w.now)
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

// deliverIn brings the oldest answer back.
func (c *simConn) deliverIn() {
	msg := c.in[0]
	c.in = c.in[1:]
	for _, s := range c.subs {
		if prefix, ok := strings.CutSuffix(s.subject, "*"); s.subject == msg.Subject || ok && strings.HasPrefix(msg.Subject, prefix) {
			s.take(msg)
			return
		}
	}
}

func (c *simConn) step() {
	switch {
	case len(c.out) > 0 && (len(c.in) == 0 || c.world.below(2) == 0):
		for range 1 + c.world.below(8) {
			if len(c.out) > 0 {
				c.deliverOut()
			}
		}
	case len(c.in) > 0:
		for range 1 + c.world.below(8) {
			if len(c.in) > 0 {
				c.deliverIn()
			}
		}
	}
}

// die ends the process: some of what it published had left it.
func (c *simConn) die() {
	c.dead = true
	c.out = c.out[:c.world.below(len(c.out)+1)]
	c.in, c.subs = nil, nil
}
