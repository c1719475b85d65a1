package sequencer

import (
	"context"
	"errors"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// fetch reads the records of entities from the snapshot, as new as it must be.
func (s *Sequencer) fetch(ctx context.Context, f *fetch) error {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	p := s.config.Partition
	reader := eventlog.NewReaderOver(s.transport, streams.StateStream(p))
	visit := func(m eventlog.Message) error {
		token, ok := streams.ParseState(m.Subject)
		if ok {
			f.records = append(f.records, loaded{entityOf(token), m.Data})
		}
		return nil
	}
	var subjects []string
	for _, key := range f.entities {
		if key.entity.Attribute == group.AllAttributes {
			if err := s.fetchAttributes(ctx, reader, key, f.stored, visit); err != nil {
				return err
			}
			continue
		}
		if key.entity.Member != group.AllMembers {
			subjects = append(subjects, entitySubject(p, key))
			continue
		}
		err := reader.Newest(ctx, streams.StateFence(p), f.stored, []string{streams.StateMembers(p, key.group)}, visit)
		if errors.Is(err, eventlog.ErrTooMany) {
			f.tooMany = append(f.tooMany, key.group)
			continue
		}
		if err != nil {
			return err
		}
	}
	for len(subjects) > 0 {
		count := min(eventlog.MaxNewest, len(subjects))
		if err := reader.Newest(ctx, streams.StateFence(p), f.stored, subjects[:count], visit); err != nil {
			return err
		}
		subjects = subjects[count:]
	}
	return nil
}

// entitySubject is where an entity's record is kept.
func entitySubject(p streams.Partition, key entityKey) string {
	g, e := key.group, key.entity
	switch {
	case e.Attribute != "":
		return streams.StateAttribute(p, g, e.Channel, e.Attribute)
	case e.Card != 0:
		return streams.StateCard(p, g, e.Channel, e.Card)
	case e.Member != "":
		return streams.StateMember(p, g, e.Member)
	case e.Channel != "":
		return streams.StateChannel(p, g, e.Channel)
	}
	return streams.StateGroup(p, g)
}

// entityOf is the inverse of entitySubject.
func entityOf(token streams.StateToken) entityKey {
	return entityKey{token.Group, group.Entity{
		Channel: token.Channel, Member: token.Member, Attribute: token.Attribute, Card: token.Card,
	}}
}
