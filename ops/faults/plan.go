package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Action is what is done to a process, or to the network around it.
type Action string

const (
	Kill    Action = "kill"    // -9, and a start after For
	Freeze  Action = "freeze"  // SIGSTOP, and SIGCONT after For
	Restart Action = "restart" // SIGTERM, and a start after For
	// Failpoint starts a process so that it kills itself at a named place in
	// the code, and waits for that.
	Failpoint Action = "failpoint"

	Partition Action = "partition" // nothing gets through, both ways, without a word
	Mute      Action = "mute"      // what the part says does not arrive
	Deafen    Action = "deafen"    // what is said to the part does not arrive
	Flap      Action = "flap"      // partitions and resets in quick turns
	Reset     Action = "reset"     // connections are reset, and new ones too
	Delay     Action = "delay"     // 200 ms and up to 100 ms more, each way
	Lossy     Action = "loss"      // a twentieth of all packets comes by retransmission
	Throttle  Action = "throttle"  // 256 KiB a second
	Swallow   Action = "swallow"   // requests arrive, answers do not: a reset comes instead

	// PowerCut is what all NATS nodes suffer at once; no plan has it.
	PowerCut Action = "power cut"
)

// Fault is one thing that happens to one process or its network.
type Fault struct {
	At  time.Duration `json:"at"` // since faults began
	For time.Duration `json:"for"`
	// Target is a process, or for the network's faults a process, ~, and the
	// kind of its peers: edge-0~nats.
	Target string `json:"target"`
	Action Action `json:"action"`
	// Of a failpoint: its name, and at which pass it kills.
	Point string `json:"point,omitempty"`
	Pass  int    `json:"pass,omitempty"`
}

func (f Fault) String() string {
	point := ""
	if f.Point != "" {
		point = fmt.Sprintf(" %s:%d", f.Point, f.Pass)
	}
	return fmt.Sprintf("%s%s %s at %.1fs for %.1fs", f.Action, point, f.Target, f.At.Seconds(), f.For.Seconds())
}

// part is the process a fault is about.
func (f Fault) part() string {
	part, _, _ := strings.Cut(f.Target, "~")
	return part
}

func (f Fault) isNATS() bool { return strings.HasPrefix(f.Target, "nats-") }

// quiet is how long the first fault of each plan is alone: a services process is
// killed, so that every run tells how long a takeover takes.
const quiet = 3 * time.Second

// rest is how long a target is left alone after a fault.
const rest = 500 * time.Millisecond

// dice make a plan.
type dice struct{ *rand.Rand }

func (d dice) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)))
}

func (d dice) pick(of ...Action) Action { return of[d.IntN(len(of))] }

func (d dice) one(part string, of int) string { return fmt.Sprintf("%s-%d", part, d.IntN(of)) }

// Plan makes the faults of a seed: over the given time, at most one NATS node
// at once except where two of three go down together, and always one services
// process frozen for the time given, so that it wakes up as a zombie. That one
// may end later than the rest.
func Plan(seed uint64, over, zombie time.Duration) []Fault {
	d := dice{rand.New(rand.NewPCG(seed, 0x7468726f6e67))}
	busy := map[string]time.Duration{} // until when
	var faults []Fault
	add := func(f Fault) {
		faults = append(faults, f)
		busy[f.Target] = f.At + f.For + rest
	}
	alone := Fault{At: 100 * time.Millisecond, For: quiet / 2, Target: d.one("services", 2), Action: Kill}
	add(Fault{
		At: d.between(quiet, max(over-zombie, quiet+time.Second)), For: zombie,
		Target: d.one("services", 2), Action: Freeze,
	})
	zombieAt := faults[0]
	var natsBusy time.Duration
	two := d.IntN(4) == 0
	for at := d.between(quiet, quiet+time.Second); at < over; at += d.between(300*time.Millisecond, 1700*time.Millisecond) {
		f := d.fault(at)
		zombieNext := f.Target == zombieAt.Target && at < zombieAt.At && at+f.For+rest > zombieAt.At
		if at < busy[f.Target] || zombieNext {
			continue
		}
		if f.isNATS() {
			if at < natsBusy {
				continue
			}
			natsBusy = at + f.For + 3*time.Second
			if two && f.Action == Kill {
				two = false
				second := f
				second.Target = fmt.Sprintf("nats-%d", (int(f.Target[5]-'0')+1)%nodes)
				second.At += d.between(0, 200*time.Millisecond)
				add(second)
			}
		}
		add(f)
	}
	faults = append(faults, alone)
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// fault throws one fault.
func (d dice) fault(at time.Duration) Fault {
	f := Fault{At: at, For: d.between(200*time.Millisecond, 2500*time.Millisecond), Action: Kill}
	switch side := d.IntN(100); {
	case side < 20:
		f.Target, f.Action = d.one("services", 2), d.pick(Kill, Kill, Freeze, Restart)
	case side < 30:
		f.Target, f.Action = d.one("services", 2), Failpoint
		f.Point, f.Pass = d.point()
	case side < 43:
		f.Target, f.Action = d.one("edge", 2), d.pick(Kill, Kill, Freeze, Restart)
	case side < 56:
		f.Target, f.Action = d.one("nats", nodes), d.pick(Kill, Kill, Freeze)
		f.For += d.long(4)
	case side < 63:
		f.Target, f.Action = "projections-0", d.pick(Kill, Kill, Freeze)
	case side < 68:
		f.Target, f.Action = "engine", d.pick(Kill, Freeze)
	case side < 78:
		f.Target, f.Action = d.one("services", 2)+"~nats", d.pick(Partition, Mute, Deafen, Flap, Reset, Delay, Lossy, Throttle)
		f.For += d.long(3)
	case side < 88:
		f.Target, f.Action = d.one("edge", 2)+"~nats", d.pick(Partition, Partition, Mute, Deafen, Flap, Reset, Delay, Lossy, Throttle)
		f.For += d.long(3)
	case side < 94:
		f.Target, f.Action = d.one("nats", nodes)+"~nats", d.pick(Partition, Mute, Deafen, Flap, Reset, Delay, Lossy)
		f.For += d.long(3)
	case side < 96:
		f.Target, f.Action = "projections-0~nats", d.pick(Partition, Reset, Flap, Delay)
	default:
		f.Target, f.Action = "projections-0~clickhouse", d.pick(Swallow, Swallow, Partition, Reset, Delay)
	}
	return f
}

// long is for one in some faults 5 s more: others are elected meanwhile, pings
// go unanswered; then it wakes up, or comes back far behind.
func (d dice) long(oneIn int) time.Duration {
	if d.IntN(oneIn) == 0 {
		return 5 * time.Second
	}
	return 0
}

// Points are where a services process can be told to kill itself.
var Points = []string{"before-append", "after-append", "before-answer", "snapshot", "after-fence", "handover"}

// point throws a failpoint and at which pass it kills: those that are passed
// often, after a while.
func (d dice) point() (name string, pass int) {
	name = Points[d.IntN(len(Points))]
	switch name {
	case "before-append", "after-append", "before-answer":
		return name, 1 + d.IntN(60)
	case "after-fence", "snapshot":
		return name, 1 + d.IntN(2)
	}
	return name, 1
}

// PointPlan has every failpoint once, in an order of the seed, one after the
// other.
func PointPlan(seed uint64) (plan []Fault) {
	const apart = failpointFor + time.Second
	d := dice{rand.New(rand.NewPCG(seed, 0x706f696e7473))}
	for i, which := range d.Perm(len(Points)) {
		f := Fault{At: time.Duration(i) * apart, For: failpointFor, Target: d.one("services", 2), Action: Failpoint, Point: Points[which], Pass: 1}
		if strings.HasPrefix(f.Point, "before-") || f.Point == "after-append" {
			f.Pass += d.IntN(60)
		}
		plan = append(plan, f)
	}
	return plan
}

// failpointFor is about how long a failpoint takes until the process is there
// again.
const failpointFor = 5 * time.Second

// nodes of NATS, and partitions of the log.
const (
	nodes      = 3
	partitions = 4
)
