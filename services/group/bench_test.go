package group_test

import (
	"fmt"
	"testing"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// One attribute of 1,000 is compared and set: what it costs to decide and fold.
//
//	go test -run xxx -bench SetAttribute ./services/group
func BenchmarkSetAttribute(b *testing.B) {
	for _, keys := range []int{1, 1000, streams.MaxAttributes} {
		b.Run(fmt.Sprintf("keys-%d", keys), func(b *testing.B) {
			s, seq := group.New("g"), streams.Seq(0)
			do := func(body any) []*streams.Event {
				r := group.Request{User: "alice", Body: body}
				if len(s.Missing(r)) > 0 {
					b.Fatal("not in memory")
				}
				decision, err := s.Decide(r, 1_000_000)
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range decision.Events {
					s.Number(e)
					seq++
					e.Seq, e.TS = seq, 1_000_000
					s.Apply(e)
				}
				return decision.Events
			}
			do(&streampb.CreateGroup{Kind: "room"})
			versions := make([]uint64, keys)
			for i := range versions {
				versions[i] = uint64(do(&streampb.SetAttributes{Set: map[string]string{fmt.Sprint("k", i): "v"}})[0].V)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				key := fmt.Sprint("k", i%keys)
				versions[i%keys] = uint64(do(&streampb.SetAttributes{
					Set: map[string]string{key: "w"}, IfV: map[string]uint64{key: versions[i%keys]},
				})[0].V)
			}
		})
	}
}
