package owner

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/throng/throng/edge/gather"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// togetherMost is how many commands of different askers go in one request. An
	// answer has at most 64 KiB (access to a thousand private channels), so a
	// request's is nearly always below NATS's 1 MiB; where it is not, none comes,
	// and smaller requests follow.
	togetherMost = 128
	// togetherAtOnce is how many such requests to one partition are under way.
	togetherAtOnce = 4
)

type together = gather.Gather[*streampb.Command, *streampb.Result]

func (c *Client) gathers() *Client {
	for p := range streams.Partition(c.partitions) {
		c.together = append(c.together, gather.New(togetherMost, togetherAtOnce, func(ctx context.Context, commands []*streampb.Command) []*streampb.Result {
			return c.insist(ctx, p, commands)
		}))
	}
	return c
}

// Together sends one command whose answer is small, and together with it what
// others ask of the partition meanwhile. In which order they are decided is not
// said. Errors are [*streams.Rejection].
func (c *Client) Together(ctx context.Context, p streams.Partition, command *streampb.Command) (*streampb.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	result, err := c.together[p].Ask(ctx, command)
	if err != nil {
		return nil, Unavailable()
	}
	if r := Rejection(result); r != nil {
		return nil, r
	}
	return result, nil
}

// insist is [Client.Do] for commands that do not depend on each other: where no
// answer comes it sends fewer at once.
func (c *Client) insist(ctx context.Context, p streams.Partition, commands []*streampb.Command) []*streampb.Result {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	number := 1 + rand.N[uint32](math.MaxUint32)
	for _, command := range commands {
		command.Attempt = number
	}
	results := make([]*streampb.Result, len(commands))
	for done, size := 0, len(commands); done < len(commands); {
		answer, err := c.request(ctx, p, commands[done:min(done+size, len(commands))])
		if got := copy(results[done:], answer); got > 0 {
			done += got
			continue
		}
		if errors.Is(err, context.DeadlineExceeded) {
			size = max(1, size/2)
		}
		if !pause(ctx) {
			for i := done; i < len(results); i++ {
				results[i] = Refused(Unavailable())
			}
			break
		}
	}
	return results
}
