//go:build !linux

package transport

import (
	"context"
	"net"
	"sync"
)

// Poller makes connections that are read by a goroutine each.
type Poller struct {
	tasks sync.WaitGroup // the connections' goroutines; Run waits for them
}

// NewPoller returns a poller without connections.
func NewPoller() (*Poller, error) { return &Poller{}, nil }

// Conn makes a connection of the poller; whoever asks closes it.
func (p *Poller) Conn(conn net.Conn, h Handler) (Conn, error) {
	return newStream(conn, h, &p.tasks), nil
}

// Run returns when ctx has ended and all connections are closed.
func (p *Poller) Run(ctx context.Context) error {
	<-ctx.Done()
	p.tasks.Wait()
	return nil
}
