package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary is what a campaign of runs found, in numbers that belong into
// documents.
type Summary struct {
	Runs     int // done
	Broken   int // of them, with violations
	Errors   int // that could not be done
	Unproven int // parts whose linearizability took too long to tell

	Sent, Acked, Attempts, Unknown, Refused   int
	Events, Delivered, Pulled, Subscriptions  int
	Gaps, Operations, Crashes, Stale, Skipped int
	Unwell, Noticed, Diverged                 int            // see Report
	Faults                                    map[string]int // by «action part»
	Points                                    map[string]int // failpoints that fired
	Alone, All                                []time.Duration
	Violations                                map[Kind]int
	Elapsed                                   time.Duration
}

// Add counts one run.
func (s *Summary) Add(r Report) {
	if s.Faults == nil {
		s.Faults, s.Points, s.Violations = map[string]int{}, map[string]int{}, map[Kind]int{}
	}
	s.Elapsed += r.Elapsed
	if r.Error != "" {
		s.Errors++
		return
	}
	s.Runs++
	if !r.Verdict.OK() {
		s.Broken++
	}
	for kind, count := range r.Verdict.Counts {
		s.Violations[kind] += count
	}
	s.Unproven += r.Verdict.Unchecked
	s.Sent, s.Acked, s.Attempts, s.Unknown = s.Sent+r.Sent, s.Acked+r.Acked, s.Attempts+r.Attempts, s.Unknown+r.Unknown
	for _, count := range r.Codes {
		s.Refused += count
	}
	s.Events, s.Stale, s.Operations = s.Events+r.Verdict.Events, s.Stale+r.Verdict.Stale, s.Operations+r.Verdict.Operations
	s.Unwell += r.Unwell
	s.Noticed, s.Diverged = s.Noticed+r.Noticed, s.Diverged+r.Diverged
	s.Delivered, s.Pulled = s.Delivered+r.Delivered, s.Pulled+r.Pulled
	s.Subscriptions, s.Gaps, s.Crashes = s.Subscriptions+r.Subscribed, s.Gaps+r.Gaps, s.Crashes+r.Crashes
	for _, f := range r.Faults {
		if f.Skipped != "" {
			s.Skipped++
			continue
		}
		s.Faults[f.label()]++
		if f.Point != "" {
			s.Points[f.Point]++
		}
	}
	for _, t := range r.Takeovers {
		if t.Action == Kill {
			s.All = append(s.All, t.Took)
			if t.Alone {
				s.Alone = append(s.Alone, t.Took)
			}
		}
	}
}

// label groups faults: «kill services», «mute edge~nats».
func (f Fault) label() string {
	part, peers, network := strings.Cut(f.Target, "~")
	part, _, _ = strings.Cut(part, "-")
	if network {
		part += "~" + peers
	}
	return string(f.Action) + " " + part
}

func (s *Summary) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s ", name)
		fmt.Fprintf(&b, format+"\n", args...)
	}
	line("runs", "%d, of which %d with violations; besides %d that could not be done; %.0f s in all", s.Runs, s.Broken, s.Errors, s.Elapsed.Seconds())
	line("sends", "%d, acknowledged %d; attempts %d, refused %d, outcome unknown %d", s.Sent, s.Acked, s.Attempts, s.Refused, s.Unknown)
	line("log", "%d events, %d of former owners", s.Events, s.Stale)
	line("readers", "%d subscriptions, %d events delivered, %d gap frames, %d events pulled", s.Subscriptions, s.Delivered, s.Gaps, s.Pulled)
	line("linearizability", "%d operations, %d slices undecided", s.Operations, s.Unproven)
	if s.Unwell+s.Noticed+s.Diverged > 0 {
		line("harmed nodes", "%d times not well again by themselves; %d records differ from the other copies; %d reads refused for that", s.Unwell, s.Diverged, s.Noticed)
	}
	total := 0
	for _, count := range s.Faults {
		total += count
	}
	line("faults", "%d, skipped %d", total, s.Skipped)
	for _, label := range slices.Sorted(maps.Keys(s.Faults)) {
		line("", "%4d %s", s.Faults[label], label)
	}
	if len(s.Points) > 0 {
		line("failpoints", "fired")
		for _, point := range slices.Sorted(maps.Keys(s.Points)) {
			line("", "%4d %s", s.Points[point], point)
		}
	}
	line("takeovers", "after kill -9, nothing else broken: %s", spread(s.Alone))
	line("", "all after kill -9: %s", spread(s.All))
	line("crashes", "%d (a process ended by itself and was started again; failpoints among them)", s.Crashes)
	if len(s.Violations) == 0 {
		line("violations", "0 of %d kinds: %v", len(Kinds), Kinds)
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Violations)) {
		line("VIOLATIONS", "%6d %s", s.Violations[kind], kind)
	}
	return b.String()
}

// spread tells durations in short.
func spread(of []time.Duration) string {
	if len(of) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, p50 %.2f s, p99 %.2f s, longest %.2f s", len(of),
		Percentile(of, 50).Seconds(), Percentile(of, 99).Seconds(), slices.Max(of).Seconds())
}
