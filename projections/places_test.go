package projections

import (
	"fmt"
	"testing"

	"github.com/throng/throng/projections/history"
	"github.com/throng/throng/streams"
)

func TestAPlaceIsForgottenOnlyOnceItIsStored(t *testing.T) {
	p := newPlaces(2)
	key := func(i int) history.Place {
		return history.Place{Group: "g", Channel: streams.Channel(fmt.Sprint(i))}
	}
	for i := range 5 {
		p.put(key(i), streams.Place{V: 1}, streams.Seq(i+1))
	}
	known := func() (channels string) {
		for i := range 5 {
			if p.has(key(i)) {
				channels += fmt.Sprint(i)
			}
		}
		return channels
	}
	for _, row := range []struct {
		stored streams.Seq
		want   string
	}{{0, "01234"}, {1, "1234"}, {2, "234"}, {5, "34"}} {
		if p.trim(row.stored); known() != row.want {
			t.Errorf("stored %d: got %s, want %s", row.stored, known(), row.want)
		}
	}
	p.put(key(3), streams.Place{V: 2}, 6) // used again: 4 is now the older
	p.put(key(0), streams.Place{V: 2}, 7)
	if p.trim(7); known() != "03" || p.at(key(3)).V != 2 {
		t.Errorf("got %s", known())
	}
}
