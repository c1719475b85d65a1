package transport

import "time"

// wheelSlots is how many ticks a wheel has; what is due later passes by.
const wheelSlots = 512

// Timer is the place of one owner of deadlines in a wheel. Its zero value is in
// none.
type Timer struct {
	due int64 // tick; 0: not scheduled
}

// Scheduled is who has a timer.
type Scheduled interface {
	comparable
	Timer() *Timer
}

// Wheel wakes those who have deadlines, never early and up to a tick late. Each
// is scheduled for its next deadline only and says the following one when woken.
// A wheel is its owner's alone: it has no lock.
type Wheel[T Scheduled] struct {
	tick  time.Duration
	begun time.Time
	now   int64 // the tick that was done last
	slots [wheelSlots][]T
	due   []T // reused by Advance
}

// NewWheel returns an empty wheel.
func NewWheel[T Scheduled](tick time.Duration, now time.Time) *Wheel[T] {
	return &Wheel[T]{tick: tick, begun: now}
}

// Schedule has t woken at a time, or earlier if that was said before.
func (w *Wheel[T]) Schedule(t T, at time.Time) {
	due := max(int64((at.Sub(w.begun)+w.tick-1)/w.tick), w.now+1)
	timer := t.Timer()
	if timer.due != 0 && timer.due <= due {
		return
	}
	timer.due = due
	w.slots[due%wheelSlots] = append(w.slots[due%wheelSlots], t)
}

// Advance wakes all who are due at a time. They may schedule themselves and
// others.
func (w *Wheel[T]) Advance(now time.Time, wake func(T)) {
	upto := int64(now.Sub(w.begun) / w.tick)
	for steps := 0; w.now < upto; steps++ {
		if steps == wheelSlots { // every slot was looked at
			w.now = upto
			return
		}
		w.now++
		w.step(upto, wake)
	}
}

// step does one slot.
func (w *Wheel[T]) step(upto int64, wake func(T)) {
	index := w.now % wheelSlots
	slot := w.slots[index]
	w.due = w.due[:0]
	kept := slot[:0]
	for _, t := range slot {
		switch timer := t.Timer(); {
		case timer.due == 0 || timer.due%wheelSlots != index: // was scheduled for earlier since
		case timer.due > upto:
			kept = append(kept, t)
		default:
			timer.due = 0
			w.due = append(w.due, t)
		}
	}
	clear(slot[len(kept):])
	if w.slots[index] = kept; len(kept) == 0 && cap(kept) > 64 {
		w.slots[index] = nil // after a storm
	}
	for _, t := range w.due {
		wake(t)
	}
	clear(w.due)
}
