package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/throng/throng/streams"
)

// ErrLogLost: a partition's log was there and is not any more, or ends before
// what is known of it.
var ErrLogLost = errors.New("the log was lost: run «throng repair»")

// logStep is what first sequences of renewed logs are multiples of. It is more
// than a partition appends before anybody has noted how far it was: three hours
// at 100,000 a second.
const logStep = 1_000_000_000

// FirstAfter returns where a log begins that follows a lost one of which high
// is the newest sequence known, so that none is ever used twice.
func FirstAfter(high streams.Seq) streams.Seq { return (high/logStep + 2) * logStep }

// RenewLog makes a partition's log anew, under a new name and empty, with first
// as its first sequence. What is there of the old one is removed.
func RenewLog(ctx context.Context, js jetstream.JetStream, d Deployment, p streams.Partition, first streams.Seq) error {
	config := d.LogStreamConfig(p)
	config.Metadata, config.FirstSeq = newHistory(), uint64(first)
	if err := js.DeleteStream(ctx, config.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("remove stream %s: %w", config.Name, err)
	}
	if _, err := js.CreateStream(ctx, config); err != nil {
		return fmt.Errorf("create stream %s: %w", config.Name, err)
	}
	return nil
}

// newHistory is the metadata of a log that begins.
func newHistory() map[string]string { return map[string]string{MetaLog: nuid.Next()} }

func logMissing(ctx context.Context, js jetstream.JetStream, p streams.Partition) (bool, error) {
	_, err := js.Stream(ctx, streams.LogStream(p))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at stream %s: %w", streams.LogStream(p), err)
	}
	return false, nil
}
