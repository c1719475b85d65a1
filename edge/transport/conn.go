package transport

import "errors"

// Handler is told what happens on a connection. Input and Ended are never called
// at the same time; none of them may wait.
type Handler interface {
	// Input takes what the peer sent; p is the handler's only during the call.
	// With more false the handler has what it can take: nothing further is read
	// until [Conn.Resume], after which Input is called first with nothing.
	Input(p []byte) (more bool)
	// Ended tells that nothing more will come; err is io.EOF where the peer said
	// so. It is called at most once.
	Ended(err error)
	// Closed tells, once, after [Conn.Close], that Input and Ended will not be
	// called any more.
	Closed()
	// Writable tells that a Write which did not take everything may be tried
	// again. It may be called without need.
	Writable()
}

// Conn is one connection. Write and Close are called by one goroutine.
type Conn interface {
	// Start begins to read.
	Start() error
	// Write writes what there is room for. Where that is less than all,
	// [Handler.Writable] is called when there may be more. It never waits. An
	// error means that the connection is gone.
	Write(p []byte) (n int, err error)
	// Resume goes on with a handler that has taken what it could. It may be
	// called from any goroutine.
	Resume()
	// Close ends the connection. What was written still goes out, as far as the
	// peer takes it.
	Close()
}

// errClosed is what using a closed connection returns.
var errClosed = errors.New("the connection is closed")
