package sequencer

import (
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// maxBeacon bounds the channels of one beacon message: about 200 KB.
const maxBeacon = 4000

// beaconTimes is how many beacons in a row tell of a channel that moved:
// beacons may get lost as well.
const beaconTimes = 3

// publishBeacon tells edges where the channels stand that moved lately and are
// stored. Live events travel at most once; a lost last one would go unnoticed
// without this.
func (t *term) publishBeacon() {
	if len(t.fold.moved) == 0 {
		return
	}
	beacon := &streampb.Beacon{Epoch: uint64(t.log.Epoch())}
	send := func() {
		data, err := proto.Marshal(beacon)
		if err == nil {
			// Lost is as good as late: the next beacon tells again.
			_ = t.sequencer.transport.Publish(&nats.Msg{Subject: streams.BeaconSubject(t.sequencer.config.Partition), Data: data})
		}
		beacon.Heads = nil
	}
	for key, left := range t.fold.moved {
		st := t.fold.groups[key.group]
		if st.Head(key.channel) > t.committed {
			continue // told next time
		}
		beacon.Heads = append(beacon.Heads, &streampb.BeaconHead{
			Group: string(key.group), Channel: string(key.channel), V: uint64(st.Place(key.channel).V),
		})
		if t.fold.moved[key] = left - 1; left == 1 {
			delete(t.fold.moved, key)
		}
		if len(beacon.Heads) == maxBeacon {
			send()
		}
	}
	if len(beacon.Heads) > 0 {
		send()
	}
}
