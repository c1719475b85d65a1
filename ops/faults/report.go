package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Takeover is how long a partition's senders waited after its owner went.
type Takeover struct {
	Partition int           `json:"partition"`
	Action    Action        `json:"action"` // what happened to the owner
	At        time.Duration `json:"at"`
	Took      time.Duration `json:"took"`  // until the first send of a later term was acknowledged
	Alone     bool          `json:"alone"` // nothing else was broken meanwhile
}

// Report is what one run found.
type Report struct {
	Seed        uint64         `json:"seed"`
	Dir         string         `json:"dir"`
	Faults      []Injected     `json:"faults"`
	Sent        int            `json:"sent"`
	Acked       int            `json:"acked"`
	Attempts    int            `json:"attempts"`
	Codes       map[string]int `json:"codes"`                   // of refused attempts
	Unknown     int            `json:"unknown"`                 // attempts whose connection broke or that got no answer
	Crashes     int            `json:"crashes"`                 // how often a process ended by itself
	LongestGap  time.Duration  `json:"longest_gap"`             // without an accepted send, of all partitions together
	LongestEach time.Duration  `json:"longest_each"`            // the same of the worst partition
	Subscribed  int            `json:"subscribed"`              // subscriptions of all readers
	Delivered   int            `json:"delivered"`               // events, to all readers
	Gaps        int            `json:"gaps"`                    // gap frames
	Pulled      int            `json:"pulled"`                  // events that filled gaps
	Asked       int            `json:"asked,omitempty"`         // questions for what only ClickHouse has, while it was away
	AskedLong   time.Duration  `json:"asked_longest,omitempty"` // until the refusal
	CaughtUp    time.Duration  `json:"caught_up,omitempty"`     // from its return until it had all
	Unwell      int            `json:"unwell,omitempty"`        // times a harmed node did not come back by itself
	Noticed     int            `json:"noticed,omitempty"`       // reads at rest that were refused since the log is harmed there
	Diverged    int            `json:"diverged,omitempty"`      // records that a harmed node's copy lacks or has otherwise
	Error       string         `json:"error,omitempty"`         // the run could not be done
	Takeovers   []Takeover     `json:"takeovers"`
	Verdict     Verdict        `json:"verdict"`
	Elapsed     time.Duration  `json:"elapsed"`
}

func (r Report) String() string {
	injected := 0
	for _, f := range r.Faults {
		if f.Skipped == "" {
			injected++
		}
	}
	var took []string
	for _, t := range r.Takeovers {
		if t.Action == Kill {
			mark := ""
			if !t.Alone {
				mark = "*"
			}
			took = append(took, fmt.Sprintf("%.1f%s", t.Took.Seconds(), mark))
		}
	}
	if r.Error != "" {
		return fmt.Sprintf("seed %d: ERROR %s (%s)", r.Seed, r.Error, r.Dir)
	}
	away := ""
	if r.Asked > 0 {
		away = fmt.Sprintf(" %d questions while ClickHouse was away refused within %.1fs, it had all %.1fs after it was back,",
			r.Asked, r.AskedLong.Seconds(), r.CaughtUp.Seconds())
	}
	if r.Noticed+r.Diverged+r.Unwell > 0 {
		away += fmt.Sprintf(" the harmed node came not back %d times, its copy differs in %d records, %d reads were refused for that,", r.Unwell, r.Diverged, r.Noticed)
	}
	return fmt.Sprintf("seed %d: %d faults, %d sent, %d acked, %d attempts, %v refused, %d unknown, %d events, %d stale, "+
		"%d subscriptions, %d gaps, longest gap %.1fs (of one partition %.1fs), takeovers %v s,%s %d crashes, %.0fs: %v",
		r.Seed, injected, r.Sent, r.Acked, r.Attempts, r.Codes, r.Unknown, r.Verdict.Events, r.Verdict.Stale,
		r.Subscribed, r.Gaps, r.LongestGap.Seconds(), r.LongestEach.Seconds(), took, away, r.Crashes, r.Elapsed.Seconds(), r.Verdict)
}

// measure fills in what the history tells.
func (r *Report) measure(h History) {
	r.Codes = map[string]int{}
	partition := map[Channel]int{}
	epochs := map[uint64]uint64{} // of the events, by partition and seq, see key
	key := func(p int, seq uint64) uint64 { return uint64(p)<<48 | seq }
	for _, replica := range h.Replicas {
		for _, record := range replica.Records {
			if !record.Fence && !record.Other {
				partition[record.Event.Channel] = replica.Partition
				epochs[key(replica.Partition, record.Seq)] = record.Epoch
			}
		}
	}
	acks := make([][]ack, h.Partitions)
	var all []ack
	for i := range h.Sends {
		s := &h.Sends[i]
		r.Sent++
		r.Attempts += len(s.Attempts)
		for _, a := range s.Attempts {
			switch a.Outcome {
			case Refused:
				r.Codes[a.Code]++
			case Broken, Silent:
				r.Unknown++
			}
		}
		if a, acked := s.ack(); acked {
			r.Acked++
			p := partition[s.Channel]
			one := ack{a.Ended, epochs[key(p, a.Seq)]}
			acks[p], all = append(acks[p], one), append(all, one)
		}
	}
	for _, one := range h.Readers {
		r.Subscribed += len(one.Subscriptions)
		for _, s := range one.Subscriptions {
			for _, d := range s.Feed {
				if d.Gap != nil {
					r.Gaps++
				}
			}
			r.Delivered += len(s.Feed) + len(s.Answer)
			r.Pulled += len(s.Pulled)
		}
	}
	for _, a := range h.Asked {
		r.Asked, r.AskedLong = r.Asked+1, max(r.AskedLong, a.Took)
	}
	r.LongestGap = longestGap(all)
	for _, list := range acks {
		r.LongestEach = max(r.LongestEach, longestGap(list))
	}
	for _, f := range r.Faults {
		for _, p := range f.Owned {
			r.takeover(f, p, acks[p])
		}
	}
}

// ack is when an event was acknowledged, and the term that wrote it.
type ack struct {
	at    time.Duration
	epoch uint64
}

// longestGap also sorts.
func longestGap(acks []ack) (longest time.Duration) {
	slices.SortFunc(acks, func(a, b ack) int { return int(a.at - b.at) })
	for i := 1; i < len(acks); i++ {
		longest = max(longest, acks[i].at-acks[i-1].at)
	}
	return longest
}

func (r *Report) takeover(f Injected, p int, acks []ack) {
	var epoch uint64 // in force when the owner went
	for _, a := range acks {
		if a.at < f.Began {
			epoch = max(epoch, a.epoch)
			continue
		}
		if a.epoch <= epoch || epoch == 0 {
			continue
		}
		t := Takeover{Partition: p, Action: f.Action, At: f.Began, Took: a.at - f.Began, Alone: true}
		for _, other := range r.Faults {
			slack := 500 * time.Millisecond // for what was broken just before
			if strings.HasPrefix(other.Target, "nats-") {
				slack = 10 * time.Second // elections
			}
			if other.Fault != f.Fault && other.Skipped == "" && !strings.HasPrefix(other.Target, "engine") && !strings.HasPrefix(other.Target, "projections") &&
				other.Began <= a.at && other.Ended+slack >= f.Began {
				t.Alone = false
			}
		}
		r.Takeovers = append(r.Takeovers, t)
		return
	}
}

// Told is everything about a run with findings: what was done to it and what
// was found.
func (r Report) Told() string {
	var b strings.Builder
	fmt.Fprintln(&b, "  kept in", r.Dir)
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  %6.2fs to %6.2fs %v %s\n", f.Began.Seconds(), f.Ended.Seconds(), f.Fault, f.Skipped)
	}
	for _, v := range r.Verdict.Violations {
		fmt.Fprintf(&b, "  %s: %s\n", v.Kind, v.Detail)
	}
	return b.String()
}

// Percentile of durations, 0 for none.
func Percentile(of []time.Duration, percent int) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func save(path string, value any) error {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
