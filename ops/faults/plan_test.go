package faults

import (
	"reflect"
	"testing"
	"time"
)

// Every failpoint has its turn in each run, and nothing else happens.
func TestPointPlanHasEachPoint(t *testing.T) {
	for seed := range uint64(20) {
		seen := map[string]bool{}
		for _, f := range PointPlan(seed) {
			seen[f.Point] = true
			if f.Action != Failpoint || f.Pass < 1 {
				t.Errorf("seed %d: %v", seed, f)
			}
		}
		if len(seen) != len(Points) {
			t.Errorf("seed %d has only %v", seed, seen)
		}
	}
}

// A plan is the seed's, keeps to its time, breaks nothing twice at once, and
// leaves NATS a majority unless it takes two nodes down on purpose.
func TestPlansKeepTheirRules(t *testing.T) {
	const over, zombie = 12 * time.Second, 5 * time.Second
	actions, points, pairs := map[string]int{}, map[string]int{}, 0
	for seed := range uint64(300) {
		plan := Plan(seed, over, zombie)
		if !reflect.DeepEqual(plan, Plan(seed, over, zombie)) {
			t.Fatalf("seed %d makes two plans", seed)
		}
		zombies := 0
		for i, f := range plan {
			actions[string(f.Action)+" "+f.Target]++
			points[f.Point]++
			if f.At < 0 || f.At > over+zombie || f.For <= 0 {
				t.Errorf("seed %d: %v", seed, f)
			}
			if f.Action == Freeze && f.For == zombie {
				zombies++
			}
			down := 1
			for _, g := range plan[:i] {
				if g.At+g.For <= f.At {
					continue
				}
				if g.Target == f.Target {
					t.Errorf("seed %d: %v during %v", seed, f, g)
				}
				if g.Target[:4] == "nats" && f.Target[:4] == "nats" {
					down++
				}
			}
			if down == 2 {
				pairs++
			}
			if down > 2 {
				t.Errorf("seed %d: %v takes the third node of NATS", seed, f)
			}
		}
		if zombies != 1 {
			t.Errorf("seed %d has %d zombies", seed, zombies)
		}
	}
	for _, point := range Points {
		if points[point] == 0 {
			t.Errorf("no plan has the failpoint %q", point)
		}
	}
	if pairs == 0 || pairs > 150 {
		t.Errorf("of 300 plans %d take two nodes of NATS at once", pairs)
	}
	for _, want := range []string{
		"kill services-0", "freeze services-1", "restart services-0", "kill edge-1", "freeze edge-0", "restart edge-1",
		"failpoint services-0", "partition edge-0~nats", "mute edge-1~nats", "deafen services-0~nats", "flap services-1~nats",
		"reset edge-0~nats", "delay services-0~nats", "loss edge-1~nats", "throttle services-1~nats",
		"partition nats-0~nats", "mute nats-1~nats", "flap nats-2~nats", "reset projections-0~nats",
		"swallow projections-0~clickhouse", "partition projections-0~clickhouse",
		"kill nats-0", "kill nats-1", "freeze nats-2", "kill projections-0", "freeze projections-0", "kill engine", "freeze engine",
	} {
		if actions[want] == 0 {
			t.Errorf("no plan says %q", want)
		}
	}
}
