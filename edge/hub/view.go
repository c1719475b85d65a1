package hub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// View is one group as this process follows it.
type View struct {
	// Static after newView.
	hub       *Hub
	group     streams.Group
	partition streams.Partition
	ready     chan struct{} // closed by open

	// Written by open before it closes ready, static after.
	err error
	log string // name of this history of the partition

	uses int       // guarded by hub.mu
	idle time.Time // since when uses is 0; guarded by hub.mu

	mu       sync.Mutex
	sub      *nats.Subscription           // guarded by mu; nil until it stands
	closed   bool                         // guarded by mu
	follower *follow.Group                // what is followed of the log; guarded by mu
	channels map[streams.Channel]*channel // those of follower; guarded by mu
	members  map[streams.User]*member     // guarded by mu
	// following is how many of members have subscriptions; guarded by mu.
	following int
	kind      string                // of the group; guarded by mu
	settings  *streampb.Settings    // guarded by mu; what it points to never changes
	told      streams.Seq           // up to where these two are current; guarded by mu
	gone      bool                  // the group was deleted; guarded by mu
	moves     map[streams.User]bool // see presence.go; guarded by mu
}

func newView(h *Hub, g streams.Group) *View {
	v := &View{
		hub: h, group: g, partition: h.config.Owner.Partition(g),
		ready:    make(chan struct{}),
		channels: map[streams.Channel]*channel{},
		members:  map[streams.User]*member{},
	}
	v.follower = follow.NewGroup(follow.Config{Receive: v.receive, Unchecked: h.config.WithoutContiguity})
	return v
}

// Release ends a use that began with [Hub.Open].
func (v *View) Release() {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	if v.uses--; v.uses == 0 {
		v.idle = time.Now()
	}
}

// Log names this history of the group's partition.
func (v *View) Log() string { return v.log }

// open subscribes, takes a snapshot and applies what came since. It is
// detached from ctx, because others wait for it as well.
func (v *View) open(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // owner.Ask has its own deadline
	v.err = v.begin(ctx)
	if v.err != nil {
		v.hub.forget(v)
		v.close()
	}
	close(v.ready)
}

func (v *View) begin(ctx context.Context) error {
	f, err := v.hub.follow(v.partition)
	if err != nil {
		return err
	}
	sub, err := v.hub.config.Conn.ChanSubscribe(streams.LiveFilter(v.partition, v.group), f.inbox)
	if err != nil {
		return fmt.Errorf("subscribe to group %s: %w", v.group, err)
	}
	v.mu.Lock()
	v.sub = sub
	v.mu.Unlock()
	snapshot, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	v.log = snapshot.GetLog()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, info := range snapshot.GetChannels() {
		v.place(info, streams.Epoch(snapshot.GetEpoch()))
	}
	v.inform(snapshot)
	v.follower.Opened()
	v.hub.config.Metrics.views.Inc()
	return nil
}

// Settings are the group's as far as this process has followed it.
func (v *View) Settings() *streampb.Settings {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.settings
}

func (v *View) snapshot(ctx context.Context) (*streampb.Snapshot, error) {
	return v.hub.config.Owner.Snapshot(ctx, v.partition, &streampb.Command{Group: string(v.group), User: "@server", Server: true})
}

// place sets a channel to where the owner says it stands; v.mu is held.
func (v *View) place(info *streampb.ChannelInfo, epoch streams.Epoch) *channel {
	c := v.channel(streams.Channel(info.GetChannel()))
	c.known = true
	at := streams.Place{V: streams.Version(info.GetV()), Epoch: epoch}
	c.log.Start(at, streams.Number(info.GetN()), streams.Seq(info.GetSeq()))
	c.where.set(streams.Version(info.GetV()), streams.Number(info.GetN()))
	c.head.Store(info.GetV())
	c.recall(numbers(info.GetRecalled())...)
	return c
}

func numbers(values []uint64) []streams.Number {
	out := make([]streams.Number, len(values))
	for i, v := range values {
		out[i] = streams.Number(v)
	}
	return out
}

// channel returns a channel's state, made on first sight; v.mu is held.
func (v *View) channel(name streams.Channel) *channel {
	v.follower.Channel(name) // calls receive
	return v.channels[name]
}

// receive makes a channel that is followed from now on; v.mu is held.
func (v *View) receive(name streams.Channel, log *follow.Channel) follow.Receiver {
	c := &channel{view: v, name: name, log: log, ring: v.hub.rings.New(v.hub.config.RingEvents)}
	c.source.channel = c
	v.channels[name] = c
	return c
}

// live takes an event from the feed.
func (v *View) live(e *streams.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follower.Live(e)
}

// fence ends all terms before epoch.
func (v *View) fence(epoch streams.Epoch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follower.Fence(epoch)
}

// behind reports whether a channel has not come to a version yet.
func (v *View) behind(name streams.Channel, version streams.Version) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.follower.Behind(name, version)
}

// want makes a channel read up to a version that is known to exist.
func (v *View) want(name streams.Channel, version streams.Version, by follow.Cause) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follower.Want(name, version, by)
}

// written notes the version a command was answered with.
func (v *View) written(name streams.Channel, version streams.Version) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.channel(name)
	c.written = max(c.written, version)
}

// resync compares all channels with what the owner says.
func (v *View) resync(ctx context.Context) {
	select {
	case <-v.ready:
	case <-ctx.Done():
		return
	}
	if v.err != nil {
		return
	}
	snapshot, err := v.snapshot(ctx)
	if err != nil {
		// The next event, beacon or reconnect tells what is missing.
		v.hub.config.Logger.Warn("compare with the owner", "group", v.group, "err", err)
		return
	}
	if snapshot.GetLog() != v.log {
		v.outlived()
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	for _, info := range snapshot.GetChannels() {
		name, head := streams.Channel(info.GetChannel()), streams.Version(info.GetV())
		if c := v.channels[name]; c == nil {
			v.place(info, streams.Epoch(snapshot.GetEpoch()))
		} else {
			c.known = true
			c.recall(numbers(info.GetRecalled())...)
			c.log.Want(head, follow.ByResync)
		}
	}
	v.inform(snapshot)
}

// compareLog closes the view if its history is not the log's of that name.
func (v *View) compareLog(ctx context.Context, name string) {
	select {
	case <-v.ready:
	case <-ctx.Done():
		return
	}
	if v.err == nil && name != v.log {
		v.outlived()
	}
}

// outlived closes a view whose log was lost: its rings hold what is in no
// history any more, and its readers are to begin anew.
func (v *View) outlived() {
	v.hub.config.Logger.Warn("the log is another one", "group", v.group)
	if v.hub.forget(v) {
		v.close()
	}
}

// close stops following. Subscriptions that are left are told that the feed
// is lost.
func (v *View) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sub != nil {
		_ = v.sub.Unsubscribe() // fails only where the connection is gone
	}
	if v.follower.Following() {
		v.hub.config.Metrics.views.Dec()
	}
	v.closed = true
	v.follower.Close()
	for _, c := range v.channels {
		c.close()
	}
}

func (v *View) target(name streams.Channel) backfill.Target {
	return backfill.Target{Partition: v.partition, Group: v.group, Channel: name}
}
