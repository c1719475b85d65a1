package sequencer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// simReader follows the partition live as edges do: what arrives is judged,
// what does not is read from the log, and beacons and the owner's snapshots
// tell what never came.
type simReader struct {
	world    *simWorld
	conn     *simConn
	log      *eventlog.Reader
	inbox    []*nats.Msg
	epoch    streams.Epoch
	channels map[channelKey]*simFeed
	order    []channelKey // of channels, as they came up
	resync   bool         // compare with the owner
	busy     bool
}

// simFeed is one channel of a reader.
type simFeed struct {
	place  streams.Place
	seq    streams.Seq
	wanted streams.Version
	held   []*streams.Event
	start  streams.Version // what is before came with a snapshot
	events []*streams.Event
}

func newSimReader(w *simWorld, number int) *simReader {
	r := &simReader{world: w, conn: w.connect(fmt.Sprintf("r%d", number)), channels: map[channelKey]*simFeed{}}
	r.log = eventlog.NewReaderOver(r.conn, w.log.name)
	return r
}

// live is the stream's copy of what it stored, on its way to the reader.
func (r *simReader) live(m simMessage) {
	w := r.world
	msg := &nats.Msg{Subject: "throng.live." + m.subject[len("throng.log."):], Data: m.data, Header: nats.Header{
		"Nats-Sequence": []string{strconv.FormatUint(uint64(m.seq), 10)},
	}}
	for range 2 {
		if !w.chance(0.03) {
			r.hear(msg)
		}
		if !w.chance(0.02) {
			break
		}
	}
}

func (r *simReader) hear(msg *nats.Msg) {
	r.inbox = append(r.inbox, msg)
	if n := len(r.inbox); n > 1 && r.world.chance(0.03) {
		k := r.world.below(n)
		r.inbox[k], r.inbox[n-1] = r.inbox[n-1], r.inbox[k]
	}
}

func (r *simReader) feed(key channelKey) *simFeed {
	f := r.channels[key]
	if f == nil {
		f = &simFeed{place: streams.Place{Epoch: r.epoch}}
		r.channels[key] = f
		r.order = append(r.order, key)
	}
	return f
}

func (r *simReader) step() {
	w := r.world
	if r.busy {
		return
	}
	r.busy = true
	defer func() { r.busy = false }()
	switch {
	case w.chance(0.004):
		w.trace("%s restarts", r.conn.name)
		r.inbox, r.channels, r.order, r.epoch, r.resync = nil, map[channelKey]*simFeed{}, nil, 0, true
	case r.resync && w.below(4) == 0:
		r.ask()
	case len(r.inbox) > 0 && w.below(4) > 0:
		for range min(len(r.inbox), 1+w.below(8)) {
			msg := r.inbox[0]
			r.inbox = r.inbox[1:]
			r.take(msg)
		}
	default:
		for _, key := range r.order {
			if f := r.channels[key]; f.place.V < f.wanted {
				r.fill(key, f)
				return
			}
		}
	}
}

func (r *simReader) take(msg *nats.Msg) {
	if msg.Subject == streams.BeaconSubject(0) {
		beacon := &streampb.Beacon{}
		if err := proto.Unmarshal(msg.Data, beacon); err != nil {
			panic(err)
		}
		heads := beacon.GetHeads()
		slices.SortFunc(heads, func(a, b *streampb.BeaconHead) int {
			return cmp.Or(cmp.Compare(a.GetGroup(), b.GetGroup()), cmp.Compare(a.GetChannel(), b.GetChannel()))
		})
		for _, h := range heads {
			f := r.feed(channelKey{streams.Group(h.GetGroup()), streams.Channel(h.GetChannel())})
			f.wanted = max(f.wanted, streams.Version(h.GetV()))
		}
		return
	}
	token, _ := streams.ParseLog(msg.Subject)
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		panic(err)
	}
	if token.Fence {
		r.epoch = max(r.epoch, streams.Epoch(seq))
		for _, f := range r.channels {
			f.place.Epoch = max(f.place.Epoch, r.epoch)
		}
		return
	}
	if token.Group == "" {
		return
	}
	e, err := streams.UnmarshalEvent(msg.Data, streams.Seq(seq))
	if err != nil {
		panic(err)
	}
	f := r.feed(channelKey{e.Group, e.Channel})
	switch r.judge(f.place, e) {
	case streams.Belongs:
		r.apply(f, e)
		r.release(f)
	case streams.Ahead:
		f.held = append(f.held, e)
		f.wanted = max(f.wanted, e.V)
	}
}

func (r *simReader) judge(place streams.Place, e *streams.Event) streams.Verdict {
	verdict := streams.Judge(place, e)
	if verdict == streams.Ahead && r.world.sabotage.anyOrder {
		return streams.Belongs
	}
	return verdict
}

func (r *simReader) apply(f *simFeed, e *streams.Event) {
	f.place = f.place.After(e)
	f.seq = e.Seq
	f.events = append(f.events, e)
}

func (r *simReader) release(f *simFeed) {
	for len(f.held) > 0 {
		e := f.held[0]
		verdict := r.judge(f.place, e)
		if verdict == streams.Ahead {
			return
		}
		f.held = f.held[1:]
		if verdict == streams.Belongs {
			r.apply(f, e)
		}
	}
}

// fill reads what is missing from the log. What a term wrote behind the next
// fence is left out, as edge/backfill does.
func (r *simReader) fill(key channelKey, f *simFeed) {
	ctx := context.Background()
	ended := map[streams.Epoch]streams.Seq{}
	page, _, err := r.log.Page(ctx, streams.LogSubject(0, key.group, key.channel), f.seq+1, 1+r.world.below(20))
	if err != nil {
		return
	}
	for _, m := range page {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			panic(err)
		}
		if _, known := ended[e.Epoch]; !known {
			end, err := r.log.Next(ctx, streams.FenceSubject(0), streams.Seq(e.Epoch)+1)
			if err != nil && !errors.Is(err, eventlog.ErrNoMessage) {
				return
			}
			ended[e.Epoch] = end.Seq
		}
		if end := ended[e.Epoch]; end != 0 && e.Seq > end {
			continue
		}
		// The log's own fences have decided: one heard live since says nothing
		// against what stands before it.
		if e.V == f.place.V+1 {
			r.apply(f, e)
		}
		r.release(f)
	}
}

// ask compares all channels with what the owner says, and begins with it where
// nothing is known.
func (r *simReader) ask() {
	w := r.world
	for _, i := range w.instances {
		if i.term == nil || w.severity == 0 && (i.number != w.leader || i.epochIsOld()) {
			continue // a zombie's may be old, and nothing would tell after the healing
		}
		commands := make([]Command, 2)
		for k, g := range []streams.Group{"g", "h"} {
			commands[k] = Command{Group: g, Request: group.Request{User: "@server", Server: true, Body: &streampb.ReadSnapshot{}}}
		}
		i.submit(commands, func(results []*streampb.Result) {
			if w.severity == 0 && i.epochIsOld() || results[0].GetRejection().GetCode() == string(streams.Unavailable) {
				return
			}
			r.resync = false
			for k, result := range results {
				snap := result.GetSnapshot()
				for _, info := range snap.GetChannels() {
					r.told(channelKey{commands[k].Group, streams.Channel(info.GetChannel())}, info, streams.Epoch(snap.GetEpoch()))
				}
			}
		})
	}
}

func (r *simReader) told(key channelKey, info *streampb.ChannelInfo, epoch streams.Epoch) {
	v := streams.Version(info.GetV())
	if f := r.channels[key]; f != nil {
		f.wanted = max(f.wanted, v)
		return
	}
	f := r.feed(key)
	f.place = streams.Place{V: v, Epoch: max(epoch, r.epoch)}
	f.seq, f.start = streams.Seq(info.GetSeq()), v
}

// current reports whether there is nothing left to hear or read.
func (r *simReader) current() bool {
	for _, f := range r.channels {
		if f.place.V < f.wanted {
			return false
		}
	}
	return len(r.inbox) == 0 && !r.resync
}
