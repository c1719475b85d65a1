package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/follow"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

var backfillMetrics = backfill.NewMetrics(prometheus.NewRegistry())

// edge is one process that follows the partition live: edge/hub around the
// real edge/follow, edge/ring and edge/backfill.
type edge struct {
	world   *world
	name    string
	conn    *conn
	loader  *backfill.Loader
	rings   *ring.Budget
	late    *follow.Late
	inbox   []*nats.Msg
	offline bool // its connection to NATS is lost: it hears and gets nothing
	views   []*view
	readers []*reader
}

// view is one group as the edge follows it.
type view struct {
	edge     *edge
	group    streams.Group
	log      *follow.Group
	channels map[streams.Channel]*channel
	order    []streams.Channel // of channels, as they came up
	opened   bool
	absent   int       // the group was not there when the log had so many events
	resync   bool      // compare with the owner
	asked    time.Time // when the owner was asked last
	asking   int       // which question is open, 0 for none
	question int
}

// channel is one channel of a view.
type channel struct {
	view  *view
	name  streams.Channel
	log   *follow.Channel
	ring  *ring.Ring
	head  streams.Version
	from  streams.Version // it began behind here
	loads bool
}

var _ follow.Receiver = (*channel)(nil)

func newEdge(w *world, number int) *edge {
	e := &edge{world: w, name: fmt.Sprintf("e%d", number)}
	e.boot()
	for i := range 2 {
		e.readers = append(e.readers, newReader(e, i))
	}
	return e
}

// boot starts the process, with nothing in memory.
func (e *edge) boot() {
	w := e.world
	e.conn = w.connect(e.name)
	e.loader = newLoader(e.conn)
	e.rings = ring.NewBudget(int64(3000 + w.below(60_000)))
	e.late, e.inbox, e.views, e.offline = follow.NewLate(), nil, nil, false
	for _, g := range groups {
		v := &view{edge: e, group: g, channels: map[streams.Channel]*channel{}, absent: -1}
		v.log = follow.NewGroup(follow.Config{Receive: v.receive, Unchecked: w.sabotage.anyOrder})
		e.views = append(e.views, v)
	}
}

func newLoader(c *conn) *backfill.Loader {
	return backfill.New(backfill.Config{Transport: c, Partitions: 1, Metrics: backfillMetrics})
}

func (e *edge) crash() {
	e.world.trace("%s crashes", e.name)
	for _, v := range e.views {
		v.log.Close()
	}
	e.conn.die()
	for _, r := range e.readers {
		r.interrupted()
	}
	e.boot()
}

func (v *view) receive(name streams.Channel, log *follow.Channel) follow.Receiver {
	c := &channel{view: v, name: name, log: log, ring: v.edge.rings.New(12)}
	v.channels[name] = c
	v.order = append(v.order, name)
	return c
}

// Deliver implements follow.Receiver.
func (c *channel) Deliver(entry ring.Entry) {
	defer func() {
		if hole := recover(); hole != nil {
			c.view.edge.world.problem("%s: %v", c.view.edge.name, hole)
		}
	}()
	if entry.JSON == nil {
		entry.JSON = []byte("not encoded here")
	}
	c.ring.Append(entry)
	c.head = entry.Event.V
	if p, ok := entry.Event.Payload.(streams.ChannelCreated); ok {
		c.view.log.Channel(streams.Channel(p.GetChannel()))
	}
}

// Stale implements follow.Receiver.
func (c *channel) Stale(e *streams.Event) {
	c.view.edge.world.trace("%s: %s/%s v %d is stale", c.view.edge.name, e.Group, e.Channel, e.V)
}

// Load implements follow.Receiver as edge/hub does.
func (c *channel) Load(by follow.Cause) bool {
	e := c.view.edge
	w := e.world
	w.trace("%s: %s/%s is behind, says %s", e.name, c.view.group, c.name, by)
	c.loads = true
	w.start(e.conn, func() {
		for {
			missing, ok := c.log.Missing()
			if !ok {
				c.loads = false
				return
			}
			entries, _ := e.loader.Events(context.Background(), c.target(), backfill.Range{
				After: missing.After, Upto: missing.Upto, Lo: missing.Lo, Limit: 1000, Bytes: 8 << 20,
			})
			w.loaded++
			if wait := c.log.Loaded(entries); wait > 0 {
				w.sleep(wait)
			}
		}
	})
	return true
}

func (c *channel) target() backfill.Target {
	return backfill.Target{Group: c.view.group, Channel: c.name}
}

// live is the stream's copy of what it stored, on its way to the edge.
func (e *edge) live(m message) {
	w := e.world
	if w.deaf {
		return
	}
	msg := &nats.Msg{Subject: "throng.live." + m.subject[len("throng.log."):], Data: m.data, Header: nats.Header{
		"Nats-Sequence": []string{strconv.FormatUint(uint64(m.seq), 10)},
	}}
	for range 2 {
		if !w.chance(0.03) {
			e.hear(msg)
		}
		if !w.chance(0.02) {
			break
		}
	}
}

func (e *edge) hear(msg *nats.Msg) {
	if e.offline {
		return
	}
	if msg.Subject == streams.BeaconSubject(0) && (e.world.chance(0.1) || e.world.sabotage.noBeacons) {
		return
	}
	e.inbox = append(e.inbox, msg)
	if n := len(e.inbox); n > 1 && e.world.chance(0.03) {
		k := e.world.below(n)
		e.inbox[k], e.inbox[n-1] = e.inbox[n-1], e.inbox[k]
	}
}

func (e *edge) step() {
	w := e.world
	switch {
	case w.chance(0.002):
		e.crash()
	case !e.offline && w.chance(0.004):
		w.trace("%s loses its connection", e.name)
		e.offline, e.inbox = true, e.inbox[:w.below(len(e.inbox)+1)]
	case e.offline && (w.severity == 0 || w.below(20) == 0):
		w.trace("%s is connected again", e.name)
		e.offline = false
		e.compare()
	case w.below(6) == 0:
		e.askOwners()
	case len(e.inbox) > 0 && w.below(5) > 0:
		for range min(len(e.inbox), 1+w.below(8)) {
			msg := e.inbox[0]
			e.inbox = e.inbox[1:]
			e.take(msg)
		}
	default:
		e.late.Due(w.now, e.behind, func(h follow.Head) { e.view(h.Group).log.Want(h.Channel, h.V, follow.ByBeacon) })
	}
}

// compare makes all views compare with their owner, as after a reconnect.
func (e *edge) compare() {
	for _, v := range e.views {
		v.resync = true
	}
}

func (e *edge) view(g streams.Group) *view {
	return e.views[slices.Index(groups, g)]
}

func (e *edge) behind(h follow.Head) bool { return e.view(h.Group).log.Behind(h.Channel, h.V) }

// take is what edge/hub's feed does with a message.
func (e *edge) take(msg *nats.Msg) {
	if msg.Subject == streams.BeaconSubject(0) {
		beacon := &streampb.Beacon{}
		if err := proto.Unmarshal(msg.Data, beacon); err != nil {
			panic(err)
		}
		e.fence(streams.Epoch(beacon.GetEpoch()))
		heads := beacon.GetHeads()
		slices.SortFunc(heads, func(a, b *streampb.BeaconHead) int { // they come from a map
			return cmp.Or(cmp.Compare(a.GetGroup(), b.GetGroup()), cmp.Compare(a.GetChannel(), b.GetChannel()))
		})
		for _, h := range heads {
			head := follow.Head{Group: streams.Group(h.GetGroup()), Channel: streams.Channel(h.GetChannel()), V: streams.Version(h.GetV())}
			if e.behind(head) {
				e.late.Note(head, e.world.now)
			}
		}
		return
	}
	token, ok := streams.ParseLog(msg.Subject)
	if !ok || !token.Fence && token.Group == "" {
		return // a position, a canary
	}
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		panic(err)
	}
	if token.Fence {
		e.fence(streams.Epoch(seq))
		return
	}
	event, err := streams.UnmarshalEvent(msg.Data, streams.Seq(seq))
	if err != nil {
		panic(err)
	}
	e.view(token.Group).log.Live(event)
}

// fence ends all earlier terms.
func (e *edge) fence(epoch streams.Epoch) {
	for _, v := range e.views {
		v.log.Fence(epoch)
	}
}

// askOwners asks whoever owns the partition where the channels of a group
// stand, for a view that opens or compares.
func (e *edge) askOwners() {
	w := e.world
	for _, v := range e.views {
		if v.opened && !v.resync || v.absent == w.posted || v.asking != 0 && w.now.Sub(v.asked) < 2*time.Second {
			continue
		}
		v.question++
		v.asked, v.asking = w.now, v.question
		conn, question := e.conn, v.question
		for _, i := range w.instances {
			if !i.listens() || w.chance(0.02) {
				continue
			}
			i.request([]sequencer.Command{readSnapshot(v.group)}, func(results []*streampb.Result) {
				if conn.dead || e.offline || v.asking != question || w.chance(0.02) {
					return
				}
				v.asking = 0
				if snap := results[0].GetSnapshot(); snap != nil {
					v.told(snap)
				} else if results[0].GetRejection().GetCode() == string(streams.NotFound) {
					v.absent = w.posted
				}
			})
		}
	}
}

// told takes the owner's snapshot: the view opens with it, or compares.
func (v *view) told(snap *streampb.Snapshot) {
	epoch := streams.Epoch(snap.GetEpoch())
	infos := slices.Clone(snap.GetChannels())
	slices.SortFunc(infos, func(a, b *streampb.ChannelInfo) int { return cmp.Compare(a.GetChannel(), b.GetChannel()) })
	v.edge.world.trace("%s hears from epoch %d of %d channels of %s", v.edge.name, epoch, len(infos), v.group)
	for _, info := range infos {
		name, head := streams.Channel(info.GetChannel()), streams.Version(info.GetV())
		if v.opened && v.channels[name] != nil {
			v.channels[name].log.Want(head, follow.ByResync)
			continue
		}
		log := v.log.Channel(name)
		log.Start(streams.Place{V: head, Epoch: epoch}, streams.Number(info.GetN()), streams.Seq(info.GetSeq()))
		v.channels[name].head, v.channels[name].from = head, head
	}
	if !v.opened {
		v.log.Opened()
	}
	v.opened, v.resync = true, false
}

// heard is how many events the edge has come to, in all channels.
func (e *edge) heard() (events int) {
	for _, v := range e.views {
		for _, name := range v.order {
			events += int(v.channels[name].log.At())
		}
	}
	return events
}

// unrest says what there is still to do.
func (e *edge) unrest() string {
	if e.offline || len(e.inbox) > 0 || e.late.Waiting() {
		return "has not taken all it heard"
	}
	for _, v := range e.views {
		if (!v.opened || v.resync) && v.absent != e.world.posted {
			return "waits for the owner"
		}
		for _, name := range v.order {
			if v.channels[name].loads {
				return "loads"
			}
		}
	}
	for _, r := range e.readers {
		if r.behind() {
			return "has readers that are behind"
		}
	}
	if e.world.deaf && e.heard() < e.world.posted {
		return "has not heard of all that is in the log"
	}
	return ""
}
