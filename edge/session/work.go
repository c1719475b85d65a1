package session

import (
	"context"
	"errors"
)

// work is the commands a session has under way. At rest it holds nothing, as
// most sessions are most of the time.
type work struct {
	running  int             // goroutines of do
	ctx      context.Context // of those, nil without any; ends when the connection does
	cancel   context.CancelCauseFunc
	over     bool            // the connection has ended
	reading  int             // large answers in the making or unwritten, at most maxReads
	awaiting []chan struct{} // who waits for a place among them, each closed when it has one; at most a lane each
}

var errEnded = errors.New("the connection ended")

// do runs a task in a goroutine, with a context that ends when the connection
// does. [session.finish] waits for it.
func (s *session) do(task func(context.Context)) {
	s.mu.Lock()
	if s.running == 0 {
		s.ctx, s.cancel = context.WithCancelCause(s.endpoint.life)
		if s.over {
			s.cancel(errEnded)
		}
	}
	s.running++
	ctx := s.ctx
	s.mu.Unlock()
	s.tasks.Go(func() {
		defer s.done()
		task(ctx)
	})
}

func (s *session) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 {
		s.cancel(nil)
		s.ctx, s.cancel = nil, nil
	}
}

// abandon ends the context of what is under way.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.cancel != nil {
		s.cancel(errEnded)
	}
}

// beginRead waits for a place among the large answers; false: the connection
// has ended.
func (s *session) beginRead(ctx context.Context) bool {
	s.mu.Lock()
	if s.reading < maxReads {
		s.reading++
		s.mu.Unlock()
		return true
	}
	place := make(chan struct{})
	s.awaiting = append(s.awaiting, place)
	s.mu.Unlock()
	select {
	case <-place:
		return true
	case <-ctx.Done():
		return false
	}
}

// endRead gives a place back, or on to who waits longest; s.mu is held.
func (s *session) endRead() {
	if len(s.awaiting) == 0 {
		s.reading--
		return
	}
	close(s.awaiting[0])
	if s.awaiting = s.awaiting[1:]; len(s.awaiting) == 0 {
		s.awaiting = nil
	}
}
