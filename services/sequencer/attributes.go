package sequencer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// fetchAttributes reads the records of all attributes of a channel: at once, or
// in parts where there are more than the server tells of at once.
func (s *Sequencer) fetchAttributes(ctx context.Context, reader *eventlog.Reader, key entityKey, stored streams.Seq, visit func(eventlog.Message) error) error {
	p, anchor := s.config.Partition, streams.StateFence(s.config.Partition)
	all := []string{streams.StateAttributes(p, key.group, key.entity.Channel)}
	err := reader.Newest(ctx, anchor, stored, all, visit)
	if !errors.Is(err, eventlog.ErrTooMany) {
		return err
	}
	for _, part := range streams.StateAttributesInParts(p, key.group, key.entity.Channel) {
		if err := reader.Newest(ctx, anchor, stored, []string{part}, visit); err != nil {
			return err
		}
	}
	return nil
}

// completeCards loads the messages whose reactions were folded from the log's
// tail. Without what was there before they have no record to be written, and
// the next checkpoint will say that the tail is in the snapshot.
func (t *term) completeCards(ctx context.Context) error {
	var keys []entityKey
	for g, st := range t.fold.groups {
		for _, e := range st.Unfolded() {
			keys = append(keys, entityKey{g, e})
		}
	}
	slices.SortFunc(keys, func(a, b entityKey) int { // in the order of their subjects
		return strings.Compare(entitySubject(t.sequencer.config.Partition, a), entitySubject(t.sequencer.config.Partition, b))
	})
	for len(keys) > 0 {
		count := min(eventlog.MaxNewest, len(keys))
		f := &fetch{entities: keys[:count], stored: t.stored}
		if err := t.sequencer.fetch(ctx, f); err != nil {
			return fmt.Errorf("load the messages reacted to: %w", err)
		}
		if err := t.put(f); err != nil {
			return fmt.Errorf("load the messages reacted to: %w", err)
		}
		for _, key := range f.entities {
			t.fold.dirty[key.group] = struct{}{}
		}
		keys = keys[count:]
	}
	return nil
}

// maxGraves bounds the records of deleted attributes one clean-up drops.
const maxGraves = 512

// dropGraves removes the records of attributes that were deleted before the
// checkpoint, in the background. So keys that come and go, each once, leave
// nothing behind. What is not removed now is found again by who loads the
// channel's attributes.
func (t *term) dropGraves(ctx context.Context) {
	if len(t.fold.graves) == 0 || len(t.burying) > 0 {
		return
	}
	var subjects []string
	for key := range t.fold.graves {
		keys, more := t.fold.groups[key.group].Buried(key.channel, t.fold.checkpoint, maxGraves-len(subjects))
		for _, k := range keys {
			subjects = append(subjects, streams.StateAttribute(t.sequencer.config.Partition, key.group, key.channel, k))
		}
		if !more {
			delete(t.fold.graves, key)
		}
	}
	if len(subjects) == 0 {
		return
	}
	upto := t.stored // a key that is set anew has its record behind
	t.burying <- struct{}{}
	t.wait.Add(1)
	t.sequencer.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		defer func() { <-t.burying }()
		ctx, cancel := context.WithTimeout(ctx, dropWithin)
		defer cancel()
		if err := t.sequencer.dropRecords(ctx, subjects, upto); err != nil {
			t.sequencer.config.Logger.Warn("drop records of deleted attributes", "err", err)
		}
	})
}

// dropRecords removes the records at subjects, as far as they are not newer
// than upto.
func (s *Sequencer) dropRecords(ctx context.Context, subjects []string, upto streams.Seq) error {
	stream := eventlog.NewStream(s.transport, streams.StateStream(s.config.Partition))
	for _, subject := range subjects {
		if err := stream.PurgeSubject(ctx, subject, upto+1); err != nil {
			return err
		}
	}
	return nil
}
