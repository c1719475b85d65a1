//go:build linux

package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"syscall"
	"time"
)

// drowsy makes a reader that stops reading now and then, for longer than the
// sockets between hold, so that it falls out of the edge's memory and is told
// gaps. It is owned by one reading goroutine at a time.
type drowsy struct {
	calm  <-chan struct{} // closed when it must stay awake
	until time.Time       // it stays awake; zero before the first read
}

const (
	awakeAtLeast = 300 * time.Millisecond
	napAtLeast   = 2 * time.Second
	napAtMost    = 5 * time.Second
	// smallBuffer is what such a reader's socket takes in, smallSegment how much
	// it lets come at once: the edge's socket holds ten and more segments, which
	// on loopback, at 64 KiB each, would be all of a run. Bytes.
	smallBuffer  = 4 << 10
	smallSegment = 536
	// smallRing is how many events the second edge keeps of a channel.
	smallRing = 32
)

// nap returns when the reader is to read on, or the connection is closed.
func (d *drowsy) nap(closed <-chan struct{}) {
	if d.until.IsZero() {
		d.until = time.Now().Add(awakeAtLeast)
	}
	if time.Now().Before(d.until) {
		return
	}
	timer := time.NewTimer(napAtLeast + rand.N(napAtMost-napAtLeast))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.calm:
	case <-closed:
	}
	d.until = time.Now().Add(awakeAtLeast + rand.N(time.Second))
}

// dialSmall connects with a small receive buffer, set before the window is
// agreed on.
func dialSmall(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, smallBuffer),
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, smallSegment))
		})
		if err != nil {
			return err
		}
		return failed
	}}
	return dialer.DialContext(ctx, network, address)
}
