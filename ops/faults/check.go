package faults

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/throng/throng/streams"
)

// Kind is a way to break a promise.
type Kind string

const (
	LostPrefix     Kind = "lost_prefix"       // acknowledged, not in the log, before all that is
	LostMiddle     Kind = "lost_middle"       //   … between what is
	LostPostfix    Kind = "lost_postfix"      //   … after all that is
	Doubled        Kind = "doubled"           // one message stands twice, or was delivered twice
	Reordered      Kind = "reordered"         // acknowledged before the other was sent, and stands after it
	SenderOrder    Kind = "sender_order"      // one connection's messages stand in another order
	Unexpected     Kind = "unexpected"        // nobody sent it, or not so
	RefusedButIn   Kind = "refused_but_there" // refused for good, and in the log
	WrongRefusal   Kind = "wrong_refusal"     // refused without a reason
	UnknownCode    Kind = "unknown_code"      // refused with a code that is not in the catalogue
	Unresolved     Kind = "unresolved"        // neither acknowledged nor refused in the end
	Late           Kind = "late"              // no answer within the deadline from an edge that was well
	WrongAck       Kind = "wrong_ack"         // acknowledged with another v, n or seq, or as no duplicate
	Hole           Kind = "hole"              // v or n jumps
	Diverged       Kind = "diverged"          // replicas of the log differ
	Unread         Kind = "unread"            // a partition was not read
	ReaderMissing  Kind = "reader_missing"    // a reader never got an event
	ReaderDiffers  Kind = "reader_differs"    // a reader got another event under that v
	SourceDiffers  Kind = "source_differs"    // pull, history or ClickHouse differ from the log
	HistoryChanged Kind = "history_changed"   // the channel's log has another name
	Stale          Kind = "stale"             // a former owner's event stands behind a newer fence
	NotLinear      Kind = "not_linearizable"  // what was done and answered fits no order
	Died           Kind = "died"              // a process panicked
	Unrecovered    Kind = "unrecovered"       // it did not come back to work within its time
	Uncaught       Kind = "uncaught"          // a negative control went unnoticed
)

// Kinds are all of them.
var Kinds = []Kind{
	LostPrefix, LostMiddle, LostPostfix, Doubled, Reordered, SenderOrder, Unexpected, RefusedButIn, WrongRefusal,
	UnknownCode, Unresolved, Late, WrongAck, Hole, Diverged, Unread, ReaderMissing, ReaderDiffers, SourceDiffers,
	HistoryChanged, Stale, NotLinear, Died, Unrecovered, Uncaught,
}

// Violation is one broken promise.
type Violation struct {
	Kind   Kind   `json:"kind"`
	Detail string `json:"detail"`
}

// Verdict is what [Check] found.
type Verdict struct {
	Violations []Violation `json:"violations"` // a few of each kind
	Counts     map[Kind]int
	Events     int // in the log
	Stale      int // in the log, and ignored as a former owner's
	Operations int // checked for linearizability
	Unchecked  int // parts whose linearizability took too long to tell
}

// stuck is the verdict on what did not come back to work: what it holds could
// not be read, so nothing else is known.
func stuck(err error) Verdict {
	return Verdict{Counts: map[Kind]int{Unrecovered: 1}, Violations: []Violation{{Unrecovered, err.Error()}}}
}

// OK reports whether nothing was found.
func (v Verdict) OK() bool { return len(v.Counts) == 0 }

// Lost is how many acknowledged messages are not in the log.
func (v Verdict) Lost() int {
	return v.Counts[LostPrefix] + v.Counts[LostMiddle] + v.Counts[LostPostfix]
}

// only keeps some kinds.
func (v Verdict) only(kinds ...Kind) Verdict {
	v.Violations = slices.DeleteFunc(v.Violations, func(one Violation) bool { return !slices.Contains(kinds, one.Kind) })
	maps.DeleteFunc(v.Counts, func(kind Kind, _ int) bool { return !slices.Contains(kinds, kind) })
	return v
}

// without drops a kind.
func (v Verdict) without(kind Kind) Verdict {
	v.Violations = slices.DeleteFunc(v.Violations, func(one Violation) bool { return one.Kind == kind })
	delete(v.Counts, kind)
	return v
}

func (v Verdict) String() string {
	if v.OK() {
		return "ok"
	}
	var parts []string
	for kind, count := range v.Counts {
		parts = append(parts, fmt.Sprintf("%s=%d", kind, count))
	}
	sort.Strings(parts)
	return "FAILED " + strings.Join(parts, " ")
}

// shown is how many violations of a kind are told in full.
const shown = 5

// detailBytes is how much of one is told: bodies are long.
const detailBytes = 1000

// checker works on one history.
type checker struct {
	History
	verdict Verdict
	logs    map[Channel][]Entry // in order of v
	byID    map[message]Entry   // the first with it
}

// message is what a retry repeats.
type message struct{ user, id string }

// Check compares what everybody saw. It depends on nothing but the history.
func Check(h History) Verdict {
	c := &checker{
		History: h, verdict: Verdict{Counts: map[Kind]int{}},
		logs: map[Channel][]Entry{}, byID: map[message]Entry{},
	}
	for _, death := range h.Deaths {
		c.found(Died, "%s", death)
	}
	c.replicas()
	c.content()
	for i := range h.Sends {
		c.send(&h.Sends[i])
	}
	c.lost()
	c.realTime()
	c.senderOrder()
	for i := range h.Readers {
		c.reader(&h.Readers[i])
	}
	c.names()
	for _, s := range h.Sources {
		c.source(s)
	}
	c.linear()
	c.registers()
	c.asked()
	return c.verdict
}

func (c *checker) found(kind Kind, format string, args ...any) {
	if c.verdict.Counts[kind]++; c.verdict.Counts[kind] <= shown {
		detail := fmt.Sprintf(format, args...)
		if len(detail) > detailBytes {
			detail = detail[:detailBytes] + "…"
		}
		c.verdict.Violations = append(c.verdict.Violations, Violation{kind, detail})
	}
}

// fold reads a partition as the product defines it: what a former owner wrote
// after a newer fence is in nobody's history. The fence keeps it out, so its
// being there is a violation all the same.
func (c *checker) fold(r *Replica) {
	var epoch, last uint64
	for _, record := range r.Records {
		if record.Seq <= last {
			c.found(Reordered, "partition %d: seq %d stands after %d", r.Partition, record.Seq, last)
		}
		last = record.Seq
		switch {
		case record.Fence:
			epoch = record.Seq
			continue
		case record.Other:
			continue
		case record.Epoch < epoch:
			c.verdict.Stale++
			c.found(Stale, "partition %d: seq %d is of term %d and stands behind the fence %d: %v", r.Partition, record.Seq, record.Epoch, epoch, record.Event)
			continue
		}
		e := record.Event
		log := c.logs[e.Channel]
		var before Entry
		if len(log) > 0 {
			before = log[len(log)-1]
		}
		n := before.N
		if e.Kind == string(streams.KindMessage) {
			n++
		}
		switch {
		case e.V <= before.V:
			c.found(Doubled, "%v: v %d stands again at seq %d, after v %d", e.Channel, e.V, e.Seq, before.V)
			continue
		case e.V != before.V+1:
			c.found(Hole, "%v: v %d follows v %d in the log", e.Channel, e.V, before.V)
		case e.N != n:
			c.found(Hole, "%v: v %d (%s) has n %d in the log, want %d", e.Channel, e.V, e.Kind, e.N, n)
		}
		c.logs[e.Channel] = append(log, e)
		c.verdict.Events++
	}
}

// content finds messages that stand twice or that nobody sent.
func (c *checker) content() {
	sends := map[message]*Send{}
	for i := range c.Sends {
		sends[message{c.Sends[i].User, c.Sends[i].ID}] = &c.Sends[i]
	}
	for _, log := range c.logs {
		for _, e := range log {
			if e.Kind != string(streams.KindMessage) {
				continue
			}
			key := message{e.User, e.ID}
			if first, known := c.byID[key]; known {
				c.found(Doubled, "%v: the message at v %d is the one at v %d: %s of %s", e.Channel, e.V, first.V, e.ID, e.User)
				continue
			}
			c.byID[key] = e
			switch s := sends[key]; {
			case s == nil:
				c.found(Unexpected, "%v: v %d, %s of %s, was never sent", e.Channel, e.V, e.ID, e.User)
			case s.Channel != e.Channel || s.Body != e.Body:
				c.found(Unexpected, "%v: v %d, %s of %s, is %q, sent was %q to %v", e.Channel, e.V, e.ID, e.User, e.Body, s.Body, s.Channel)
			}
		}
	}
}

// names checks that the name of each channel's log never changed.
func (c *checker) names() {
	names := map[Channel]string{}
	for _, r := range c.Readers {
		for _, s := range r.Subscriptions {
			if names[r.Channel] == "" {
				names[r.Channel] = s.Log
			}
			if names[r.Channel] != s.Log {
				c.found(HistoryChanged, "%v: the log was called %q and then %q", r.Channel, names[r.Channel], s.Log)
			}
		}
	}
}

// awayWithin is how long «history_unavailable» may take: the edge's own patience
// with the projections, and what this machine's scheduling adds.
const awayWithin = 3*time.Second + time.Second

// asked checks that who asks for what cannot be read is told so, and soon.
func (c *checker) asked() {
	for _, a := range c.Asked {
		switch {
		case a.Outcome != Refused || a.Code != string(streams.HistoryUnavailable):
			c.found(WrongRefusal, "%s at edge %d while ClickHouse was away: %s %s", a.Command, a.Edge, a.Outcome, a.Code)
		case a.Took > awayWithin:
			c.found(Late, "%s at edge %d while ClickHouse was away: %s after %v", a.Command, a.Edge, a.Code, a.Took)
		}
	}
}

// source compares what a reading interface says with the log.
func (c *checker) source(s Source) {
	var want []Entry
	for _, e := range c.logs[s.Channel] {
		if !s.Messages || e.Kind == string(streams.KindMessage) {
			want = append(want, e)
		}
	}
	for i := range max(len(want), len(s.Entries)) {
		switch {
		case i >= len(want):
			c.found(SourceDiffers, "%s: %v: %+v is not in the log", s.Name, s.Channel, s.Entries[i])
		case i >= len(s.Entries):
			c.found(SourceDiffers, "%s: %v: it ends before v %d", s.Name, s.Channel, want[i].V)
		case want[i] != s.Entries[i]:
			c.found(SourceDiffers, "%s: %v: %+v, the log has %+v", s.Name, s.Channel, s.Entries[i], want[i])
			return // the rest is shifted
		}
	}
}
