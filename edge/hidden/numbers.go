package hidden

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// Numbers are messages of a channel, ascending, each once. They never change.
type Numbers []streams.Number

// Has reports whether n is one of them.
func (s Numbers) Has(n streams.Number) bool {
	_, found := slices.BinarySearch(s, n)
	return found
}

// With returns those of both; grown is false if that is what s is.
func (s Numbers) With(others Numbers) (all Numbers, grown bool) {
	for _, n := range others {
		if !s.Has(n) {
			all = append(append(make(Numbers, 0, len(s)+len(others)), s...), others...)
			slices.Sort(all)
			return slices.Compact(all), true
		}
	}
	return s, false
}

// Record is what a user hides in a channel.
type Record struct {
	User    streams.User
	Group   streams.Group
	Channel streams.Channel
	Numbers Numbers
}

func unmarshal(m eventlog.Message) (r Record, err error) {
	ok := false
	if r.User, r.Group, r.Channel, ok = streams.ParseHidden(m.Subject); !ok {
		return r, fmt.Errorf("read a hidden record at %d: subject %s", m.Seq, m.Subject)
	}
	var stored streampb.HiddenRecord
	if err := proto.Unmarshal(m.Data, &stored); err != nil {
		return r, fmt.Errorf("read a hidden record at %d: %w", m.Seq, err)
	}
	r.Numbers = make(Numbers, len(stored.GetN()))
	for i, n := range stored.GetN() {
		r.Numbers[i] = streams.Number(n)
	}
	return r, nil
}

func (s Numbers) marshal() ([]byte, error) {
	record := &streampb.HiddenRecord{N: make([]uint64, len(s))}
	for i, n := range s {
		record.N[i] = uint64(n)
	}
	return proto.Marshal(record)
}
