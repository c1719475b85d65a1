package hidden_test

import (
	"fmt"
	"testing"

	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// What it costs to admit a user who hides nothing, as nearly all do.
func BenchmarkLoadNothing(b *testing.B) {
	n := streamtest.Provisioned(b, 2)
	s := hidden.New(hidden.Config{Conn: n.Conn, JS: n.JS, Partitions: 2, Logger: streamtest.Logger(b)})
	for i := 0; b.Loop(); i++ {
		if found, err := s.Load(b.Context(), streams.User(fmt.Sprint("u", i)), "g"); err != nil || len(found) != 0 {
			b.Fatal(found, err)
		}
	}
}
