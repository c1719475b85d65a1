package eventlog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
)

func TestAQuestionTakesAllAnswersHoweverSlowItsReader(t *testing.T) {
	t.Parallel()
	n := streamtest.New(t)
	const count = eventlog.MaxAnswers
	sent := make(chan error, 1)
	_, err := n.Conn.Subscribe("question", func(msg *nats.Msg) {
		for i := range count {
			if err := msg.Respond([]byte{byte(i), byte(i >> 8)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- n.Conn.Flush() // what was sent before has come back
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := 0
	err = eventlog.OverNATS(n.Conn).RequestMany(ctx, "question", nil, func(msg *nats.Msg) bool {
		if got == 0 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
		if int(msg.Data[0])|int(msg.Data[1])<<8 != got {
			t.Errorf("answer %d came as %v", got, msg.Data)
		}
		got++
		return got < count
	})
	if err != nil || got != count {
		t.Errorf("got %d answers and %v, want %d", got, err, count)
	}
}

func TestAQuestionThatNobodyTakesEnds(t *testing.T) {
	t.Parallel()
	n := streamtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := eventlog.OverNATS(n.Conn).RequestMany(ctx, "nobody", nil, func(*nats.Msg) bool { return true })
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("got %v", err)
	}
}

func TestAQuestionEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	n := streamtest.New(t)
	conn := n.Connection(t)
	taken, err := n.Conn.SubscribeSync("question") // and not answered
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { // waited for below
		ended <- eventlog.OverNATS(conn).RequestMany(ctx, "question", nil, func(*nats.Msg) bool { return true })
	}()
	if _, err := taken.NextMsgWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := <-ended; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v", err)
	}
}
