package owner

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// Deadline is how long a command may take in all.
	Deadline = 5 * time.Second
	// attempt is how long one request waits for its answer. A request to an owner
	// that died is repeated after it, about when the next owner serves.
	attempt = time.Second
	// backOffMin and backOffMax bound the wait before the next attempt.
	backOffMin = 50 * time.Millisecond
	backOffMax = 250 * time.Millisecond
	// RetryAfter is when a client is told to try again.
	RetryAfter = time.Second
	// MaxBatchBytes bounds the commands of one request, below NATS's default
	// limit of 1 MiB a message.
	MaxBatchBytes = 512 << 10
)

// Client sends commands. It may be used from any goroutine.
type Client struct {
	conn       *nats.Conn
	partitions uint32
	local      Local       // nil for none
	together   []*together // by partition
}

// Local takes a request to the partition's owner if that is in this very
// process, in the bytes it has on [streams.CommandSubject], and calls respond
// at most once with the answer's. It returns false if it did not take it: the
// request then goes over NATS. A request that is taken and not answered is one
// whose outcome is unknown, as over NATS.
type Local func(p streams.Partition, data []byte, respond func(data []byte)) (taken bool)

// New returns a client; it touches no network.
func New(conn *nats.Conn, partitions uint32) *Client {
	return (&Client{conn: conn, partitions: partitions}).gathers()
}

// Beside returns the client with a shorter way to owners in this process; nil
// is none.
func (c *Client) Beside(local Local) *Client {
	return (&Client{conn: c.conn, partitions: c.partitions, local: local}).gathers()
}

// Partition is where a group's events are.
func (c *Client) Partition(g streams.Group) streams.Partition {
	return streams.PartitionOf(g, c.partitions)
}

// Unavailable is the refusal of what could not be brought to an end in time.
func Unavailable() *streams.Rejection {
	return streams.RejectRetry(streams.Unavailable, RetryAfter, "the group cannot be reached at the moment, try again")
}

// Ask sends one reading command. Errors are [*streams.Rejection].
func (c *Client) Ask(ctx context.Context, p streams.Partition, command *streampb.Command) (*streampb.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	result := c.Do(ctx, p, []*streampb.Command{command})[0]
	if r := Rejection(result); r != nil {
		return nil, r
	}
	return result, nil
}

// Do sends commands of one partition, to be decided in this order, and returns
// one result each. It ends with ctx, whose deadline the caller sets; what has
// no answer then is refused with unavailable. A result says duplicate only if
// the command was done by an earlier call of whoever made its client_id.
func (c *Client) Do(ctx context.Context, p streams.Partition, commands []*streampb.Command) []*streampb.Result {
	// What this call repeats for want of an answer bears one number, by which
	// the owner knows it for no repetition of the sender's.
	number := 1 + rand.N[uint32](math.MaxUint32)
	for _, command := range commands {
		command.Attempt = number
	}
	results := make([]*streampb.Result, len(commands))
	done := 0
	for {
		// Without an answer it is sent again, all that was not answered.
		answer, _ := c.request(ctx, p, commands[done:])
		done += copy(results[done:], answer)
		if done == len(commands) {
			return results
		}
		if !pause(ctx) {
			for i := done; i < len(results); i++ {
				results[i] = Refused(Unavailable())
			}
			return results
		}
	}
}

// request sends the commands once and returns the results of those that need
// not be sent again: all, or all but those at the end that the owner could not
// decide now.
func (c *Client) request(ctx context.Context, p streams.Partition, commands []*streampb.Command) ([]*streampb.Result, error) {
	data, err := proto.Marshal(&streampb.CommandBatch{Commands: commands})
	if err != nil {
		return nil, err
	}
	if data, err = c.exchange(ctx, p, data); err != nil {
		return nil, err
	}
	answer := &streampb.ResultBatch{}
	if err := proto.Unmarshal(data, answer); err != nil {
		return nil, err
	}
	results := answer.GetResults()
	if len(results) != len(commands) {
		return nil, fmt.Errorf("%d results for %d commands", len(results), len(commands))
	}
	for len(results) > 0 && results[len(results)-1].GetRejection().GetCode() == string(streams.Unavailable) {
		results = results[:len(results)-1]
	}
	return results, nil
}

// exchange brings a request to the owner, on the shortest way there is, and its
// answer back. Whoever is not there is asked over NATS, which says so at once.
func (c *Client) exchange(ctx context.Context, p streams.Partition, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if c.local != nil {
		answers := make(chan []byte, 1) // there is one at most, so nobody waits to hand it in. Never closed.
		if c.local(p, data, func(data []byte) { answers <- data }) {
			select {
			case answer := <-answers:
				return answer, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	msg, err := c.conn.RequestWithContext(ctx, streams.CommandSubject(p), data)
	if err != nil {
		return nil, err
	}
	return msg.Data, nil
}

// pause waits before the next attempt; false means that there is no time left
// for one.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(backOffMin + rand.N(backOffMax-backOffMin))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Refused makes a rejection a result.
func Refused(r *streams.Rejection) *streampb.Result {
	return &streampb.Result{Rejection: r.Proto()}
}

// Rejection returns what a result was refused with, nil if it was done.
func Rejection(result *streampb.Result) *streams.Rejection {
	if result.GetRejection() == nil {
		return nil
	}
	return streams.RejectionOf(result.GetRejection())
}
