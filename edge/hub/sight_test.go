package hub

import (
	"testing"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// An ordinary channel's block costs a look at each event and no allocation.
func BenchmarkPresentOrdinary(b *testing.B) {
	entries := make([]ring.Entry, 10)
	for i := range entries {
		entries[i] = ring.Entry{Event: &streams.Event{Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{}}}, JSON: []byte("{}")}
	}
	var s *sight
	b.ReportAllocs()
	for b.Loop() {
		s.present(entries)
	}
}
