package engine

import (
	"strings"
	"testing"
	"time"
)

func TestALineMeterSaysSomethingEveryFewSecondsOnly(t *testing.T) {
	var text strings.Builder
	meter := newMeter(&text, 178_000_000)
	for range 100 {
		meter.show(1_000_000)
	}
	if text.Len() != 0 {
		t.Errorf("within the first seconds: got %q, want nothing", text.String())
	}
	meter.(*lines).last = time.Now().Add(-lineEvery)
	meter.show(42_000_000)
	meter.show(43_000_000)
	meter.end()
	if got, want := text.String(), "ClickHouse engine: 42 of 178 MB\n"; got != want {
		t.Errorf("after some seconds: got %q, want %q", got, want)
	}
}

func TestABarEndsWhetherOrNotItWasFilled(t *testing.T) {
	for _, done := range []int64{0, 50, 100} {
		var text strings.Builder
		meter := newBar(&text, 100)
		meter.show(done)
		meter.end()
	}
}
