package engine

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// lineEvery is the pause between two lines of progress where there is no terminal.
const lineEvery = 3 * time.Second

// meter shows how far a download is. show and end are called by one goroutine.
type meter interface {
	show(done int64) // bytes so far
	end()            // leaves the display as it is
}

func newMeter(w io.Writer, total int64) meter {
	if isTerminal(w) {
		return newBar(w, total)
	}
	return &lines{w: w, total: total, last: time.Now()}
}

// isTerminal takes any character device for a terminal, which costs a bar nobody sees in /dev/null.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bar is the meter for a terminal.
type bar struct {
	display *mpb.Progress
	bar     *mpb.Bar
}

func newBar(w io.Writer, total int64) *bar {
	display := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	return &bar{display: display, bar: display.AddBar(total,
		mpb.PrependDecorators(decor.Name("ClickHouse engine "), decor.CountersKiloByte("% .0f / % .0f")),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageSpeed(decor.SizeB1000(0), "% .0f")))}
}

func (b *bar) show(done int64) { b.bar.SetCurrent(done) }

func (b *bar) end() {
	if !b.bar.Completed() {
		b.bar.Abort(false)
	}
	b.display.Wait()
}

// lines is the meter for everything else: a line now and then.
type lines struct {
	w     io.Writer
	total int64
	last  time.Time
}

func (l *lines) show(done int64) {
	if time.Since(l.last) < lineEvery {
		return
	}
	l.last = time.Now()
	fmt.Fprintf(l.w, "ClickHouse engine: %d of %d MB\n", megabytes(done), megabytes(l.total))
}

func (l *lines) end() {}

func megabytes(bytes int64) int64 { return (bytes + 500_000) / 1_000_000 }
