//go:build linux

package faults

import (
	"context"
	"syscall"
	"time"
)

// powerCut takes the power from all NATS nodes at once: they stop where they
// are, what the kernel had not written is gone, and they start on the rest.
// Who was answered before that must find it there again.
func (r *run) powerCut(ctx context.Context) error {
	pause(ctx, r.Over)
	cut := Injected{Fault: Fault{Target: "nats", Action: PowerCut}, Began: r.clock()}
	for _, p := range r.nats {
		p.signal(syscall.SIGSTOP)
	}
	pause(ctx, 200*time.Millisecond) // what they had answered by then arrives
	err := r.disk.cut(ctx, func() {
		for _, p := range r.nats {
			p.kill()
		}
	})
	if err != nil {
		return err
	}
	for _, p := range r.nats {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	cut.Ended = r.clock()
	r.report.Faults = []Injected{cut}
	return nil
}
