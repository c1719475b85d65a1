package sequencer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// readSnapshot reads the records a term begins with: of groups, channels and
// the duplicate window, as of the term's own fence among them. It asks for
// their subjects first: what a scan would cost depends on how many members'
// records lie between them.
func (s *Sequencer) readSnapshot(ctx context.Context, f *fold, fence streams.Seq) error {
	p := s.config.Partition
	reader := eventlog.NewReaderOver(s.transport, streams.StateStream(p))
	subjects, err := reader.Subjects(ctx, streams.StateFilter(p), fence)
	if err != nil {
		return err
	}
	var records []string
	var window []streams.StateToken // pieces of it
	for _, subject := range subjects {
		token, ok := streams.ParseState(subject)
		switch {
		case !ok:
			return fmt.Errorf("unknown subject %q", subject)
		case token.Fence:
		case token.Dedup:
			window = append(window, token)
		default:
			records = append(records, subject)
		}
	}
	// The window is kept in the order in which it came about.
	slices.SortFunc(window, func(a, b streams.StateToken) int { return cmp.Compare(a.First, b.First) })
	for _, token := range window {
		records = append(records, streams.StateDedup(p, token.First))
	}
	for page := range slices.Chunk(records, eventlog.MaxNewest) {
		err := reader.Newest(ctx, streams.StateFence(p), fence, page, func(m eventlog.Message) error {
			if err := s.restoreRecord(f, m); err != nil {
				return fmt.Errorf("record at %d: %w", m.Seq, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Sequencer) restoreRecord(f *fold, m eventlog.Message) error {
	token, _ := streams.ParseState(m.Subject)
	switch {
	case token.Checkpoint:
		record := &streampb.Checkpoint{}
		if err := proto.Unmarshal(m.Data, record); err != nil {
			return err
		}
		f.checkpoint, f.windowed = streams.Seq(record.GetSeq()), record.GetDedup()
		f.reflects(record)
	case token.Dedup:
		return f.restoreChunk(m.Subject, m.Data)
	case token.Channel != "":
		record := &streampb.ChannelRecord{}
		if err := proto.Unmarshal(m.Data, record); err != nil {
			return err
		}
		f.group(token.Group).RestoreChannel(token.Channel, record)
		f.reflects(record)
		if s.config.Now().Sub(m.Time) <= beaconCover { // it moved shortly before
			f.moved[channelKey{token.Group, token.Channel}] = beaconTimes
		}
	default:
		record := &streampb.GroupRecord{}
		if err := proto.Unmarshal(m.Data, record); err != nil {
			return err
		}
		f.group(token.Group).RestoreGroup(record)
		f.reflects(record)
	}
	return nil
}
