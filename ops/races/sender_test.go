package races

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// window is how many messages of one connection are on their way.
const window = 16

// sender sends messages on one connection and counts what became of them.
type sender struct {
	client *client
	as     string // whom a back end sends for; empty for the connection's user

	mu      sync.Mutex
	seqs    []uint64 // of accepted messages; guarded by mu
	refused int      // guarded by mu
}

func newSender(c *client, as string) *sender { return &sender{client: c, as: as} }

func (s *sender) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seqs)
}

func (s *sender) turnedAway() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *sender) places() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seqs)
}

// run keeps some messages on their way until ctx ends, and waits for the last
// answers. Errors: an answer that no rule explains, or none.
func (s *sender) run(ctx context.Context, most int) error {
	var sent []<-chan frame
	for i := 0; ctx.Err() == nil || len(sent) > 0; i++ {
		if ctx.Err() == nil && len(sent) < most {
			o := object{"group": "g", "channel": "c", "body": fmt.Sprint(i)}
			if s.as != "" {
				o["as"] = s.as
			}
			answer, err := s.client.begin("send", o)
			if err != nil {
				return err
			}
			sent = append(sent, answer)
			continue
		}
		select {
		case f, came := <-sent[0]:
			if !came {
				return errEnded
			}
			if err := s.take(f); err != nil {
				return err
			}
			sent = sent[1:]
		case <-time.After(patience):
			return errors.New("a message is not answered")
		}
	}
	return nil
}

func (s *sender) take(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Error != nil {
		switch streams.Code(f.Error.Code) {
		case streams.Muted, streams.NotMember, streams.Banned:
			s.refused++
			return nil
		}
		return fmt.Errorf("send: %w", f.Error)
	}
	var ok struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal(f.OK, &ok); err != nil {
		return fmt.Errorf("answer to send: %w", err)
	}
	s.seqs = append(s.seqs, ok.Seq)
	return nil
}

// delivery is one event, or head, a session was told of.
type delivery struct {
	seq uint64 // of a head, which has none, that of what was told before it
	at  time.Time
}

// follower is a session that follows the channel and notes what it is told.
type follower struct {
	client *client
	mode   string

	mu   sync.Mutex
	told []delivery // guarded by mu
	left chan time.Time
}

// follow opens a session; it is told nothing yet.
func follow(t testing.TB, listen, token, mode string) *follower {
	t.Helper()
	f := &follower{mode: mode, left: make(chan time.Time, 64)} // one for each removal that nobody has waited for
	f.client = connect(t, listen, token, f.hear)
	return f
}

// hear is called by the connection's reader.
func (f *follower) hear(said frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if said.Block != nil {
		for _, e := range said.Block.Events {
			f.told = append(f.told, delivery{e.Seq, said.at})
		}
	}
	if said.Heads != nil {
		last := uint64(0)
		if len(f.told) > 0 {
			last = f.told[len(f.told)-1].seq
		}
		f.told = append(f.told, delivery{last, said.at})
	}
	if said.Conversation != nil && said.Conversation.Left {
		f.left <- said.at
	}
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.told)
}

func (f *follower) all() []delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

// subscribe follows the channel. An edge may hear of the return a moment after
// another has answered it.
func (f *follower) subscribe(t testing.TB) {
	t.Helper()
	streamtest.Eventually(t, patience, "the channel is followed", func() bool {
		return f.client.call(t.Context(), "subscribe", object{"group": "g", "channel": "c", "mode": f.mode}, nil) == nil
	})
}

// awaitLeft waits until the session is told that its user is out.
func (f *follower) awaitLeft(t testing.TB) time.Time {
	t.Helper()
	select {
	case at := <-f.left:
		return at
	case <-time.After(patience):
		t.Fatal("the session is not told that its user has left")
		return time.Time{}
	}
}
