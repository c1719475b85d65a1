// Package transport carries WebSocket frames over thousands of connections
// without a goroutine for each. It knows frames and sockets and nothing of what
// is said through them.
//
//	          Poller (epoll)                        whoever owns the Conn
//	             │ ready                                   │
//	socket ─▶ Conn ─▶ Handler.Input ─▶ Decoder    frames ─▶ Conn.Write ─▶ socket
//	             └──▶ Handler.Writable ◀── a Write that did not take all
//
// # Reading
//
// On Linux the plain TCP sockets of a [Poller] rest in one epoll instance, whose
// own descriptor rests in Go's: a connection where nothing happens costs its
// descriptor and a small struct. The goroutine that runs the poller reads what is
// there into one buffer for all of them and hands it on; a frame that has come
// half waits in its connection's [Decoder], not in a goroutine. A handler that
// can take no more says so, and what comes then stays in the socket until
// [Conn.Resume].
//
// Everything else, other systems and other connections (TLS), is read by a
// goroutine per connection, behind the same interface.
//
// # Writing
//
// [Conn.Write] never waits. What the socket does not take is the caller's to keep
// and to write again when [Handler.Writable] is called. One goroutine writes and
// closes, so frames never interleave.
//
// # Time
//
// A [Wheel] holds the deadlines of all connections of one owner, coarse and
// without a timer for each.
package transport
