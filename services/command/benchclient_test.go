package command_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// manyGroups is over how many groups the load spreads where it is not one hot
// channel.
const manyGroups = 1000

// groupName is the i-th group of partition 0 of 2.
func groupName(i int) streams.Group { return groupNames[i] }

var groupNames = func() (names []streams.Group) {
	for i := 0; len(names) < manyGroups; i++ {
		if g := streams.Group(fmt.Sprintf("g%d", i)); streams.PartitionOf(g, 2) == 0 {
			names = append(names, g)
		}
	}
	return names
}()

// client sends to Throng from a connection of its own.
type client struct {
	conn    *nats.Conn
	service *command.Service
}

// provision makes the groups and the client.
func (bed *bed) provision(b *testing.B) {
	bed.client = &client{conn: bed.n.Connection(b), service: bed.service}
	for i := range manyGroups {
		for _, c := range []*streampb.Command{
			{Body: &streampb.Command_CreateGroup{CreateGroup: &streampb.CreateGroup{Kind: "community", Name: "G"}}},
			{Body: &streampb.Command_CreateChannel{CreateChannel: &streampb.CreateChannel{Channel: "c", Kind: "public"}}},
		} {
			c.Group, c.User, c.ClientId = string(groupName(i)), "alice", newID().Bytes()
			if r := do(b, bed.client.conn, c); r.GetRejection() != nil {
				b.Fatalf("%T: %v", c.Body, r.GetRejection())
			}
		}
	}
}

// request is a batch of sends in its encoding. Only the ids change from one
// time to the next: what a load generator costs is taken from what it measures.
type request struct {
	data []byte
	ids  []int // where in data the client ids begin
}

func newRequest(b *testing.B, groups []streams.Group, batch int) *request {
	b.Helper()
	r, pb, ids := &request{}, &streampb.CommandBatch{}, [][]byte{}
	for i := range batch {
		c := send(newID(), string(make([]byte, 100)))
		c.Group = string(groups[i%len(groups)])
		pb.Commands, ids = append(pb.Commands, c), append(ids, c.GetClientId())
	}
	var err error
	if r.data, err = proto.Marshal(pb); err != nil {
		b.Fatal(err)
	}
	for _, id := range ids {
		r.ids = append(r.ids, bytes.Index(r.data, id))
	}
	return r
}

// renew gives every command of the request another client id.
func (r *request) renew() {
	for _, at := range r.ids {
		tail := r.data[at+8 : at+16] // behind time and version; its first two bits are the variant
		binary.BigEndian.PutUint64(tail, (binary.BigEndian.Uint64(tail)+1)&^(3<<62)|2<<62)
	}
}

// sender returns senders that ask over NATS.
func (c *client) sender(b *testing.B, l load) []func() (int, error) {
	return requests(b, l, func(data []byte) ([]byte, error) {
		msg, err := c.conn.Request(streams.CommandSubject(0), data, 10*time.Second)
		if err != nil {
			return nil, err
		}
		return msg.Data, nil
	})
}

var errNotServed = errors.New("the partition is not served here")

// localSender returns senders that ask within the process.
func (c *client) localSender(b *testing.B, l load) []func() (int, error) {
	return requests(b, l, func(data []byte) ([]byte, error) {
		answer := make(chan []byte, 1)
		if !c.service.Take(0, data, func(data []byte) { answer <- data }) {
			return nil, errNotServed
		}
		return <-answer, nil
	})
}

// requests spreads the groups over the senders of a load.
func requests(b *testing.B, l load, ask func([]byte) ([]byte, error)) []func() (int, error) {
	b.Helper()
	senders := make([]func() (int, error), l.senders)
	for i := range senders {
		var mine []*request
		var groups []streams.Group
		for g := i; g < max(l.groups, i+1); g += l.senders {
			groups = append(groups, groupName(g%l.groups))
		}
		for len(groups) > 0 {
			count := min(l.batch, len(groups))
			mine = append(mine, newRequest(b, groups[:count], l.batch))
			groups = groups[count:]
		}
		turns := 0
		senders[i] = func() (int, error) {
			r := mine[turns%len(mine)]
			turns++
			r.renew()
			data, err := ask(r.data)
			if err != nil {
				return 0, err
			}
			return len(r.ids), check(data)
		}
	}
	return senders
}

// check returns an error if a command of a request was refused. It looks at the
// bytes: a stored message's answer carries no text.
func check(data []byte) error {
	if len(data) == 0 || bytes.Contains(data, []byte("unavailable")) {
		return fmt.Errorf("answer %q", data)
	}
	return nil
}
