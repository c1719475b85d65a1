package sequencer

import (
	"context"
	"slices"
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// departures is how many users one batch of the term's own departs: all
	// guests a room can have.
	departures = streams.MaxRoomLogged
	// sweepGroups is in how many groups one sweep looks who has gone.
	sweepGroups = 256
)

// sweep looks who has gone, and has decided what hangs on that: by batches of
// its own, which go the way of all others, so that what is loaded, numbered
// and fenced for those is for these. It changes nothing while the owner can't
// know: at the beginning of a term, and after it has not heard itself.
func (t *term) sweep(ctx context.Context) error {
	h, now := t.hearing, t.sequencer.config.Now()
	for waiting := len(h.inbox); waiting > 0; waiting-- {
		t.hear(<-h.inbox)
	}
	if now.Sub(h.asked) >= askEvery {
		t.ask(now)
	}
	if now.Sub(h.heard) > deafAfter {
		h.settled, h.wanted = now.Add(settleWithin), true
		t.presence.again(now, h.settled)
	}
	t.presence.pass(now)
	if now.Before(h.settled) {
		return nil
	}
	if err := t.depart(ctx, now); err != nil {
		return err
	}
	return t.endIdle(ctx, now)
}

// depart departs who has gone.
func (t *term) depart(ctx context.Context, now time.Time) error {
	looked := 0
	for g := range t.presence.doubt {
		if looked++; looked > sweepGroups || t.full() || len(t.loads.behind) >= maxBehind {
			return nil
		}
		st := t.fold.groups[g]
		if st == nil {
			delete(t.presence.doubt, g)
			continue
		}
		if _, leaving := t.hearing.leaving[g]; leaving {
			continue
		}
		var gone []any
		if len(st.MissingTied()) > 0 {
			gone = []any{&group.Departure{}} // loads them
		} else {
			for _, u := range st.Bound() {
				if len(gone) < departures && !t.presence.Here(g, u) {
					gone = append(gone, &group.Departure{User: u})
				}
			}
		}
		if len(gone) == 0 {
			delete(t.presence.doubt, g)
			continue
		}
		if err := t.decideOwn(ctx, g, gone, now); err != nil {
			return err
		}
	}
	return nil
}

// endIdle ends the rooms nobody has been in for as long as they may stand so.
func (t *term) endIdle(ctx context.Context, now time.Time) error {
	for g, since := range t.hearing.empty {
		st := t.fold.groups[g]
		if st == nil || st.IdleAfter() == 0 {
			delete(t.hearing.empty, g)
			continue
		}
		if here, _ := t.presence.Count(g); here > 0 {
			t.hearing.empty[g] = now
			continue
		}
		if now.Sub(since).Milliseconds() < st.IdleAfter() || t.full() {
			continue
		}
		if _, leaving := t.hearing.leaving[g]; leaving {
			continue
		}
		if err := t.decideOwn(ctx, g, []any{&group.Idle{}}, now); err != nil {
			return err
		}
	}
	return nil
}

// decideOwn decides what no user asked for.
func (t *term) decideOwn(ctx context.Context, g streams.Group, bodies []any, now time.Time) error {
	t.hearing.leaving[g] = struct{}{}
	b := &Batch{own: true, submitted: now, Respond: func([]*streampb.Result) { delete(t.hearing.leaving, g) }}
	for _, body := range bodies {
		b.Commands = append(b.Commands, Command{Group: g, Request: group.Request{User: group.PresenceUser, Server: true, Body: body}})
	}
	return t.take(ctx, b)
}

// asked leaves out the term's own batches: who is here is another's to say in
// the next term.
func asked(batches []*Batch) []*Batch {
	return slices.DeleteFunc(batches, func(b *Batch) bool { return b.own })
}
