package sequencer

import (
	"context"
	"slices"
	"time"

	"github.com/throng/throng/streams"
)

// line is the batches that wait for a search in the log, or behind one that
// does: what a user sent later must not be decided before what was sent
// earlier. A sender who was not answered in time may have gone on, and would
// find the former message behind the latter. Batches of other users pass.
//
// It holds maxLine batches; what comes beyond is answered unavailable.
type line struct {
	batches []*Batch // in the order they came
}

// maxLine bounds what a decision that is looked up may hold up.
const maxLine = inboxSize

// holds reports whether a batch must wait behind one of the line.
func (l *line) holds(b *Batch) bool {
	return slices.ContainsFunc(l.batches, b.sharesWriter)
}

// sharesWriter reports whether both change something for the same user.
func (b *Batch) sharesWriter(other *Batch) bool {
	for i := range b.Commands {
		for j := range other.Commands {
			x, y := &b.Commands[i], &other.Commands[j]
			if x.Request.User == y.Request.User && !x.ClientID.IsZero() && !y.ClientID.IsZero() {
				return true
			}
		}
	}
	return false
}

// take decides a batch, after its targets are looked up where that is needed,
// and behind those of the same users that are.
func (t *term) take(ctx context.Context, b *Batch) error {
	b.looking, b.looked = false, false
	if len(t.line.batches) == 0 || !t.line.holds(b) {
		if done, err := t.proceed(ctx, b); done {
			return err
		}
	}
	if len(t.line.batches) >= maxLine {
		b.refuse(streams.RejectRetry(streams.Unavailable, time.Second, "too many commands are waiting"))
		return nil
	}
	t.line.batches = append(t.line.batches, b)
	return nil
}

// proceed decides a batch or refuses it as too old; done is false if it has to
// be looked up first.
func (t *term) proceed(ctx context.Context, b *Batch) (done bool, err error) {
	switch {
	case b.looking && !b.looked:
		return false, nil
	case t.sequencer.config.Now().Sub(b.submitted) > batchPatience:
		// Its sender was told long ago that it failed; doing it now would
		// surprise.
		b.refuse(streams.RejectRetry(streams.Unavailable, time.Second, "the command waited too long"))
		return true, nil
	case !b.looked && t.lookUp(ctx, b):
		b.looking = true
		return false, nil
	}
	return true, t.decide(b)
}

// advance goes on with a batch that was looked up, and with those of the line
// that nothing holds up any more.
func (t *term) advance(ctx context.Context, b *Batch) error {
	<-t.lookups // its place; freed only now, so that looked never fills
	b.looked = true
	var kept line
	for i, next := range t.line.batches {
		done := false
		if !kept.holds(next) {
			var err error
			if done, err = t.proceed(ctx, next); err != nil {
				t.line.batches = append(kept.batches, t.line.batches[i+1:]...)
				return err
			}
		}
		if !done {
			kept.batches = append(kept.batches, next)
		}
	}
	t.line = kept
	return nil
}
