package faults

import (
	"slices"
	"sort"
	"time"

	"github.com/throng/throng/streams"
)

// answerWithin is how long an edge that is well may take for an answer: its own
// deadline, and what this machine's scheduling adds.
const answerWithin = 5*time.Second + 2500*time.Millisecond

// again are the codes after which a sender repeats: the outcome is not known.
var again = []streams.Code{streams.Unavailable, streams.Internal, streams.RateLimited, streams.SlowMode}

var catalogue = []streams.Code{
	streams.Unauthorized, streams.Forbidden, streams.NotMember, streams.NotFound, streams.Muted, streams.Banned,
	streams.BadRequest, streams.TooLarge, streams.RateLimited, streams.SlowMode, streams.Conflict,
	streams.StaleClientID, streams.Unavailable, streams.HistoryUnavailable, streams.Internal,
}

// final reports whether an attempt tells that the message is not there.
func (a Attempt) final() bool {
	return a.Outcome == Refused && !slices.Contains(again, streams.Code(a.Code))
}

// send checks one message's attempts against the log.
func (c *checker) send(s *Send) {
	entry, there := c.byID[message{s.User, s.ID}]
	acked, finals := 0, 0
	firstAck := time.Duration(-1) // when the first acknowledgement came
	for i, a := range s.Attempts {
		if a.Ended-a.Began >= answerWithin && !c.excused(a) {
			c.found(Late, "%s of %s: %s after %v at edge %d, sent at %v", s.ID, s.User, a.Outcome, a.Ended-a.Began, a.Edge, a.Began)
		}
		switch {
		case a.final():
			finals++
			if !s.Forbidden {
				c.found(WrongRefusal, "%s of %s was refused as %s at %v", s.ID, s.User, a.Code, a.Ended)
			}
		case a.Outcome == Acked:
			acked++
			if there && (a.V != entry.V || a.N != entry.N || a.Seq != entry.Seq) {
				c.found(WrongAck, "%s of %s was acknowledged at v %d, n %d, seq %d and stands at v %d, n %d, seq %d",
					s.ID, s.User, a.V, a.N, a.Seq, entry.V, entry.N, entry.Seq)
			}
			if i == 0 && len(s.Attempts) == 1 && a.Duplicate {
				c.found(WrongAck, "%s of %s was sent once and called a duplicate", s.ID, s.User)
			}
			if firstAck >= 0 && a.Began > firstAck && !a.Duplicate {
				c.found(WrongAck, "%s of %s was acknowledged at %v, and again at %v without being called a duplicate", s.ID, s.User, firstAck, a.Ended)
			}
			if firstAck < 0 || a.Ended < firstAck {
				firstAck = a.Ended
			}
		}
		if a.Outcome == Refused && !slices.Contains(catalogue, streams.Code(a.Code)) {
			c.found(UnknownCode, "%s of %s was refused as %q", s.ID, s.User, a.Code)
		}
	}
	switch {
	case s.Forbidden && acked > 0:
		c.found(WrongAck, "%s of %s was acknowledged, who is no member", s.ID, s.User)
	case there && (s.Forbidden || finals == len(s.Attempts)):
		c.found(RefusedButIn, "%s of %s was refused and stands at v %d", s.ID, s.User, entry.V)
	case acked == 0 && finals == 0:
		c.found(Unresolved, "%s of %s: %d attempts, neither acknowledged nor refused", s.ID, s.User, len(s.Attempts))
	}
}

// excused reports whether the edge could not answer an attempt.
func (c *checker) excused(a Attempt) bool {
	return slices.ContainsFunc(c.Outages, func(o Outage) bool {
		return o.Edge == a.Edge && o.From <= a.Ended && a.Began <= o.To
	})
}

// ack is the first acknowledgement of a send, if there is one.
func (s *Send) ack() (first Attempt, acked bool) {
	for _, a := range s.Attempts {
		if a.Outcome == Acked && (!acked || a.Ended < first.Ended) {
			first, acked = a, true
		}
	}
	return first, acked
}

// lost finds what was acknowledged and is not there, and tells where the holes
// are: a lost end is another defect than a lost middle.
func (c *checker) lost() {
	for i := range c.Sends {
		s := &c.Sends[i]
		a, acked := s.ack()
		if _, there := c.byID[message{s.User, s.ID}]; !acked || there || s.Forbidden {
			continue
		}
		kind := LostMiddle
		log := c.logs[s.Channel]
		switch {
		case len(log) == 0 || a.V > log[len(log)-1].V:
			kind = LostPostfix
		case a.V < log[0].V:
			kind = LostPrefix
		}
		c.found(kind, "%v: %s of %s was acknowledged at v %d at %v and is not in the log", s.Channel, s.ID, s.User, a.V, a.Ended)
	}
}

// realTime checks that what was acknowledged before another message of the
// group was first sent stands before it.
func (c *checker) realTime() {
	type point struct {
		at    time.Duration
		seq   uint64
		acked bool
		send  *Send
	}
	groups := map[string][]point{}
	for i := range c.Sends {
		s := &c.Sends[i]
		e, there := c.byID[message{s.User, s.ID}]
		if !there || len(s.Attempts) == 0 {
			continue
		}
		groups[s.Group] = append(groups[s.Group], point{s.Attempts[0].Began, e.Seq, false, s})
		if a, acked := s.ack(); acked {
			groups[s.Group] = append(groups[s.Group], point{a.Ended, e.Seq, true, s})
		}
	}
	for group, points := range groups {
		sort.SliceStable(points, func(i, j int) bool { return points[i].at < points[j].at })
		var newest point
		for _, p := range points {
			switch {
			case p.acked && p.seq > newest.seq:
				newest = p
			case !p.acked && p.seq < newest.seq && p.at > newest.at:
				c.found(Reordered, "%s: %s of %s, sent at %v, stands at seq %d, before seq %d, %s of %s, that was acknowledged at %v",
					group, p.send.ID, p.send.User, p.at, p.seq, newest.seq, newest.send.ID, newest.send.User, newest.at)
			}
		}
	}
}

// senderOrder checks that what one connection sent, once each, stands in that
// order.
func (c *checker) senderOrder() {
	type line struct {
		Channel
		user string
		conn int
	}
	newest := map[line]Entry{}
	for i := range c.Sends {
		s := &c.Sends[i]
		e, there := c.byID[message{s.User, s.ID}]
		if !there || len(s.Attempts) != 1 {
			continue
		}
		at := line{s.Channel, s.User, s.Attempts[0].Conn}
		if before := newest[at]; before.V > e.V {
			c.found(SenderOrder, "%v: %s of %s, sent after %s, stands at v %d, before v %d", s.Channel, s.ID, s.User, before.ID, e.V, before.V)
			continue
		}
		newest[at] = e
	}
}
