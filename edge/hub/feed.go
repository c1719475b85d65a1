package hub

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

// inboxSize is in messages. When the inbox is full the NATS client drops what
// comes; versions and beacons uncover it.
const inboxSize = 16384

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
	epoch streams.Epoch // of the newest term heard of
	late  *follow.Late
}

func newFeed(h *Hub, p streams.Partition) (*feed, error) {
	f := &feed{hub: h, partition: p, inbox: make(chan *nats.Msg, inboxSize), late: follow.NewLate()}
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
	tick := time.NewTicker(follow.LateTick)
	defer tick.Stop()
	for {
		var due <-chan time.Time // nil while nothing is late
		if f.late.Waiting() {
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
	if g, c, ok := streams.ParseHide(msg.Subject); ok {
		f.hide(g, c, msg.Data)
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

// fence ends all earlier terms for the partition's views. With a term may begin
// another history of the log, where the former was lost.
func (f *feed) fence(epoch streams.Epoch) {
	if epoch <= f.epoch {
		return
	}
	f.epoch = epoch
	views := f.views()
	for _, v := range views {
		v.fence(epoch)
	}
	if len(views) > 0 {
		f.hub.spawn(func() { f.compareLog(f.hub.life) })
	}
}

// compareTries is how often the log's name is asked for, a pause of compareEvery
// apart. A fence was stored a moment ago, so there is somebody to answer.
const (
	compareTries = 20
	compareEvery = 500 * time.Millisecond
)

// compareLog closes the views whose history is not the log's any more.
func (f *feed) compareLog(ctx context.Context) {
	for range compareTries {
		name, err := topology.LogName(ctx, f.hub.config.JS, f.partition)
		if err == nil {
			for _, v := range f.views() {
				v.compareLog(ctx, name)
			}
			return
		}
		pause(ctx, compareEvery)
	}
	f.hub.config.Logger.Warn("the log's name can't be read", "partition", f.partition)
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
	f.fence(streams.Epoch(beacon.GetEpoch())) // the fence itself may have been lost
	now := time.Now()
	for _, head := range beacon.GetHeads() {
		h := follow.Head{
			Group: streams.Group(head.GetGroup()), Channel: streams.Channel(head.GetChannel()), V: streams.Version(head.GetV()),
		}
		if f.behind(h) {
			f.late.Note(h, now)
		}
	}
}

func (f *feed) behind(h follow.Head) bool {
	v := f.hub.view(h.Group)
	return v != nil && v.behind(h.Channel, h.V)
}

// fillLate reads from the log what a beacon told of and did not arrive.
func (f *feed) fillLate() {
	f.late.Due(time.Now(), f.behind, func(h follow.Head) {
		if v := f.hub.view(h.Group); v != nil {
			v.want(h.Channel, h.V, follow.ByBeacon)
		}
	})
}
