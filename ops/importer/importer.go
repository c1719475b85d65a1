package importer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// Config says where an import goes.
type Config struct {
	Conn       *nats.Conn      // required
	Partitions uint32          // of the deployment
	Group      streams.Group   // made if it is not there
	Channel    streams.Channel // made if it is not there
	Owner      streams.User    // of the group, if it is made here
}

// batchCommands is how many commands travel in one request; with short chat
// lines that is some 60 KB.
const batchCommands = 400

// patience is how long a batch is repeated while the partition's owner does
// not answer.
const patience = 60 * time.Second

// Summary is what an import did.
type Summary struct {
	Lines   map[string]int // read, by kind
	Added   int            // events written
	Present int            // events that were there already
}

// Import is one running import. It is owned by one goroutine.
type Import struct {
	config    Config
	partition streams.Partition
	present   map[streams.ClientID]struct{} // ids the group's log holds
	pending   []*streampb.Command
	summary   Summary
}

// Start makes the group and channel if they are missing and reads which lines
// the group's log holds already.
func Start(ctx context.Context, config Config) (*Import, error) {
	im := &Import{
		config: config, partition: streams.PartitionOf(config.Group, config.Partitions),
		present: map[streams.ClientID]struct{}{}, summary: Summary{Lines: map[string]int{}},
	}
	for _, c := range []*streampb.Command{
		{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "community", Name: string(config.Group)}}},
		{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{
			Channel: string(config.Channel), Kind: "public", Name: string(config.Channel),
		}}},
	} {
		c.Group, c.User, c.Server = string(config.Group), string(config.Owner), true
		c.ClientId = freshID().Bytes()
		results, err := im.request(ctx, []*streampb.Command{c})
		if err != nil {
			return nil, err
		}
		if r := results[0].GetRejection(); r != nil && r.GetCode() != string(streams.Conflict) {
			return nil, fmt.Errorf("make group %s: %s", config.Group, r.GetMessage())
		}
	}
	lowest, err := im.readLog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what group %s holds: %w", config.Group, err)
	}
	heads, err := im.heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at group %s: %w", config.Group, err)
	}
	for _, c := range []streams.Channel{streams.MembersChannel, config.Channel} {
		if lowest[c] == 1 || heads[c] == 0 && c == config.Channel {
			continue // the log holds all of it
		}
		if err := im.readStored(ctx, c, lowest[c]); err != nil {
			return nil, fmt.Errorf("read what ClickHouse holds of group %s: %w", config.Group, err)
		}
	}
	return im, nil
}

// heads returns how far the group's channels are.
func (im *Import) heads(ctx context.Context) (map[streams.Channel]uint64, error) {
	results, err := im.request(ctx, []*streampb.Command{{
		Group: string(im.config.Group), User: string(im.config.Owner), Server: true,
		Body: &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{}},
	}})
	if err != nil {
		return nil, err
	}
	heads := map[streams.Channel]uint64{}
	for _, info := range results[0].GetGroupInfo().GetChannels() {
		heads[streams.Channel(info.GetChannel())] = info.GetV()
	}
	return heads, nil
}

// readLog notes the ids in the log and returns the lowest version of each
// channel that it still holds.
func (im *Import) readLog(ctx context.Context) (lowest map[streams.Channel]streams.Version, err error) {
	lowest = map[streams.Channel]streams.Version{}
	reader := eventlog.NewReader(im.config.Conn, streams.LogStream(im.partition))
	filter := streams.GroupLogFilter(im.partition, im.config.Group)
	err = reader.Scan(ctx, filter, 1, 0, func(m eventlog.Message) error {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		if lowest[e.Channel] == 0 {
			lowest[e.Channel] = e.V
		}
		im.present[e.ClientID] = struct{}{}
		return nil
	})
	return lowest, err
}

// readStored notes the ids of events that were purged from the log: those
// before a version, or all with 0.
func (im *Import) readStored(ctx context.Context, c streams.Channel, before streams.Version) error {
	after := uint64(0)
	for {
		question := &streampb.EventQuery{Group: string(im.config.Group), Channel: string(c), After: after, Limit: 1000}
		if before > 0 {
			question.Upto = uint64(before) - 1
		}
		data, err := proto.Marshal(question)
		if err != nil {
			return fmt.Errorf("encode query: %w", err)
		}
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		msg, err := im.config.Conn.RequestWithContext(once, streams.QueryEvents, data)
		cancel()
		if err != nil {
			return fmt.Errorf("ask the projections: %w", err)
		}
		page := &streampb.EventPage{}
		if err := proto.Unmarshal(msg.Data, page); err != nil {
			return fmt.Errorf("answer of the projections: %w", err)
		}
		if page.GetError() != nil {
			return fmt.Errorf("ask the projections: %s", page.GetError().GetMessage())
		}
		for _, stored := range page.GetEvents() {
			e, err := streams.UnmarshalEvent(stored.GetEvent(), streams.Seq(stored.GetSeq()))
			if err != nil {
				return err
			}
			im.present[e.ClientID] = struct{}{}
			after = uint64(e.V)
		}
		if len(page.GetEvents()) == 0 {
			return nil
		}
	}
}

// add queues a command unless its event is there already.
func (im *Import) add(ctx context.Context, c *streampb.Command, id streams.ClientID, at time.Time) error {
	if _, known := im.present[id]; known {
		im.summary.Present++
		return nil
	}
	im.present[id] = struct{}{}
	c.Group, c.Server, c.Ts, c.ClientId = string(im.config.Group), true, at.UnixMilli(), id.Bytes()
	im.pending = append(im.pending, c)
	if len(im.pending) == batchCommands {
		return im.Flush(ctx)
	}
	return nil
}

// Flush sends what is queued and waits until it is stored.
func (im *Import) Flush(ctx context.Context) error {
	if len(im.pending) == 0 {
		return nil
	}
	results, err := im.request(ctx, im.pending)
	if err != nil {
		return err
	}
	for i, r := range results {
		switch {
		case r.GetRejection() != nil:
			return fmt.Errorf("import as %s: %s: %s", im.pending[i].GetUser(), r.GetRejection().GetCode(), r.GetRejection().GetMessage())
		case r.GetDuplicate():
			im.summary.Present++
		default:
			im.summary.Added++
		}
	}
	im.pending = im.pending[:0]
	return nil
}

// Summary returns what was done so far.
func (im *Import) Summary() Summary { return im.summary }

// request repeats a batch until the owner has stored it: the ids make that
// safe. A batch is repeated whole if any of it was unavailable, so its order
// stays.
func (im *Import) request(ctx context.Context, commands []*streampb.Command) ([]*streampb.Result, error) {
	data, err := proto.Marshal(&streampb.CommandBatch{Commands: commands})
	if err != nil {
		return nil, fmt.Errorf("encode commands: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const pause = 100 * time.Millisecond
	for {
		results, err := im.attempt(ctx, data, len(commands))
		if err == nil {
			return results, nil
		}
		if !errors.Is(err, errAgain) {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("partition %d is not answering: %w", im.partition, errors.Join(ctx.Err(), err))
		}
	}
}

// errAgain: the partition has no owner at the moment.
var errAgain = errors.New("try again")

func (im *Import) attempt(ctx context.Context, data []byte, count int) ([]*streampb.Result, error) {
	once, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg, err := im.config.Conn.RequestWithContext(once, streams.CommandSubject(im.partition), data)
	if err != nil {
		if ctx.Err() == nil && (errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)) {
			return nil, fmt.Errorf("%w: %w", errAgain, err)
		}
		return nil, fmt.Errorf("send commands: %w", err)
	}
	answer := &streampb.ResultBatch{}
	if err := proto.Unmarshal(msg.Data, answer); err != nil || len(answer.GetResults()) != count {
		return nil, fmt.Errorf("answer to %d commands can't be read: %w", count, err)
	}
	for _, r := range answer.GetResults() {
		if r.GetRejection().GetCode() == string(streams.Unavailable) {
			return nil, fmt.Errorf("%w: %s", errAgain, r.GetRejection().GetMessage())
		}
	}
	return answer.GetResults(), nil
}
