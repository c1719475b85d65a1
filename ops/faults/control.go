package faults

import "time"

// Control is a run with a protection switched off: the checker must find what
// that leads to, or a run without findings says nothing.
type Control struct {
	Name string
	Want Kind // what must be found
	// Flags of the processes that switch the protection off.
	ServicesFlags, EdgeFlags []string
	// Plan is of faults the protection is there for.
	Plan []Fault
}

// Controls are the protections that can be switched off.
var Controls = []Control{
	{
		Name: "fence", Want: Stale, ServicesFlags: []string{"--unsafe-without-fence"},
		Plan: each(4*time.Second, 3500*time.Millisecond, Freeze, "services-0", "services-1", "services-0", "services-1"),
	},
	{
		Name: "dedup", Want: Doubled, ServicesFlags: []string{"--unsafe-without-dedup"},
		Plan: each(2*time.Second, 500*time.Millisecond, Kill, "services-0", "edge-0", "edge-1"),
	},
	{
		Name: "contiguity", Want: Hole, EdgeFlags: []string{"--unsafe-without-contiguity"},
		Plan: each(2*time.Second, 700*time.Millisecond, Reset, "edge-0~nats", "edge-1~nats", "edge-0~nats", "edge-1~nats"),
	},
}

// each lets targets suffer the same in turn.
func each(apart, lasting time.Duration, a Action, targets ...string) (plan []Fault) {
	for i, target := range targets {
		plan = append(plan, Fault{At: time.Duration(i)*apart + 500*time.Millisecond, For: lasting, Target: target, Action: a})
	}
	return plan
}
