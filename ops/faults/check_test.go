package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	ms       = time.Millisecond
	messages = 20 // of each of the two senders
)

var general = Channel{"g", "general"}

// clean is the history of a run in which all went well: two senders, two
// readers, of whom one reconnects over a gap, three replicas, and a term that
// changed between.
func clean() (h History) {
	h.Partitions = 1
	var log []Entry
	records := []Record{{Seq: 1, Fence: true, Digest: 1}}
	epoch := uint64(1)
	add := func(e Entry) Entry {
		e.Seq = records[len(records)-1].Seq + 1
		records = append(records, Record{Seq: e.Seq, Epoch: epoch, Digest: e.Seq, Event: e})
		return e
	}
	add(Entry{Channel: Channel{"g", "@"}, V: 1, Kind: "group_update", User: "owner"})
	for i := range messages {
		for _, user := range []string{"alice", "bob"} {
			if len(log) == messages {
				epoch = records[len(records)-1].Seq + 1
				records = append(records, Record{Seq: epoch, Fence: true, Digest: epoch}, Record{Seq: epoch + 1, Other: true, Digest: epoch + 1})
			}
			id := fmt.Sprintf("%s-%d", user, i)
			e := add(Entry{Channel: general, V: uint64(len(log) + 1), N: uint64(len(log) + 1), Kind: "message", User: user, ID: id, Body: "body of " + id})
			log = append(log, e)
			at := time.Duration(len(log)) * 10 * ms
			h.Sends = append(h.Sends, Send{Channel: general, User: user, ID: id, Body: e.Body, Attempts: []Attempt{
				{Conn: 1, Began: at, Ended: at + 5*ms, Outcome: Acked, V: e.V, N: e.N, Seq: e.Seq},
			}})
		}
	}
	// bob's last had to be sent three times.
	last := &h.Sends[len(h.Sends)-1]
	ok := last.Attempts[0]
	last.Attempts = []Attempt{
		{Conn: 1, Began: ok.Began, Ended: ok.Began + ms, Outcome: Broken},
		{Conn: 2, Began: ok.Began + 2*ms, Ended: ok.Began + 3*ms, Outcome: Refused, Code: "unavailable"},
		{Conn: 2, Began: ok.Began + 4*ms, Ended: ok.Ended, Outcome: Acked, V: ok.V, N: ok.N, Seq: ok.Seq, Duplicate: true},
	}
	h.Sends = append(h.Sends, Send{Channel: general, User: "eve", ID: "eve-0", Forbidden: true, Attempts: []Attempt{
		{Conn: 1, Began: ms, Ended: 2 * ms, Outcome: Refused, Code: "not_member"},
	}})
	feed := func(from, to int) (f []Delivery) {
		for _, e := range log[from:to] {
			f = append(f, Delivery{Event: e})
		}
		return f
	}
	h.Readers = []Reader{
		{Channel: general, Name: "whole", Subscriptions: []Subscription{{Log: "L", Feed: feed(0, len(log))}}},
		{Channel: general, Name: "broken", Subscriptions: []Subscription{
			{Log: "L", Feed: append(append(feed(0, 5), Delivery{Gap: &Range{5, 8}}), feed(8, 10)...), Pulled: slices.Clone(log[5:8])},
			{Began: 190 * ms, Ended: 211 * ms, After: 10, V: 20, Log: "L", Gap: &Range{10, 15}, Answer: slices.Clone(log[15:20]), Pulled: slices.Clone(log[10:15]), Feed: feed(20, len(log))},
		}},
	}
	h.Asked = []Asked{{Command: "pull", Outcome: Refused, Code: "history_unavailable", Took: time.Second}}
	h.Heads = []Head{{Channel: general, V: 2 * messages, Began: time.Minute, Ended: time.Minute + ms}}
	for i := range 3 {
		h.Replicas = append(h.Replicas, Replica{Node: fmt.Sprintf("nats-%d", i), Records: slices.Clone(records)})
	}
	h.Sources = []Source{
		{Channel: general, Name: "pull", Entries: slices.Clone(log)},
		{Channel: general, Name: "history", Messages: true, Entries: slices.Clone(log)},
		{Channel: Channel{"g", "@"}, Name: "events", Entries: []Entry{records[1].Event}},
	}
	return h
}

func TestCleanHistoryPasses(t *testing.T) {
	v := Check(clean())
	if !v.OK() || v.Stale != 0 || v.Events != 2*messages+1 {
		t.Errorf("got %v, %+v", v, v)
	}
}

// What a former owner wrote after a newer fence is in nobody's history, and
// must not be there at all: the fence has not held.
func TestStaleEventIsNobodys(t *testing.T) {
	h := clean()
	inAll(&h, func(r []Record) []Record {
		at := r[len(r)-1].Seq + 1
		return append(r, Record{Seq: at, Epoch: 1, Digest: at, Event: Entry{Channel: general, V: 41, N: 41, Kind: "message", User: "bob", ID: "stale", Seq: at}})
	})
	v := Check(h)
	if v.Counts[Stale] != 1 || len(v.Counts) != 1 || v.Stale != 1 || v.Events != 2*messages+1 {
		t.Errorf("got %v: %s", v, details(v))
	}
}

// What most copies have is the log, whichever node was read first.
func TestHarmedCopyIsNotTheLog(t *testing.T) {
	for harmed := range 3 {
		h := clean()
		r := &h.Replicas[harmed].Records
		*r = slices.Delete(slices.Clone(*r), 7, 9)
		v := Check(h)
		if v.Counts[Diverged] != 2 || len(v.Counts) != 1 {
			t.Errorf("with copy %d harmed: %v: %s", harmed, v, details(v))
		}
	}
}

// inAll changes what every replica has.
func inAll(h *History, change func([]Record) []Record) {
	for i := range h.Replicas {
		h.Replicas[i].Records = change(h.Replicas[i].Records)
	}
}

// without drops the message at v from every replica.
func without(h *History, drop func(v uint64) bool) {
	inAll(h, func(records []Record) []Record {
		return slices.DeleteFunc(records, func(r Record) bool { return r.Event.Channel == general && drop(r.Event.V) })
	})
}

// Each kind of violation, put into a clean history, is found and called by its
// name: a checker that finds nothing proves nothing.
func TestEachViolationIsFound(t *testing.T) {
	for name, row := range map[string]struct {
		kind Kind
		harm func(*History)
	}{
		"the newest acknowledged messages are gone":   {LostPostfix, func(h *History) { without(h, func(v uint64) bool { return v > 35 }) }},
		"the oldest acknowledged messages are gone":   {LostPrefix, func(h *History) { without(h, func(v uint64) bool { return v < 5 }) }},
		"one acknowledged message between is gone":    {LostMiddle, func(h *History) { without(h, func(v uint64) bool { return v == 17 }) }},
		"everything is gone":                          {LostPostfix, func(h *History) { without(h, func(uint64) bool { return true }) }},
		"a retry stands twice":                        {Doubled, func(h *History) { standAgain(h, 41, func(e *Entry) {}) }},
		"a v stands twice":                            {Doubled, func(h *History) { standAgain(h, 40, func(e *Entry) { e.ID = "other" }) }},
		"a message nobody sent":                       {Unexpected, func(h *History) { standAgain(h, 41, func(e *Entry) { e.ID = "ghost" }) }},
		"a message with another body":                 {Unexpected, func(h *History) { h.Sends[3].Body = "something else" }},
		"a message in another channel":                {Unexpected, func(h *History) { h.Sends[3].Name = "random" }},
		"a stranger's message is in the log":          {RefusedButIn, func(h *History) { standAgain(h, 41, func(e *Entry) { e.User, e.ID, e.Body = "eve", "eve-0", "" }) }},
		"a stranger's message is acknowledged":        {WrongAck, func(h *History) { h.Sends[2*messages].Attempts[0].Outcome = Acked }},
		"refused for good and in the log":             {RefusedButIn, func(h *History) { a := &h.Sends[3].Attempts[0]; a.Outcome, a.Code = Refused, "bad_request" }},
		"refused without a reason":                    {WrongRefusal, func(h *History) { a := &h.Sends[3].Attempts[0]; a.Outcome, a.Code = Refused, "muted" }},
		"refused with a code nobody knows":            {UnknownCode, func(h *History) { h.Sends[2*messages-1].Attempts[1].Code = "oops" }},
		"never settled":                               {Unresolved, func(h *History) { h.Sends[3].Attempts[0].Outcome = Broken }},
		"no answer from an edge that was well":        {Late, func(h *History) { late(h) }},
		"acknowledged at another v":                   {WrongAck, func(h *History) { h.Sends[3].Attempts[0].V++ }},
		"acknowledged at another n":                   {WrongAck, func(h *History) { h.Sends[3].Attempts[0].N++ }},
		"acknowledged at another seq":                 {WrongAck, func(h *History) { h.Sends[3].Attempts[0].Seq++ }},
		"two acknowledgements differ":                 {WrongAck, func(h *History) { repeat(h, func(a *Attempt) { a.V++ }) }},
		"sent again and not called a duplicate":       {WrongAck, func(h *History) { repeat(h, func(a *Attempt) { a.Duplicate = false }) }},
		"sent once and called a duplicate":            {WrongAck, func(h *History) { h.Sends[3].Attempts[0].Duplicate = true }},
		"stands before what was acknowledged earlier": {Reordered, func(h *History) { swap(h, 10, 13) }},
		"one connection's messages in another order":  {SenderOrder, func(h *History) { swap(h, 10, 12) }},
		"v jumps in the log":                          {Hole, func(h *History) { without(h, func(v uint64) bool { return v == 17 }) }},
		"n jumps in the log":                          {Hole, func(h *History) { inAll(h, func(r []Record) []Record { r[9].Event.N += 2; return r }) }},
		"seq goes back":                               {Reordered, func(h *History) { inAll(h, func(r []Record) []Record { r[9].Seq = 2; return r }) }},
		"one replica lacks the newest":                {Diverged, func(h *History) { r := &h.Replicas[1].Records; *r = (*r)[:len(*r)-1] }},
		"one replica has more":                        {Diverged, func(h *History) { r := &h.Replicas[2].Records; *r = append(*r, Record{Seq: 999}) }},
		"one replica has other bytes":                 {Diverged, func(h *History) { h.Replicas[1].Records[7].Digest++ }},
		"a partition that nobody read":                {Unread, func(h *History) { h.Replicas = nil }},
		"a process panicked":                          {Died, func(h *History) { h.Deaths = []string{"panic"} }},
		"a live event never came":                     {Hole, func(h *History) { feed := &h.Readers[0].Subscriptions[0].Feed; *feed = slices.Delete(*feed, 7, 8) }},
		"the newest events never came":                {ReaderMissing, func(h *History) { feed := &h.Readers[0].Subscriptions[0].Feed; *feed = (*feed)[:30] }},
		"an announced gap is not to be had by pull":   {ReaderMissing, func(h *History) { h.Readers[1].Subscriptions[0].Pulled = nil }},
		"an event came twice":                         {Doubled, func(h *History) { f := &h.Readers[0].Subscriptions[0].Feed; *f = slices.Insert(*f, 7, (*f)[6]) }},
		"events came in another order":                {Hole, func(h *History) { f := h.Readers[0].Subscriptions[0].Feed; f[6], f[7] = f[7], f[6] }},
		"an event came at or below the answer's v":    {Doubled, func(h *History) { h.Readers[1].Subscriptions[1].V++ }},
		"a gap frame that leaves something out":       {Hole, func(h *History) { h.Readers[1].Subscriptions[0].Feed[5].Gap.After++ }},
		"the answer's gap does not begin where asked": {Hole, func(h *History) { h.Readers[1].Subscriptions[1].Gap.After++ }},
		"the answer's events do not reach its v":      {Hole, func(h *History) { s := &h.Readers[1].Subscriptions[1]; s.Answer = s.Answer[:3] }},
		"a reader got another event under that v":     {ReaderDiffers, func(h *History) { h.Readers[0].Subscriptions[0].Feed[7].Event.Body = "other" }},
		"a reader got what is not in the log": {ReaderDiffers, func(h *History) {
			s := &h.Readers[0].Subscriptions[0]
			s.Feed = append(s.Feed, Delivery{Event: Entry{Channel: general, V: 41}})
		}},
		"the log has another name after a reconnect": {HistoryChanged, func(h *History) { h.Readers[1].Subscriptions[1].Log = "M" }},
		"pull lacks one":                                   {SourceDiffers, func(h *History) { h.Sources[0].Entries = slices.Delete(h.Sources[0].Entries, 5, 6) }},
		"pull ends early":                                  {SourceDiffers, func(h *History) { h.Sources[0].Entries = h.Sources[0].Entries[:9] }},
		"history has one twice":                            {SourceDiffers, func(h *History) { s := &h.Sources[1].Entries; *s = slices.Insert(*s, 5, (*s)[4]) }},
		"a row of clickhouse that is not in the log":       {SourceDiffers, func(h *History) { s := &h.Sources[2].Entries; *s = append(*s, Entry{V: 2}) }},
		"a row of clickhouse with another seq":             {SourceDiffers, func(h *History) { h.Sources[2].Entries[0].Seq++ }},
		"rows of a channel that does not exist in the log": {SourceDiffers, func(h *History) { h.Sources[2].Name = "events"; h.Sources[2].Group = "ghost" }},
		"what is away was answered":                        {WrongRefusal, func(h *History) { h.Asked[0].Outcome, h.Asked[0].Code = Acked, "" }},
		"what is away was refused with another code":       {WrongRefusal, func(h *History) { h.Asked[0].Code = "internal" }},
		"what is away was refused late":                    {Late, func(h *History) { h.Asked[0].Took = 2 * awayWithin }},
		"a gap frame tells of what does not exist": {Hole, func(h *History) {
			f := &h.Readers[0].Subscriptions[0].Feed
			*f = append(*f, Delivery{Gap: &Range{40, 50}})
		}},
		"an answer to subscribe knew the future":              {NotLinear, func(h *History) { h.Readers[1].Subscriptions[1].Ended = 150 * ms }},
		"a pull at rest lacks the newest":                     {NotLinear, func(h *History) { h.Heads[0].V-- }},
		"two sends change places against the clock":           {NotLinear, func(h *History) { swap(h, 10, 13) }},
		"the fence is not obeyed: a stale event has a number": {Hole, func(h *History) { inAll(h, func(r []Record) []Record { r[30].Epoch = 1; return r }) }},
	} {
		t.Run(name, func(t *testing.T) {
			h := clean()
			row.harm(&h)
			if v := Check(h); v.Counts[row.kind] == 0 {
				t.Errorf("found %v, want %s", v, row.kind)
			}
		})
	}
}

// What is allowed must pass: an answer that came late because the edge was
// frozen is nobody's fault.
func TestFrozenEdgeExcusesSilence(t *testing.T) {
	h := clean()
	late(&h)
	a := h.Sends[2*messages-1].Attempts[0]
	h.Outages = []Outage{{Edge: 0, From: a.Began - ms, To: a.Began + time.Second}}
	if v := Check(h); !v.OK() {
		t.Errorf("got %v", v)
	}
	h.Outages[0].Edge = 1
	if v := Check(h); v.Counts[Late] == 0 {
		t.Error("the outage of another edge excuses too")
	}
}

// Messages of one user may change places when the first had to be sent again:
// what counts is the attempt that was accepted.
func TestRetriedMessageMayStandLater(t *testing.T) {
	h := clean()
	swap(&h, 10, 12)
	first := &h.Sends[9]
	a := first.Attempts[0]
	first.Attempts = []Attempt{
		{Conn: 1, Began: a.Began, Ended: a.Began + 25*ms, Outcome: Refused, Code: "unavailable"},
		{Conn: 1, Began: a.Began + 26*ms, Ended: a.Began + 30*ms, Outcome: Acked, V: a.V, N: a.N, Seq: a.Seq},
	}
	// Nobody may wait for an acknowledgement before sending what stands between.
	for _, i := range []int{10, 11} {
		h.Sends[i].Attempts[0].Began = a.Began + ms
		h.Sends[i].Attempts[0].Ended = a.Began + 40*ms
	}
	if v := Check(h); !v.OK() {
		t.Errorf("got %v: %s", v, details(v))
	}
}

func TestVerdictTellsAFewOfEachKind(t *testing.T) {
	h := clean()
	without(&h, func(uint64) bool { return true })
	v := Check(h)
	if v.Counts[LostPostfix] != 2*messages {
		t.Errorf("lost %d, want %d", v.Counts[LostPostfix], 2*messages)
	}
	told := strings.Count(details(v), string(LostPostfix))
	if told != shown {
		t.Errorf("told %d, want %d", told, shown)
	}
}

func details(v Verdict) string {
	var lines []string
	for _, one := range v.Violations {
		lines = append(lines, string(one.Kind)+": "+one.Detail)
	}
	return strings.Join(lines, "\n")
}

// standAgain puts the newest message into the log once more, at a v and changed.
func standAgain(h *History, v uint64, change func(*Entry)) {
	inAll(h, func(records []Record) []Record {
		r := records[len(records)-1]
		r.Seq++
		r.Event.V, r.Event.N, r.Event.Seq, r.Digest = v, v, r.Seq, r.Seq
		change(&r.Event)
		return append(records, r)
	})
}

// late lets the first attempt of bob's last message wait too long.
func late(h *History) {
	for i := range h.Sends[2*messages-1].Attempts {
		a := &h.Sends[2*messages-1].Attempts[i]
		if i == 0 {
			a.Outcome = Silent
		} else {
			a.Began += answerWithin
		}
		a.Ended += answerWithin
	}
}

// repeat sends alice's first message again and acknowledges it again.
func repeat(h *History, change func(*Attempt)) {
	s := &h.Sends[0]
	a := s.Attempts[0]
	a.Began, a.Ended, a.Duplicate = time.Minute, time.Minute+ms, true
	change(&a)
	s.Attempts = append(s.Attempts, a)
}

// swap lets two messages stand in each other's place, everywhere.
func swap(h *History, v, w uint64) {
	turn := func(e Entry) Entry {
		switch e.V {
		case v, w:
			other := h.Sends[v+w-e.V-1]
			e.User, e.ID, e.Body = other.User, other.ID, other.Body
		}
		return e
	}
	inAll(h, func(records []Record) []Record {
		for i := range records {
			if records[i].Event.Channel == general {
				records[i].Event = turn(records[i].Event)
			}
		}
		return records
	})
	for i := range h.Readers {
		for j := range h.Readers[i].Subscriptions {
			s := &h.Readers[i].Subscriptions[j]
			for k := range s.Feed {
				s.Feed[k].Event = turn(s.Feed[k].Event)
			}
			for k := range s.Answer {
				s.Answer[k] = turn(s.Answer[k])
			}
			for k := range s.Pulled {
				s.Pulled[k] = turn(s.Pulled[k])
			}
		}
	}
	for i := range 2 {
		for k := range h.Sources[i].Entries {
			h.Sources[i].Entries[k] = turn(h.Sources[i].Entries[k])
		}
	}
	a, b := &h.Sends[v-1].Attempts[0], &h.Sends[w-1].Attempts[0]
	a.V, b.V, a.N, b.N, a.Seq, b.Seq = b.V, a.V, b.N, a.N, b.Seq, a.Seq
}
