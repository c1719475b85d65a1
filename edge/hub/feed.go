package hub

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// inboxSize is in messages. When the inbox is full the NATS client drops
	// what comes; versions and beacons uncover it.
	inboxSize = 16384
	// lateAfter is how long a channel may lie behind a beacon: the beacon may
	// overtake nothing, but what it tells of may be on its way.
	lateAfter = 100 * time.Millisecond
	lateTick  = 50 * time.Millisecond
)

const headerSequence = "Nats-Sequence"

// feed is what NATS delivers live from one partition, in the order it does:
// fences, beacons and the events of the groups that are followed all come
// through one inbox.
type feed struct {
	// Static after newFeed.
	hub       *Hub
	partition streams.Partition
	inbox     chan *nats.Msg // inboxSize; never closed
	fences    *nats.Subscription
	beacons   *nats.Subscription
	calls     *nats.Subscription

	// Owned by run.
	late map[headKey]lateHead
}

type headKey struct {
	group   streams.Group
	channel streams.Channel
}

// lateHead is a version a beacon told of that has not arrived.
type lateHead struct {
	v     streams.Version
	since time.Time
}

func newFeed(h *Hub, p streams.Partition) (*feed, error) {
	f := &feed{hub: h, partition: p, inbox: make(chan *nats.Msg, inboxSize), late: map[headKey]lateHead{}}
	var err, err2, err3 error
	f.fences, err = h.config.Conn.ChanSubscribe(streams.LiveFence(p), f.inbox)
	f.beacons, err2 = h.config.Conn.ChanSubscribe(streams.BeaconSubject(p), f.inbox)
	f.calls, err3 = h.config.Conn.ChanSubscribe(streams.PresenceCallSubject(p), f.inbox)
	if err = errors.Join(err, err2, err3); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *feed) close() {
	for _, sub := range []*nats.Subscription{f.fences, f.beacons, f.calls} {
		if sub != nil {
			_ = sub.Unsubscribe() // fails only where the connection is gone
		}
	}
}

func (f *feed) run(ctx context.Context) {
	tick := time.NewTicker(lateTick)
	defer tick.Stop()
	for {
		var due <-chan time.Time // nil while nothing is late
		if len(f.late) > 0 {
			due = tick.C
		}
		select {
		case msg := <-f.inbox:
			f.take(msg)
		case <-due:
			f.fillLate()
		case <-ctx.Done():
			return
		}
	}
}

func (f *feed) take(msg *nats.Msg) {
	if lose := f.hub.config.Lose; lose != nil && lose(msg) {
		return
	}
	if msg.Subject == f.beacons.Subject {
		f.beacon(msg.Data)
		return
	}
	if msg.Subject == f.calls.Subject {
		f.hub.call(f.partition)
		return
	}
	if g, c, ok := streams.ParseSignal(msg.Subject); ok {
		f.signal(g, c, msg.Data)
		return
	}
	token, ok := streams.ParseLog(msg.Subject)
	if !ok {
		return
	}
	seq, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return // not from the stream
	}
	if token.Fence {
		f.fence(streams.Epoch(seq))
		return
	}
	v := f.hub.view(token.Group)
	if v == nil {
		return
	}
	e, err := streams.UnmarshalEvent(msg.Data, streams.Seq(seq))
	if err != nil {
		f.hub.config.Logger.Warn("read a live event", "partition", f.partition, "seq", seq, "err", err)
		return
	}
	if e.Group == token.Group && e.Channel == token.Channel {
		v.live(e)
	}
}

// fence ends all earlier terms for the partition's views.
func (f *feed) fence(epoch streams.Epoch) {
	for _, v := range f.views() {
		v.fence(epoch)
	}
}

func (f *feed) views() (views []*View) {
	f.hub.mu.RLock()
	defer f.hub.mu.RUnlock()
	for _, v := range f.hub.views {
		if v.partition == f.partition {
			views = append(views, v)
		}
	}
	return views
}

func (f *feed) beacon(data []byte) {
	beacon := &streampb.Beacon{}
	if err := proto.Unmarshal(data, beacon); err != nil {
		f.hub.config.Logger.Warn("read a beacon", "partition", f.partition, "err", err)
		return
	}
	now := time.Now()
	for _, head := range beacon.GetHeads() {
		key := headKey{streams.Group(head.GetGroup()), streams.Channel(head.GetChannel())}
		v := f.hub.view(key.group)
		if version := streams.Version(head.GetV()); v != nil && v.behind(key.channel, version) {
			f.late[key] = lateHead{v: version, since: now}
		}
	}
}

// fillLate reads from the log what a beacon told of and did not arrive.
func (f *feed) fillLate() {
	now := time.Now()
	for key, head := range f.late {
		v := f.hub.view(key.group)
		switch {
		case v == nil || !v.behind(key.channel, head.v):
			delete(f.late, key)
		case now.Sub(head.since) >= lateAfter:
			delete(f.late, key)
			v.want(key.channel, head.v, byBeacon)
		}
	}
}
