package command_test

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// BenchmarkAddMembers adds b.N members to one group as a back end does: member
// add with a server token, 500 users a command and a command a request, 8
// requests under way. With «one-a-command» it is 400 commands a request that add
// one each. With «fresh» the group was made in the same term, so that the owner knows without
// looking that nobody is in it yet; with «taken-over» every one is looked for.
//
//	go test -run xxx -bench AddMembers -benchtime 1000000x ./services/command
func BenchmarkAddMembers(b *testing.B) {
	for _, kind := range []string{"fresh", "taken-over", "one-a-command"} {
		b.Run(kind, func(b *testing.B) {
			n := streamtest.Provisioned(b, 1)
			registry := prometheus.NewRegistry()
			run := func() func() {
				return serve(b, n, func(c *command.Config) { c.Metrics = sequencer.NewMetrics(registry) })
			}
			stop := run()
			newGroup(b, n.Conn)
			if kind == "taken-over" {
				stop()
				registry = prometheus.NewRegistry()
				run()
			}
			before, cpu := heapMB(), cpuTime(b)
			b.ResetTimer()
			addMembers(b, n, b.N, kind != "one-a-command")
			b.StopTimer()
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/1000/float64(b.N), "cpu-µs/member")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "members/s")
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(before, "MB-heap-before")
			b.ReportMetric(heapMB(), "MB-heap-after")
			b.ReportMetric(counter(b, registry, "throng_records_evicted_total"), "evicted")
			b.ReportMetric(counter(b, registry, "throng_records_loaded_total"), "loaded")
			r := do(b, n.Conn, &streampb.Command{Group: "g", User: "alice", Body: &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{}}})
			if got := r.GetGroupInfo().GetCensus().GetMembers(); got != uint64(b.N)+1 {
				b.Fatalf("the group has %d members, want %d", got, b.N+1)
			}
		})
	}
}

// cpuTime is what the process has used, of client, services and nats-server.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// heapMB is the heap of the process, nats-server's included.
func heapMB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func counter(b *testing.B, registry *prometheus.Registry, name string) float64 {
	b.Helper()
	families, err := registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && f.GetType() == dto.MetricType_COUNTER {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	b.Fatalf("there is no metric %s", name)
	return 0
}

func addMembers(b *testing.B, n *streamtest.NATS, members int, many bool) {
	b.Helper()
	const underWay = 8
	perRequest := 400
	if many {
		perRequest = streams.MaxAdded
	}
	client := n.Connection(b)
	work := make(chan int, underWay)
	var wait sync.WaitGroup
	for range underWay {
		wait.Go(func() {
			for first := range work {
				request := &streampb.CommandBatch{}
				if many {
					request.Commands = []*streampb.Command{addMany(first, min(first+perRequest, members))}
				}
				for i := first; !many && i < min(first+perRequest, members); i++ {
					request.Commands = append(request.Commands, &streampb.Command{
						Group: "g", User: "backend", Server: true, ClientId: newID().Bytes(),
						Body: &streampb.Command_Member{Member: &streampb.ActOnMember{User: fmt.Sprint("member-", i), Act: streampb.Act_ACT_ADD}},
					})
				}
				data, err := proto.Marshal(request)
				if err != nil {
					b.Error(err)
					return
				}
				msg, err := client.Request(streams.CommandSubject(0), data, 20*time.Second)
				if err != nil {
					b.Error(err)
					return
				}
				results := &streampb.ResultBatch{}
				if err := proto.Unmarshal(msg.Data, results); err != nil {
					b.Error(err)
					return
				}
				for _, r := range results.GetResults() {
					if r.GetRejection() != nil {
						b.Error(r.GetRejection())
						return
					}
				}
			}
		})
	}
	for first := 0; first < members; first += perRequest {
		work <- first
	}
	close(work)
	wait.Wait()
}

// addMany adds members [from, to) as a back end.
func addMany(from, to int) *streampb.Command {
	body := &streampb.AddMembers{}
	for i := from; i < to; i++ {
		body.Users = append(body.Users, fmt.Sprint("member-", i))
	}
	return &streampb.Command{
		Group: "g", User: "backend", Server: true, ClientId: newID().Bytes(), Body: &streampb.Command_AddMembers{AddMembers: body},
	}
}
