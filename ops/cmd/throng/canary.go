package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// canary appends through the owner: healthy-looking streams can refuse writes.
func canary(ctx context.Context, conn *nats.Conn, p streams.Partition) error {
	request, err := proto.Marshal(&streampb.CommandBatch{Commands: []*streampb.Command{
		{Body: &streampb.Command_Canary{Canary: &streampb.Canary{}}},
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	msg, err := conn.RequestWithContext(ctx, streams.CommandSubject(p), request)
	if err != nil {
		return err
	}
	answer := &streampb.ResultBatch{}
	if err := proto.Unmarshal(msg.Data, answer); err != nil {
		return err
	}
	if r := answer.GetResults(); len(r) == 1 && r[0].GetRejection() != nil {
		return errors.New(r[0].GetRejection().GetMessage())
	}
	return nil
}
