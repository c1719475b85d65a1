package session

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	// stormOf is how many connections in a row are a storm, and calmAfter for how
	// long none may come until it is over.
	stormOf   = 500
	calmAfter = 3 * time.Second
)

// giveBack returns to the system what a storm of connections has used: an
// upgrade leaves ten times the garbage that the session keeps, and Go would hold
// on to the memory for minutes. It costs one collection.
func (e *Endpoint) giveBack(ctx context.Context) {
	tick := time.NewTicker(calmAfter)
	defer tick.Stop()
	before, settled := uint32(0), uint32(0) // sessions begun at the last tick, and when memory was given back
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := e.next.Load()
		if now == before && now-settled >= stormOf {
			debug.FreeOSMemory()
			settled = now
		}
		before = now
	}
}
