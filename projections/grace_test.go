package projections

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatWasBegunHasItsGrace(t *testing.T) {
	for _, row := range []struct {
		name                   string
		within, canceled, want time.Duration
	}{
		{"left alone it ends in its own time", 10 * time.Second, time.Hour, 10 * time.Second},
		{"it ends a while after its parent", 10 * time.Second, time.Second, time.Second + stopGrace},
		{"grace does not prolong it", 2 * time.Second, time.Second, 2 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, stop := context.WithTimeout(t.Context(), row.canceled)
				defer stop()
				begun := time.Now()
				graced, cancel := withGrace(parent, row.within)
				defer cancel()
				<-graced.Done()
				if got := time.Since(begun); got != row.want {
					t.Errorf("got %v, want %v", got, row.want)
				}
			})
		})
	}
}
