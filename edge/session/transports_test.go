package session_test

import (
	"net"
	"testing"
)

// wrapped is a connection that is no plain TCP, as one with TLS.
type wrapped struct{ net.Conn }

// transports runs a test over sockets that rest in epoll, and over connections
// with a goroutine each.
func transports(t *testing.T, test func(t *testing.T, wrap func(net.Conn) net.Conn)) {
	t.Run("sockets", func(t *testing.T) { test(t, nil) })
	t.Run("goroutines", func(t *testing.T) { test(t, func(c net.Conn) net.Conn { return wrapped{c} }) })
}
