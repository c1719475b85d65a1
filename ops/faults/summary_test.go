package faults

import (
	"strings"
	"testing"
	"time"
)

// The summary counts what runs tell, keeps errors of the driver apart from
// violations, and says so in words.
func TestSummaryAddsUp(t *testing.T) {
	var s Summary
	good := Report{
		Sent: 10, Acked: 9, Attempts: 12, Unknown: 1, Codes: map[string]int{"unavailable": 2}, Delivered: 20, Gaps: 3,
		Faults: []Injected{
			{Fault: Fault{Target: "services-1", Action: Kill}},
			{Fault: Fault{Target: "edge-0~nats", Action: Mute}},
			{Fault: Fault{Target: "edge-1~nats", Action: Mute}},
			{Fault: Fault{Target: "services-0", Action: Failpoint, Point: "snapshot"}},
			{Fault: Fault{Target: "nats-0", Action: Kill}, Skipped: "not now"},
		},
		Takeovers: []Takeover{{Action: Kill, Took: time.Second, Alone: true}, {Action: Kill, Took: 2 * time.Second}, {Action: Freeze, Took: time.Hour}},
	}
	bad := good
	bad.Verdict = Verdict{Counts: map[Kind]int{Hole: 2}}
	for _, r := range []Report{good, bad, {Error: "no port"}} {
		s.Add(r)
	}
	if s.Runs != 2 || s.Broken != 1 || s.Errors != 1 || s.Acked != 18 || s.Violations[Hole] != 2 || s.Skipped != 2 ||
		s.Faults["mute edge~nats"] != 4 || s.Faults["kill services"] != 2 || s.Points["snapshot"] != 2 || len(s.Alone) != 2 || len(s.All) != 4 {
		t.Errorf("got %+v", s)
	}
	for _, want := range []string{"4 mute edge~nats", "6 gap frames", "VIOLATIONS", "2 hole", "longest 2.00 s"} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &s)
		}
	}
}
