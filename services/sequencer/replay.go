package sequencer

import (
	"fmt"
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// replay folds the log at a takeover, message by message. A log may have
// millions, so what it looks up of a channel it looks up once.
type replay struct {
	sequencer *Sequencer
	fold      *fold
	skimmer   streams.Skimmer
	channels  map[channelKey]*replayed
	epoch     streams.Epoch
	last      streams.Seq // message visited
	moved     time.Time   // when the newest event was stored
}

// replayed is what a replay knows of a channel.
type replayed struct {
	group *group.State // nil until an event of it was not stale
	dirty bool         // its group was noted as changed
	moved time.Time    // when its newest event was stored
}

func (s *Sequencer) newReplay(f *fold) *replay {
	return &replay{sequencer: s, fold: f, channels: map[channelKey]*replayed{}}
}

func (r *replay) visit(m eventlog.Message) error {
	r.last = m.Seq
	r.fold.replayed++
	token, ok := streams.ParseLog(m.Subject)
	switch {
	case !ok:
		return fmt.Errorf("unknown subject at %d", m.Seq)
	case token.Fence:
		r.epoch = max(r.epoch, streams.Epoch(m.Seq))
		return nil
	case token.Canary:
		return nil
	}
	e, err := r.skimmer.Event(m.Data, m.Seq)
	if err != nil {
		return err
	}
	key := channelKey{e.Group, e.Channel}
	c := r.channels[key]
	if c == nil {
		c = &replayed{}
		r.channels[key] = c
	}
	r.event(c, e, m.Time)
	c.moved, r.moved = m.Time, m.Time
	return nil
}

// event folds one event, unless it belongs to nobody's history.
func (r *replay) event(c *replayed, e *streams.Event, stored time.Time) {
	if e.Epoch < r.epoch {
		r.refuse(streams.Stale)
		return
	}
	f := r.fold
	if c.group == nil {
		c.group = f.group(e.Group)
	}
	if verdict := streams.Judge(c.group.Place(e.Channel), e); verdict == streams.Ahead {
		r.refuse(verdict)
		return
	}
	// What the channel knows already may still be news for another record of
	// the snapshot; each takes only what is newer than itself.
	c.group.Apply(e)
	f.applied(e)
	if !c.dirty {
		f.dirty[e.Group], c.dirty = struct{}{}, true
	}
	if _, ok := e.Payload.(streams.MessagePosted); ok {
		c.group.Observe(e)
	}
	if at := stored.UnixMilli(); at >= f.window { // what is older would be dropped at once
		f.dedup.add(e, at)
	}
}

func (r *replay) refuse(verdict streams.Verdict) {
	r.sequencer.config.Metrics.Refused.WithLabelValues(verdict.String()).Inc()
}

// end notes which channels moved lately.
func (r *replay) end() {
	for key, c := range r.channels {
		if r.fold.groups[key.group] != nil && r.moved.Sub(c.moved) <= beaconCover {
			r.fold.moved[key] = beaconTimes
		}
	}
}
