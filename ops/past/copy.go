package past

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Target is where a group is copied to.
type Target struct {
	Conn       *nats.Conn
	Partitions uint32 // of that deployment
	Group      streams.Group
	// Resume goes on with a copy that was broken off. Without it a group that is
	// there is refused.
	Resume bool
}

// ErrExists: the group is there already.
var ErrExists = errors.New("there is a group of this name already")

const (
	// copyPatience is how long one command is repeated while the owner does not
	// answer.
	copyPatience = 60 * time.Second
	// copyBytes bounds the events of one command.
	copyBytes = 256 << 10
)

// Copied tells what a copy did.
type Copied struct {
	Events  int // read
	Present int // of them there already
}

// Copy appends a group's events up to a sequence (0: all) to another group, with
// the same v, n, times and users; only seq is the target's own. Repeated, it goes
// on where it stopped. progress is called after each command.
func Copy(ctx context.Context, s Source, g streams.Group, upto streams.Seq, to Target, progress func(Copied)) (Copied, error) {
	c := &copying{
		target: to, partition: streams.PartitionOf(to.Group, to.Partitions), owners: owner.New(to.Conn, to.Partitions),
		members: map[streams.User]struct{}{}, progress: progress,
	}
	if !to.Resume {
		switch exists, err := c.exists(ctx); {
		case err != nil:
			return Copied{}, err
		case exists:
			return Copied{}, fmt.Errorf("copy to group %s: %w", to.Group, ErrExists)
		}
	}
	err := s.Events(ctx, g, upto, func(e *streams.Event) error { return c.add(ctx, e) })
	if err == nil {
		err = c.flush(ctx)
	}
	return c.copied, err
}

// copying is one copy under way.
type copying struct {
	target    Target
	partition streams.Partition
	owners    *owner.Client
	progress  func(Copied)
	copied    Copied

	events [][]byte
	bytes  int
	// members that events in hand are about: an event names the join before it
	// by its sequence, which the target must know by then.
	members map[streams.User]struct{}
}

func (c *copying) add(ctx context.Context, e *streams.Event) error {
	data, err := streams.MarshalEvent(e)
	if err != nil {
		return err
	}
	member, _ := streams.MemberOf(e)
	_, again := c.members[member]
	if again || len(c.events) == streams.MaxReplay || c.bytes+len(data) > copyBytes {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	if member != "" {
		c.members[member] = struct{}{}
	}
	c.events, c.bytes = append(c.events, data), c.bytes+len(data)
	return nil
}

// flush has the events in hand appended.
func (c *copying) flush(ctx context.Context) error {
	if len(c.events) == 0 {
		return nil
	}
	result, err := c.command(ctx, &streampb.Command{Body: &streampb.Command_Replay{Replay: &streampb.Replay{Events: c.events}}})
	if err != nil {
		return err
	}
	if r := result.GetRejection(); r != nil {
		return fmt.Errorf("copy to group %s: %s", c.target.Group, r.GetMessage())
	}
	c.copied.Events += len(c.events)
	if result.GetAlready() {
		c.copied.Present += len(c.events)
	}
	c.events, c.bytes = nil, 0
	clear(c.members)
	c.progress(c.copied)
	return nil
}

func (c *copying) exists(ctx context.Context) (bool, error) {
	result, err := c.command(ctx, &streampb.Command{Body: &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{}}})
	if err != nil {
		return false, err
	}
	switch code := streams.Code(result.GetRejection().GetCode()); code {
	case "":
		return true, nil
	case streams.NotFound, streams.NotMember: // of a direct group that is not there
		return false, nil
	default:
		return false, fmt.Errorf("look at group %s: %s", c.target.Group, result.GetRejection().GetMessage())
	}
}

// command asks until the owner answers.
func (c *copying) command(ctx context.Context, command *streampb.Command) (*streampb.Result, error) {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	command.Group, command.User, command.Server = string(c.target.Group), "@server", true
	command.ClientId = streams.MakeClientID(time.Now().UnixMilli(), entropy).Bytes()
	ctx, cancel := context.WithTimeout(ctx, copyPatience)
	defer cancel()
	result := c.owners.Do(ctx, c.partition, []*streampb.Command{command})[0]
	if r := result.GetRejection(); r.GetCode() == string(streams.Unavailable) {
		return nil, fmt.Errorf("ask the owner of group %s: %s", c.target.Group, r.GetMessage())
	}
	return result, nil
}
