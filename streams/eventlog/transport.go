package eventlog

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Transport is what reading and writing need of NATS. [OverNATS] is the real
// one; a simulation puts its own in its place, under the same code.
type Transport interface {
	// Publish hands a message to NATS without waiting.
	Publish(msg *nats.Msg) error
	// Request returns the one answer to a question.
	Request(ctx context.Context, subject string, body []byte) (*nats.Msg, error)
	// RequestMany hands visit the answers to a question until it returns false.
	RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) (more bool)) error
	// Subscribe puts what comes to subject into box until stop is called. It
	// never waits: what does not fit is lost.
	Subscribe(subject string, box chan *nats.Msg) (stop func(), err error)
}

// OverNATS is a connection as a [Transport].
func OverNATS(conn *nats.Conn) Transport { return overNATS{conn} }

type overNATS struct{ conn *nats.Conn }

func (n overNATS) Publish(msg *nats.Msg) error { return n.conn.PublishMsg(msg) }

func (n overNATS) Request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	return n.conn.RequestWithContext(ctx, subject, body)
}

func (n overNATS) RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	inbox := nats.NewInbox()
	sub, err := n.conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	// A page may hold more than the client's default of 64 MB only if pageBytes
	// is raised; say so instead of losing messages silently.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	if err := n.conn.PublishRequest(subject, inbox, body); err != nil {
		return err
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if !visit(msg) {
			return nil
		}
	}
}

// Subscribe has the connection's reader fill box itself: a callback would be a
// goroutine more to wake for each message.
func (n overNATS) Subscribe(subject string, box chan *nats.Msg) (stop func(), err error) {
	sub, err := n.conn.ChanSubscribe(subject, box)
	if err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only where the connection is gone
}
