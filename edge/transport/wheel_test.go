package transport

import (
	"fmt"
	"testing"
	"time"
)

type alarm struct {
	Place Timer
	name  string
}

func (a *alarm) Timer() *Timer { return &a.Place }

func TestWheelWakesAtTheTick(t *testing.T) {
	begun := time.Unix(1000, 0)
	w := NewWheel[*alarm](100*time.Millisecond, begun)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	var woken []string
	advance := func(ms int) string {
		woken = nil
		w.Advance(at(ms), func(a *alarm) { woken = append(woken, a.name) })
		return fmt.Sprint(woken)
	}
	a, b, far := &alarm{name: "a"}, &alarm{name: "b"}, &alarm{name: "far"}
	w.Schedule(a, at(250))
	w.Schedule(b, at(900))
	w.Schedule(b, at(300)) // earlier after all
	w.Schedule(b, at(500)) // said before: no later
	w.Schedule(far, at(100*wheelSlots+50))
	for _, step := range []struct {
		ms   int
		want string
	}{{200, "[]"}, {299, "[]"}, {300, "[a b]"}, {1000, "[]"}, {100 * wheelSlots, "[]"}, {100*wheelSlots + 99, "[]"}, {100*wheelSlots + 100, "[far]"}} {
		if got := advance(step.ms); got != step.want {
			t.Errorf("at %d ms: %s, want %s", step.ms, got, step.want)
		}
	}
	now := 100*wheelSlots + 100
	w.Schedule(a, at(0)) // past: the next tick
	if got := advance(now + 100); got != "[a]" {
		t.Errorf("what is past: %s", got)
	}
	w.Schedule(a, at(now+500))
	w.Schedule(b, at(now+40*60*1000))
	if got := advance(now + 3*60*60*1000); got != "[a b]" && got != "[b a]" {
		t.Errorf("after a long sleep: %s", got)
	}
}

// Whoever is woken may schedule itself again, as all do.
func TestWheelOfHeartbeats(t *testing.T) {
	begun := time.Unix(1000, 0)
	w := NewWheel[*alarm](time.Second, begun)
	beats := 0
	for range 1000 {
		w.Schedule(&alarm{}, begun.Add(25*time.Second))
	}
	for s := 1; s <= 250; s++ {
		now := begun.Add(time.Duration(s) * time.Second)
		w.Advance(now, func(a *alarm) {
			beats++
			w.Schedule(a, now.Add(25*time.Second))
			w.Schedule(a, now.Add(60*time.Second))
		})
	}
	if beats != 10*1000 {
		t.Errorf("%d beats, want 10,000", beats)
	}
}
