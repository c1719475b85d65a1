package past

import (
	"context"
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Moment is a group as it was.
type Moment struct {
	State  *group.State
	Events int            // folded
	Last   *streams.Event // newest one, nil for none
}

// At folds a group's events up to and with a sequence (0: all) or, if until is
// set, those of before that time.
func At(ctx context.Context, s Source, g streams.Group, upto streams.Seq, until time.Time) (Moment, error) {
	m := Moment{State: group.New(g)}
	err := s.Events(ctx, g, upto, func(e *streams.Event) error {
		if !until.IsZero() && e.TS > until.UnixMilli() {
			return ErrStop
		}
		m.State.Apply(e)
		m.Events++
		m.Last = e
		return nil
	})
	return m, err
}

// Ask answers a reading command from the moment.
func (m Moment) Ask(body any) (*streampb.Result, error) {
	r := group.Request{User: "@server", Server: true, Body: body}
	// All there ever was has been folded: what is not in memory does not exist.
	for missing := m.State.Missing(r); len(missing) > 0; missing = m.State.Missing(r) {
		for _, entity := range missing {
			if err := m.State.Restore(entity, nil); err != nil {
				return nil, err
			}
		}
	}
	d, err := m.State.Decide(r, 0)
	if err != nil {
		return nil, err
	}
	return d.Answer, nil
}
