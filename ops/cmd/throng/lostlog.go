package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// logEnd is where a partition's log ends, and what else is known of it.
type logEnd struct {
	missing  bool
	last     streams.Seq // of the log
	snapshot streams.Seq // the snapshot reflects the log up to here
	stored   streams.Seq // ClickHouse has the log up to here
}

// lost says how the log was lost, "" if it was not.
func (e logEnd) lost() string {
	switch {
	case e.missing:
		return "its log is gone"
	case e.last < e.snapshot:
		return fmt.Sprintf("its log ends at %d, and the snapshot reflects it up to %d: it was rolled back", e.last, e.snapshot)
	case e.last < e.stored:
		return fmt.Sprintf("its log ends at %d, and ClickHouse has it up to %d: it was rolled back", e.last, e.stored)
	}
	return ""
}

// endOf looks at a partition's log and snapshot.
func endOf(ctx context.Context, conn *nats.Conn, js jetstream.JetStream, p streams.Partition, stored streams.Seq) (logEnd, error) {
	end := logEnd{stored: stored}
	stream, err := js.Stream(ctx, streams.LogStream(p))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		end.missing = true
	case err != nil:
		return end, fmt.Errorf("look at the log of partition %d: %w", p, err)
	default:
		end.last = streams.Seq(stream.CachedInfo().State.LastSeq)
	}
	record, err := eventlog.NewReader(conn, streams.StateStream(p)).Last(ctx, streams.StateCheckpoint(p))
	if errors.Is(err, eventlog.ErrNoMessage) {
		return end, nil
	}
	if err != nil {
		return end, fmt.Errorf("look at the snapshot of partition %d: %w", p, err)
	}
	checkpoint := &streampb.Checkpoint{}
	if err := proto.Unmarshal(record.Data, checkpoint); err != nil {
		return end, fmt.Errorf("look at the snapshot of partition %d: %w", p, err)
	}
	end.snapshot = streams.Seq(checkpoint.GetSeq())
	return end, nil
}
