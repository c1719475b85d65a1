package command_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// turnTime is how long each side has the machine at a time.
const turnTime = 100 * time.Millisecond

// tally is what one side achieved over all its turns.
type tally struct {
	mu      sync.Mutex
	count   int                     // appends; guarded by mu
	latency *hdrhistogram.Histogram // µs to the acknowledgement; guarded by mu
	turns   []float64               // appends a second in each; owned by who runs them
}

func newTally() *tally { return &tally{latency: hdrhistogram.New(1, 20_000_000, 3)} }

func (t *tally) add(count int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count += count
	_ = t.latency.RecordValue(took.Microseconds())
}

// end closes a turn: before is the count at its beginning.
func (t *tally) end(before int, begun time.Time) {
	t.turns = append(t.turns, float64(t.count-before)/time.Since(begun).Seconds())
}

// rate is the median of the turns: one that others disturbed does not count.
func (t *tally) rate() float64 {
	sorted := slices.Sorted(slices.Values(t.turns))
	return sorted[len(sorted)/2]
}

// ms is a quantile in milliseconds.
func (t *tally) ms(quantile float64) float64 {
	return float64(t.latency.ValueAtQuantile(quantile)) / 1000
}

func (t *tally) report(b *testing.B, side string) {
	b.ReportMetric(t.rate(), side+"-appends/s")
	b.ReportMetric(t.ms(50), side+"-p50-ms")
	b.ReportMetric(t.ms(99), side+"-p99-ms")
}

// turn lets every sender send one request after the other for turnTime. A
// sender returns how many appends were acknowledged.
func turn(b *testing.B, senders []func() (int, error), t *tally) {
	b.Helper()
	var wait sync.WaitGroup
	failed := make(chan error, len(senders)) // one each at most
	begun, before := time.Now(), t.count
	for _, send := range senders {
		wait.Go(func() {
			for sent := time.Now(); sent.Sub(begun) < turnTime; {
				count, err := send()
				if err != nil {
					failed <- err
					return
				}
				now := time.Now()
				t.add(count, now.Sub(sent))
				sent = now
			}
		})
	}
	wait.Wait()
	t.end(before, begun)
	if len(failed) > 0 {
		b.Fatal(<-failed)
	}
}

// sheet gathers the lines of the closing table.
type sheet struct{ lines []line }

type line struct {
	name               string
	raw, throng, local *tally
}

// add notes the result of a benchmark; a later one of the same name, which ran
// longer, replaces it.
func (s *sheet) add(name string, raw, throng, local *tally) {
	l := line{name: strings.TrimPrefix(name, "BenchmarkAppend/"), raw: raw, throng: throng, local: local}
	if last := len(s.lines) - 1; last >= 0 && s.lines[last].name == l.name {
		s.lines[last] = l
		return
	}
	s.lines = append(s.lines, l)
}

func (s *sheet) print() {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\n\traw /s\tThrong /s\tratio\traw p50 ms\tThrong p50\tratio\traw p99\tThrong p99\t")
	row := func(name string, raw, throng *tally) {
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.2f\t%.3f\t%.3f\t%.2f\t%.3f\t%.3f\t\n", name,
			raw.rate(), throng.rate(), throng.rate()/raw.rate(),
			raw.ms(50), throng.ms(50), throng.ms(50)/raw.ms(50), raw.ms(99), throng.ms(99))
	}
	for _, l := range s.lines {
		row(l.name, l.raw, l.throng)
		if l.local.count > 0 {
			row(l.name+" in process", l.raw, l.local)
		}
	}
	fmt.Fprintln(out)
	_ = out.Flush()
}
