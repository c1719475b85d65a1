package command_test

import (
	"fmt"
	"testing"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// The append path beside the same appends without it, events of a 100-byte
// text, in one run for each kind of stream: so many concurrent senders, each
// with one message on its way, over a thousand groups and over one hot channel.
// Raw and Throng take turns of a tenth of a second on the same server, so that what
// else the machine does hits both. The ratios are the figure; the table of them
// is printed at the end. A benchmark's iteration is one turn of each.
//
//	go test -run xxx -bench Append -benchtime 10x ./services/command
func BenchmarkAppend(b *testing.B) {
	sheet := &sheet{}
	for _, kind := range []struct {
		name string
		open func(testing.TB) *streamtest.NATS
		d    topology.Deployment
	}{
		{"R1-lazy", streamtest.New, topology.Deployment{Replicas: 1}},
		{"R1-always", streamtest.Syncing, topology.Deployment{Replicas: 1, SyncAlways: true}},
		{"R3-lazy", first(streamtest.Three), topology.Deployment{Replicas: 3}},
		{"R3-always", first(streamtest.ThreeSyncing), topology.Deployment{Replicas: 3, SyncAlways: true}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			n := kind.open(b)
			kind.d.Partitions = 2 // one for Throng, one for raw appends
			streamtest.Provision(b, n, kind.d)
			bed := &bed{n: n, d: kind.d, sheet: sheet, kind: kind.name}
			bed.service, _ = serving(b, n, nil)
			bed.provision(b)
			for _, spread := range []struct {
				name   string
				groups int
			}{{"groups-1000", manyGroups}, {"one-channel", 1}} {
				for _, senders := range []int{1, 64, 1024} {
					b.Run(fmt.Sprintf("%s/senders-%d", spread.name, senders), func(b *testing.B) {
						bed.compare(b, load{senders: senders, groups: spread.groups, batch: 1})
					})
				}
			}
			// As edges send: what came in while a request was under way goes together.
			b.Run("groups-1000/lanes-16x64", func(b *testing.B) {
				bed.compare(b, load{senders: 16, groups: manyGroups, batch: 64})
			})
		})
	}
	sheet.print()
}

func first(open func(testing.TB) [3]*streamtest.NATS) func(testing.TB) *streamtest.NATS {
	return func(t testing.TB) *streamtest.NATS { return open(t)[0] }
}

// load is what is asked of either side: so many senders, each with one request
// of batch commands on its way.
type load struct{ senders, groups, batch int }

// bed is where raw and Throng are compared.
type bed struct {
	n       *streamtest.NATS
	d       topology.Deployment
	kind    string
	service *command.Service
	sheet   *sheet
	client  *client
}

// compare lets each side have a turn b.N times.
func (bed *bed) compare(b *testing.B, l load) {
	raw, throng, local := newTally(), newTally(), newTally()
	overNATS, inProcess := bed.client.sender(b, l), bed.client.localSender(b, l)
	b.ResetTimer()
	for range b.N {
		bed.raw(b, l, raw)
		turn(b, overNATS, throng)
		if bed.kind == "R1-lazy" { // where both are one process
			turn(b, inProcess, local)
		}
	}
	b.ReportMetric(0, "ns/op") // the rates say it
	raw.report(b, "raw")
	throng.report(b, "throng")
	if local.count > 0 {
		local.report(b, "local")
	}
	bed.sheet.add(b.Name(), raw, throng, local)
}
