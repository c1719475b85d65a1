//go:build linux

package faults

import (
	"context"
	"fmt"
	"time"
)

// failpointWithin is how long a process may live on until it comes to the place
// where it is to kill itself.
const failpointWithin = 6 * time.Second

// failpointVariable tells a binary that was built with the tag «failpoints»
// where to kill itself; others do not know it.
const failpointVariable = "THRONG_UNSAFE_FAILPOINT"

// failpoint starts a services process with a failpoint and waits until it has
// killed itself there; its service manager starts it again without. It reports
// why not, where it did not.
func (n *nemesis) failpoint(ctx context.Context, f Fault, p *process) (skipped string) {
	p.kill()
	died := p.startOnce(ctx, fmt.Sprintf("%s=%s:%d", failpointVariable, f.Point, f.Pass))
	if died == nil {
		return "it did not start"
	}
	if f.Point == "handover" { // the other leaves, this one takes all and must give when the other is back
		other := n.find(map[string]string{"services-0": "services-1", "services-1": "services-0"}[p.name])
		pause(ctx, 1500*time.Millisecond)
		other.kill()
		pause(ctx, 2*time.Second)
		_ = other.start(ctx) // fails only where the driver is at its end
	}
	within := time.NewTimer(failpointWithin)
	defer within.Stop()
	select {
	case <-died:
		return ""
	case <-within.C:
	case <-ctx.Done():
	}
	// It never came there. A failpoint that is left could fire at any time after
	// the plan: so it starts anew without.
	p.kill()
	_ = p.start(ctx)
	return "it never came there"
}
