package transport

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// streamBuffer is the read buffer of a connection with its own goroutine, bytes.
const streamBuffer = 1024

// lastWords is how long a closed connection has to send what was written.
const lastWords = time.Second

// stream is a connection read by a goroutine of its own; writes that are under
// way have another. It serves what has no descriptor of its own to poll.
type stream struct {
	// Static.
	conn    net.Conn
	handler Handler
	tasks   *sync.WaitGroup // the poller's
	resumed chan struct{}   // 1: Resume was called; never closed

	mu      sync.Mutex
	pending []byte // being written; nil for nothing. Guarded by mu
	wants   bool   // Writable is owed; guarded by mu
	closed  bool   // guarded by mu
	err     error  // of writing; guarded by mu
}

func newStream(conn net.Conn, h Handler, tasks *sync.WaitGroup) *stream {
	return &stream{conn: conn, handler: h, tasks: tasks, resumed: make(chan struct{}, 1)}
}

func (c *stream) Start() error {
	c.tasks.Go(c.read)
	return nil
}

func (c *stream) read() {
	defer c.awaitClose()
	buffer := make([]byte, streamBuffer)
	for {
		n, err := c.conn.Read(buffer)
		if n > 0 && !c.input(buffer[:n]) {
			return
		}
		if err != nil {
			if !c.over() {
				c.handler.Ended(err)
			}
			return
		}
	}
}

// awaitClose tells the handler that reading has ended, once it wants no more.
func (c *stream) awaitClose() {
	for !c.over() {
		<-c.resumed
	}
	c.handler.Closed()
}

// input hands on what was read; false: the connection is closed.
func (c *stream) input(p []byte) bool {
	for {
		if c.over() {
			return false
		}
		if c.handler.Input(p) {
			return true
		}
		<-c.resumed
		p = nil
	}
}

func (c *stream) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *stream) Resume() {
	select {
	case c.resumed <- struct{}{}:
	default: // it goes on already
	}
}

// Write takes everything if nothing is being written, else nothing.
func (c *stream) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, errClosed
	case c.err != nil:
		return 0, c.err
	case len(p) == 0:
		return 0, nil
	case c.pending != nil:
		c.wants = true
		return 0, nil
	}
	c.pending = bytes.Clone(p)
	c.tasks.Go(c.flush)
	return len(p), nil
}

func (c *stream) flush() {
	c.mu.Lock()
	pending := c.pending
	c.mu.Unlock()
	_, err := c.conn.Write(pending)
	c.mu.Lock()
	c.pending, c.err = nil, err
	wants, closed := c.wants || err != nil, c.closed
	c.wants = false
	c.mu.Unlock()
	switch {
	case closed:
		_ = c.conn.Close()
	case wants:
		c.handler.Writable()
	}
}

func (c *stream) Close() {
	c.mu.Lock()
	flushing := c.pending != nil
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return
	}
	now := time.Now()
	if flushing { // flush closes
		_ = c.conn.SetReadDeadline(now) // ends the reader
		_ = c.conn.SetWriteDeadline(now.Add(lastWords))
	} else {
		_ = c.conn.Close()
	}
	c.Resume()
}
