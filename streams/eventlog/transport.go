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

// maxAnswers is how many messages one question is answered with at most: what a
// consumer is asked for, which is more than a page or the newest of as many
// subjects as the server tells of, and the end of it.
const maxAnswers = pullMessages + 1

// OverNATS is a connection as a [Transport].
func OverNATS(conn *nats.Conn) Transport { return overNATS{conn} }

type overNATS struct{ conn *nats.Conn }

func (n overNATS) Publish(msg *nats.Msg) error { return n.conn.PublishMsg(msg) }

func (n overNATS) Request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	return n.conn.RequestWithContext(ctx, subject, body)
}

func (n overNATS) RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	inbox := nats.NewInbox()
	// Not SubscribeSync, whose queue of 512 KiB is made and cleared for each
	// question: that is most of what a small answer costs. It would also tell
	// when the connection is closed; here that is asked for.
	box := make(chan *nats.Msg, maxAnswers)
	sub, err := n.conn.ChanSubscribe(inbox, box)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	closed := n.conn.StatusChanged(nats.CLOSED)
	defer n.conn.RemoveStatusListener(closed)
	if err := n.conn.PublishRequest(subject, inbox, body); err != nil {
		return err
	}
	for {
		var msg *nats.Msg
		select {
		case msg = <-box: // without looking at the others while there are answers
		default:
			select {
			case msg = <-box:
			case <-closed:
				return nats.ErrConnectionClosed
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
			return nats.ErrNoResponders
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
