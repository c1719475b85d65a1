package faults

// reader checks each subscription of a reader by the contract, and then all it
// got against the log.
func (c *checker) reader(r *Reader) {
	got := map[uint64]Entry{}
	take := func(e Entry) {
		if before, known := got[e.V]; known && before != e {
			c.found(ReaderDiffers, "%s: %v: v %d was %+v and is %+v", r.Name, r.Channel, e.V, before, e)
		}
		got[e.V] = e
	}
	for i := range r.Subscriptions {
		s := &r.Subscriptions[i]
		c.answer(r, s)
		c.feed(r, s)
		for _, e := range s.Answer {
			take(e)
		}
		for _, d := range s.Feed {
			if d.Gap == nil {
				take(d.Event)
			}
		}
		for _, e := range s.Pulled {
			take(e)
		}
	}
	log := c.logs[r.Channel]
	c.gaps(r, uint64(len(log)))
	for _, want := range log {
		e, known := got[want.V]
		switch {
		case !known:
			c.found(ReaderMissing, "%s: %v: v %d never came", r.Name, r.Channel, want.V)
		case e != want:
			c.found(ReaderDiffers, "%s: %v: v %d is %+v, the log has %+v", r.Name, r.Channel, want.V, e, want)
		}
		delete(got, want.V)
	}
	for v, e := range got {
		c.found(ReaderDiffers, "%s: %v: v %d is %+v and not in the log", r.Name, r.Channel, v, e)
	}
}

// answer checks that the events and the gap of a subscribe answer cover exactly
// what was asked for.
func (c *checker) answer(r *Reader, s *Subscription) {
	at := s.After
	if s.Gap != nil {
		if s.Gap.After != at || s.Gap.Upto <= at {
			c.found(Hole, "%s: %v: the answer to subscribe after %d has the gap %+v", r.Name, r.Channel, s.After, *s.Gap)
		}
		at = s.Gap.Upto
	}
	for _, e := range s.Answer {
		if e.V != at+1 {
			c.found(Hole, "%s: %v: v %d follows v %d in the answer to subscribe after %d", r.Name, r.Channel, e.V, at, s.After)
		}
		at = e.V
	}
	if at != max(s.V, s.After) {
		c.found(Hole, "%s: %v: the answer to subscribe after %d ends at v %d, its v is %d", r.Name, r.Channel, s.After, at, s.V)
	}
}

// feed checks that what followed comes once, in order, and without a jump that
// no gap frame announced.
func (c *checker) feed(r *Reader, s *Subscription) {
	last := s.V
	for _, d := range s.Feed {
		switch {
		case d.Gap != nil:
			if d.Gap.After != last || d.Gap.Upto <= last {
				c.found(Hole, "%s: %v: a gap frame says %+v after v %d", r.Name, r.Channel, *d.Gap, last)
			}
			last = max(last, d.Gap.Upto)
		case d.Event.V <= last:
			c.found(Doubled, "%s: %v: v %d was delivered after v %d", r.Name, r.Channel, d.Event.V, last)
		case d.Event.V != last+1:
			c.found(Hole, "%s: %v: v jumped from %d to %d without a gap frame", r.Name, r.Channel, last, d.Event.V)
			last = d.Event.V
		default:
			last = d.Event.V
		}
	}
}

// gaps checks that none tells of events that do not exist.
func (c *checker) gaps(r *Reader, head uint64) {
	for _, s := range r.Subscriptions {
		for _, d := range s.Feed {
			if d.Gap != nil && d.Gap.Upto > head {
				c.found(Hole, "%s: %v: a gap frame says %+v, the log ends at v %d", r.Name, r.Channel, *d.Gap, head)
			}
		}
	}
}
