//go:build failpoints

package sequencer

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// armed is the failpoint that the environment names, as name:pass. It is read
// here and not with the flags because no binary but that of the fault driver
// knows of it.
var armed = sync.OnceValue(func() *struct {
	name string
	left atomic.Int64
} {
	name, pass, _ := strings.Cut(os.Getenv("THRONG_UNSAFE_FAILPOINT"), ":")
	a := &struct {
		name string
		left atomic.Int64
	}{name: name}
	if count, err := strconv.ParseInt(pass, 10, 64); err == nil {
		a.left.Store(count)
	}
	return a
})

// failpoint kills the process as kill -9 does when it comes for the count-th
// time to the place the environment names. Before that it stands still for a
// moment, so that what was handed to a connection leaves.
func failpoint(name string) {
	a := armed()
	if a.name != name || a.left.Add(-1) != 0 {
		return
	}
	timer := time.NewTimer(5 * time.Millisecond)
	<-timer.C
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	panic(err) // unreachable where the kill works
}
