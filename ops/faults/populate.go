//go:build linux

package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/throng/throng/streams"
)

// load is what a run's users do. Two groups a partition.
const (
	groupsEach = 2
	readersFor = 2 // of each channel
	pace       = 15 * time.Millisecond

	// Each second group has a sender of large messages and a drowsy reader at the
	// edge with the small memory.
	bulkyEvery = 2
	bulkyBytes = 6 << 10
)

// populate makes the groups, two in every partition, with the owner in them.
func (r *run) populate(ctx context.Context) error {
	count := map[streams.Partition]int{}
	for i := 0; len(r.groups) < partitions*groupsEach; i++ {
		name := fmt.Sprintf("g%d", i)
		p := streams.PartitionOf(streams.Group(name), partitions)
		if count[p] < groupsEach {
			count[p]++
			r.groups = append(r.groups, name)
		}
	}
	call := func(user, command string, arguments map[string]any) error {
		conn, err := dial(ctx, r.listen[0], user, nil)
		if err != nil {
			return err
		}
		defer conn.close()
		return insist(conn, command, arguments, nil)
	}
	for i, g := range r.groups {
		if err := call("owner", "create_group", map[string]any{"group": g, "kind": "community", "name": g}); err != nil {
			return err
		}
		if err := call("owner", "create_channel", map[string]any{"group": g, "channel": "general", "kind": "public", "name": "general"}); err != nil {
			return err
		}
		at := Channel{g, "general"}
		users := []string{fmt.Sprintf("single%d", i), fmt.Sprintf("window%d", i)}
		for j, user := range append(users, "bulky", "reader") {
			if err := call(user, "join", map[string]any{"group": g}); err != nil {
				return err
			}
			if user == "reader" || user == "bulky" {
				continue
			}
			r.senders = append(r.senders, &sender{
				Channel: at, user: user, listen: r.listen, edge: (i + j) % 2, window: 1 + 3*j, twin: j == 0 && i%4 == 0,
				pace: 2 * pace, clock: r.clock, acked: &r.acked,
			})
		}
		if i%bulkyEvery == 0 && r.Control == nil { // their gaps would cover up for a control's
			r.bulk(at)
		}
		for j := range readersFor {
			r.readers = append(r.readers, &reader{
				name: fmt.Sprintf("reader %d of %s", j, g), user: "reader", at: at, listen: r.listen, edge: j % 2,
				clock: r.clock, have: map[uint64]struct{}{},
			})
		}
	}
	r.senders = append(r.senders, &sender{
		Channel: Channel{r.groups[0], "general"}, user: "stranger", listen: r.listen, window: 1, forbidden: true,
		pace: 20 * pace, clock: r.clock, acked: &r.acked,
	})
	return r.contest(ctx)
}

// bulk adds to a channel who writes much and who does not always read.
func (r *run) bulk(at Channel) {
	r.senders = append(r.senders, &sender{
		Channel: at, user: "bulky", listen: r.listen, window: 3, padding: bulkyBytes,
		pace: pace, clock: r.clock, acked: &r.acked,
	})
	r.readers = append(r.readers, &reader{
		name: "drowsy reader of " + at.Group, user: "reader", at: at, listen: r.listen[1:],
		clock: r.clock, drowsy: &drowsy{calm: r.calm}, have: map[uint64]struct{}{},
	})
}
