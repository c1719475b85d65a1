package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Action is what is done to a process.
type Action string

const (
	Kill    Action = "kill"    // -9, and a start after For
	Freeze  Action = "freeze"  // SIGSTOP, and SIGCONT after For
	Restart Action = "restart" // SIGTERM, and a start after For

	// PowerCut is what all NATS nodes suffer at once; no plan has it.
	PowerCut Action = "power cut"
)

// Fault is one thing that happens to one process.
type Fault struct {
	At     time.Duration `json:"at"` // since faults began
	For    time.Duration `json:"for"`
	Target string        `json:"target"`
	Action Action        `json:"action"`
}

func (f Fault) String() string {
	return fmt.Sprintf("%s %s at %.1fs for %.1fs", f.Action, f.Target, f.At.Seconds(), f.For.Seconds())
}

// quiet is how long the first fault of each plan is alone: a services process is
// killed, so that every run tells how long a takeover takes.
const quiet = 3 * time.Second

// Plan makes the faults of a seed: over the given time, at most one NATS node
// at once except where two of three go down together, and always one services
// process frozen for the time given, so that it wakes up as a zombie. That one
// may end later than the rest.
func Plan(seed uint64, over, zombie time.Duration) []Fault {
	random := rand.New(rand.NewPCG(seed, 0x7468726f6e67))
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(random.Int64N(int64(to-from))) }
	busy := map[string]time.Duration{} // until when
	var faults []Fault
	add := func(f Fault) {
		faults = append(faults, f)
		busy[f.Target] = f.At + f.For + 500*time.Millisecond
	}
	alone := Fault{At: 100 * time.Millisecond, For: quiet / 2, Target: fmt.Sprintf("services-%d", random.IntN(2)), Action: Kill}
	add(Fault{
		At: between(quiet, max(over-zombie, quiet+time.Second)), For: zombie,
		Target: fmt.Sprintf("services-%d", random.IntN(2)), Action: Freeze,
	})
	zombieFrom := faults[0].At
	var natsBusy time.Duration
	two := random.IntN(4) == 0
	for at := between(quiet, quiet+time.Second); at < over; at += between(300*time.Millisecond, 1700*time.Millisecond) {
		f := Fault{At: at, For: between(200*time.Millisecond, 2500*time.Millisecond), Action: Kill}
		switch dice := random.IntN(100); {
		case dice < 35:
			f.Target = fmt.Sprintf("services-%d", random.IntN(2))
			f.Action = pick(random, Kill, Kill, Freeze, Restart)
		case dice < 60:
			f.Target = fmt.Sprintf("edge-%d", random.IntN(2))
			f.Action = pick(random, Kill, Kill, Freeze, Restart)
		case dice < 80:
			f.Target = fmt.Sprintf("nats-%d", random.IntN(nodes))
			f.Action = pick(random, Kill, Kill, Freeze)
			if random.IntN(4) == 0 {
				f.For += 5 * time.Second // others are elected meanwhile; then it wakes up, or comes back far behind
			}
		case dice < 90:
			f.Target = "projections-0"
			f.Action = pick(random, Kill, Kill, Freeze)
		default:
			f.Target = "engine"
			f.Action = pick(random, Kill, Freeze)
		}
		zombieNext := f.Target == faults[0].Target && at < zombieFrom && at+f.For+500*time.Millisecond > zombieFrom
		if at < busy[f.Target] || zombieNext {
			continue
		}
		if f.Target[:4] == "nats" {
			if at < natsBusy {
				continue
			}
			natsBusy = at + f.For + 3*time.Second
			if two && f.Action == Kill {
				two = false
				second := f
				second.Target = fmt.Sprintf("nats-%d", (int(f.Target[5]-'0')+1)%nodes)
				second.At += between(0, 200*time.Millisecond)
				add(second)
			}
		}
		add(f)
	}
	faults = append(faults, alone)
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// nodes of NATS, and partitions of the log.
const (
	nodes      = 3
	partitions = 4
)

func pick(random *rand.Rand, of ...Action) Action { return of[random.IntN(len(of))] }
