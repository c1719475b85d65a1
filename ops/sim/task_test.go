package sim

import (
	"errors"
	"iter"
	"time"
)

var errLost = errors.New("simulated: no answer")

// task is a coroutine of a process. It runs until it asks something, and on
// when it has got its answer: no two run at once.
type task struct {
	conn  *conn // of its process
	next  func() (struct{}, bool)
	yield func(struct{}) bool

	// What it waits for.
	handle func() any // what the other side does with the question; nil once done
	answer any
	err    error
	at     time.Time // not before
}

// start lets f run as soon as the scheduler likes.
func (w *world) start(c *conn, f func()) {
	t := &task{conn: c}
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		f()
	})
	_ = stop // a task runs to its end: once its process is dead, every question fails
	t.next = next
	c.tasks++
	w.tasks = append(w.tasks, t)
}

// resume runs the i-th task on to its next question.
func (w *world) resume(i int) {
	t := w.tasks[i]
	w.tasks[i] = w.tasks[len(w.tasks)-1]
	w.tasks = w.tasks[:len(w.tasks)-1]
	w.run1(t)
}

func (w *world) run1(t *task) {
	former := w.current
	w.current = t
	_, alive := t.next()
	w.current = former
	if alive {
		w.tasks = append(w.tasks, t)
	} else {
		t.conn.tasks--
	}
}

// ask is what a process does that needs an answer: the other side handles it
// at some time, or never; the answer comes at some time, or never.
func (w *world) ask(c *conn, what string, handle func() any) (any, error) {
	t := w.current
	if t == nil || w.quiet {
		return handle(), nil // nothing happens meanwhile
	}
	if c.dead {
		return nil, errLost
	}
	t.handle, t.answer, t.err = handle, nil, nil
	t.yield(struct{}{})
	if c.dead {
		return nil, errLost
	}
	if t.err != nil {
		w.trace("%s asks %s: no answer", c.name, what)
	}
	return t.answer, t.err
}

// sleep lets time pass for the task.
func (w *world) sleep(d time.Duration) {
	t := w.current
	if t.conn.dead {
		return
	}
	t.at = w.now.Add(d)
	t.yield(struct{}{})
	t.at = time.Time{}
}

// stepTask brings one question or answer further.
func (w *world) stepTask() {
	if len(w.tasks) == 0 {
		return
	}
	i := w.below(len(w.tasks))
	t := w.tasks[i]
	switch {
	case t.conn.paused > 0 && t.handle == nil || w.now.Before(t.at):
	case t.handle == nil:
		w.resume(i)
	case w.chance(0.015):
		t.handle, t.err = nil, errLost
	default:
		t.answer, t.handle = t.handle(), nil
		if t.answer == nil || w.chance(0.015) {
			t.answer, t.err = nil, errLost
		}
	}
}

// end runs all tasks of a dead process to their ends. What they asked may still
// be done.
func (w *world) end(c *conn) {
	for c.tasks > 0 {
		for i := 0; i < len(w.tasks); i++ {
			if t := w.tasks[i]; t.conn == c {
				if t.handle != nil && w.below(2) == 0 {
					w.ghosts = append(w.ghosts, t.handle)
				}
				t.handle = nil
				w.resume(i)
				i--
			}
		}
	}
}

// stepGhost does what a process asked before it died.
func (w *world) stepGhost() {
	if len(w.ghosts) > 0 {
		i := w.below(len(w.ghosts))
		f := w.ghosts[i]
		w.ghosts = append(w.ghosts[:i], w.ghosts[i+1:]...)
		w.trace("what a dead process asked is done")
		f()
	}
}
