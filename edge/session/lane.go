package session

import (
	"context"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// item is one command in a lane.
type item struct {
	id   uint64
	task *command.Task
}

// lane is the commands on one group in the order they were sent. It exists
// while it has something to do.
type lane struct {
	queue []item // guarded by session.mu; bounded by maxOutstanding
}

// enqueue puts a command into its lane and starts that if it was idle.
func (s *session) enqueue(it item) {
	group := it.task.Group
	s.mu.Lock()
	l := s.lanes[group]
	idle := l == nil
	if idle {
		l = &lane{}
		if s.lanes == nil {
			s.lanes = map[streams.Group]*lane{}
		}
		s.lanes[group] = l
	}
	l.queue = append(l.queue, it)
	s.mu.Unlock()
	if idle {
		s.do(func(ctx context.Context) { s.serveLane(ctx, group, l) })
	}
}

// serveLane does a lane's commands until there are none.
func (s *session) serveLane(ctx context.Context, group streams.Group, l *lane) {
	for {
		batch := s.next(group, l)
		if batch == nil {
			return
		}
		first := batch[0]
		switch {
		case first.task.Writes():
			s.writeBatch(batch)
		case first.task.Undo != nil: // it takes long, and nothing waits for it
			s.do(func(context.Context) {
				s.settle(first.id, s.endpoint.config.Runner.Rollback(s.endpoint.life, first.task), reply{})
			})
		case first.task.Name == wire.Subscribe:
			if s.beginRead(ctx) {
				s.subscribe(ctx, first)
			}
		case first.task.Name == wire.Unsubscribe:
			s.unsubscribe(first)
		case first.task.Name == wire.Signal:
			s.passSignal(ctx, first)
		case first.task.Name == wire.Hide: // what is asked for behind it is to know of it
			s.settle(first.id, s.endpoint.config.Runner.Read(ctx, first.task), reply{})
		case s.beginRead(ctx):
			s.do(func(ctx context.Context) {
				s.settle(first.id, s.endpoint.config.Runner.Read(ctx, first.task), reply{read: true})
			})
		}
	}
}

// next takes from the queue what is done together: the writes up to the next
// command of another sort, or that one. nil ends the lane.
func (s *session) next(group streams.Group, l *lane) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.queue) == 0 {
		if delete(s.lanes, group); len(s.lanes) == 0 {
			s.lanes = nil // at rest a session holds no map
		}
		return nil
	}
	n, bytes := 1, l.queue[0].task.Size()
	for l.queue[0].task.Writes() && n < len(l.queue) && n < streams.MaxBatchCommands && l.queue[n].task.Writes() {
		if bytes += l.queue[n].task.Size(); bytes > owner.MaxBatchBytes {
			break
		}
		n++
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

// writeBatch has writes decided and answers them. What was taken is finished
// even if the connection ends meanwhile.
func (s *session) writeBatch(batch []item) {
	tasks := make([]*command.Task, len(batch))
	for i, it := range batch {
		tasks[i] = it.task
	}
	for i, a := range s.endpoint.config.Runner.Write(s.endpoint.life, tasks) {
		s.settle(batch[i].id, a, reply{})
	}
}
