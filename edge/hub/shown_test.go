package hub_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/throng/throng/edge/edgetest"
)

// Whatever a user hides, the pages of history are as full as without, in both
// directions, and hold all the others once.
func TestPagesOfHistoryAreFullWithoutWhatIsHidden(t *testing.T) {
	const messages = 30
	s := edgetest.New(t)
	s.Group(t)
	for i := range messages {
		s.Send(t, fmt.Sprint("message ", i+1))
	}
	hides := map[int]bool{1: true, 2: true, 29: true, 30: true}
	for range 8 {
		hides[1+rand.IntN(messages)] = true
	}
	for n := range hides {
		s.OK(t, "dev:bob", "hide", map[string]any{"group": "g", "channel": "c", "n": n})
	}
	for _, from := range []string{"before", "after"} {
		for _, limit := range []int{1, 3, 7, 18, 30, 100} {
			at, seen := map[string]int{"before": messages + 1, "after": 0}[from], map[int]bool{}
			for more := true; more; {
				page := s.OK(t, "dev:bob", "history", map[string]any{"group": "g", "channel": "c", from: at, "limit": limit})
				list := page["messages"].([]any)
				more = page["more"].(bool)
				if len(list) > limit || more && len(list) < limit || len(list) == 0 {
					t.Fatalf("%s %d, limit %d: %d messages, more %v, hidden %v", from, at, limit, len(list), more, hides)
				}
				for _, m := range list {
					n := int(m.(map[string]any)["n"].(float64))
					if hides[n] || seen[n] || (from == "before") != (n < at) {
						t.Errorf("%s %d: message %d, hidden %v", from, at, n, hides)
					}
					seen[n], at = true, n
				}
			}
			if len(seen) != messages-len(hides) {
				t.Errorf("%s, limit %d: %d messages, hidden %v", from, limit, len(seen), hides)
			}
		}
	}
	if page := s.OK(t, "dev:alice", "history", `{"group":"g","channel":"c","limit":100}`); len(page["messages"].([]any)) != messages {
		t.Error("hidden from another user too")
	}
}
