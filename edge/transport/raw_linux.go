package transport

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// raw is a TCP socket outside Go's poller.
type raw struct {
	// Static.
	poller  *Poller
	handler Handler
	fd      int

	wants atomic.Bool // a write is waiting for room

	mu      sync.Mutex
	reading bool // one goroutine reads; guarded by mu
	again   bool // there was something new while it did; guarded by mu
	paused  bool // the handler can take no more; guarded by mu
	resume  bool // Resume was called while one reads; guarded by mu
	ending  bool // reading will find the end; guarded by mu
	ended   bool // it has; guarded by mu
	closed  bool // the descriptor is closed, or will be by who reads; guarded by mu
}

func (c *raw) Start() error { return c.poller.add(c) }

// begin reports whether the caller is to read, which nobody else does then until
// pump returns.
func (c *raw) begin(ending bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = c.ending || ending
	if c.closed || c.ended || c.paused {
		return false
	}
	if c.reading {
		c.again = true
		return false
	}
	c.reading = true
	return true
}

// Resume reads in a goroutine of its own, so that the caller need not wait.
func (c *raw) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.reading:
		c.resume = true
	case c.paused:
		c.paused, c.reading = false, true
		c.poller.tasks.Go(func() {
			if c.input(nil) {
				c.pump()
			}
		})
	}
}

// pump reads until there is nothing more.
func (c *raw) pump() {
	buffer := c.poller.buffers.Get().(*[]byte)
	defer c.poller.buffers.Put(buffer)
	for {
		n, err := syscall.Read(c.fd, *buffer)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if c.rest(true) {
				return
			}
			continue
		case err != nil:
			c.end(err)
			return
		case n == 0:
			c.end(io.EOF)
			return
		}
		if !c.input((*buffer)[:n]) {
			return
		}
		// A read that did not fill the buffer has taken all there was.
		if n < len(*buffer) && c.rest(false) {
			return
		}
	}
}

// input hands on what was read; false: the caller reads no more.
func (c *raw) input(p []byte) bool {
	for {
		c.mu.Lock()
		if c.closed {
			c.stop()
			return false
		}
		c.mu.Unlock()
		if c.handler.Input(p) {
			return true
		}
		c.mu.Lock()
		if !c.resume {
			c.paused = true
			c.stop()
			return false
		}
		c.resume = false
		c.mu.Unlock()
		p = nil
	}
}

// rest stops reading unless there is something new; true: it has stopped.
func (c *raw) rest(empty bool) bool {
	c.mu.Lock()
	if empty {
		c.ending = false // whatever it was, it is not here
	}
	if !c.closed && (c.again || c.ending) {
		// Once the peer has ended there is no edge to come: read up to it.
		c.again = false
		c.mu.Unlock()
		return false
	}
	c.stop()
	return true
}

// end tells the handler that nothing more comes.
func (c *raw) end(err error) {
	c.mu.Lock()
	c.ended = true
	closed := c.closed
	c.mu.Unlock()
	if !closed {
		c.handler.Ended(err)
	}
	c.mu.Lock()
	c.stop()
}

// stop gives up reading; mu is held and let go.
func (c *raw) stop() {
	c.reading, c.again, c.resume = false, false, false
	closed := c.closed
	c.mu.Unlock()
	if closed {
		c.release()
	}
}

// release closes the descriptor, once nobody uses it.
func (c *raw) release() {
	_ = syscall.Close(c.fd)
	c.handler.Closed()
}

// Close closes the descriptor, or has it closed by who reads from it: its number
// must not be another socket's meanwhile.
func (c *raw) Close() {
	c.mu.Lock()
	reading, closed := c.reading, c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return
	}
	c.poller.remove(c)
	if !reading {
		c.release()
	}
}

// Write writes without waiting, past Go's scheduler: the kernel only copies.
func (c *raw) Write(p []byte) (n int, err error) {
	for n < len(p) {
		sent, errno := send(c.fd, p[n:])
		switch errno {
		case 0:
			n += sent
		case syscall.EINTR:
		case syscall.EAGAIN:
			// The edge may have passed before it was waited for: wait, then look again.
			if c.wants.Swap(true) {
				return n, nil
			}
		default:
			return n, errno
		}
	}
	return n, nil
}

// send is send(2). A socket whose peer is gone must raise no signal.
func send(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
