package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// readBuffer is how much one read takes, bytes. There is one buffer for all
	// connections of a poller.
	readBuffer = 64 << 10
	// eventsAtOnce is how many ready connections one wait tells of.
	eventsAtOnce = 256
	// interest is registered once and never changed: edges tell of what is new.
	interest = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edgeTriggered
	// edgeTriggered is EPOLLET, which package syscall has as a negative number.
	edgeTriggered = 1 << 31
	// over are the events after which reading finds the end.
	over = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

// Poller reads the connections it made. [Poller.Run] must run while they are
// used.
type Poller struct {
	// Static after NewPoller.
	file *os.File // the epoll instance, itself in Go's poller
	fd   int      // of file

	tasks sync.WaitGroup // goroutines of streams, and reading that was resumed; Run waits for them

	mu    sync.Mutex
	conns []*raw // by descriptor; guarded by mu

	buffers sync.Pool // of *[]byte, each readBuffer long
}

// NewPoller returns a poller without connections. Its descriptor is closed by
// Run.
func NewPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else Go's poller does not take it
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	p.buffers.New = func() any {
		b := make([]byte, readBuffer)
		return &b
	}
	return p, nil
}

// Conn makes a connection of the poller; whoever asks closes it. A plain TCP
// connection gives up its descriptor to it and must not be used any more.
func (p *Poller) Conn(conn net.Conn, h Handler) (Conn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return newStream(conn, h, &p.tasks), nil
	}
	fd, err := takeDescriptor(tcp)
	if err != nil {
		return nil, err
	}
	return &raw{poller: p, handler: h, fd: fd}, nil
}

// takeDescriptor takes a connection's socket out of Go's poller: it is copied
// and the original closed.
func takeDescriptor(tcp *net.TCPConn) (fd int, err error) {
	access, err := tcp.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("take a socket: %w", err)
	}
	var errno syscall.Errno
	err = access.Control(func(own uintptr) {
		var copied uintptr
		copied, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(copied)
	})
	if errno != 0 {
		err = errors.Join(err, errno)
	}
	if err != nil {
		return 0, fmt.Errorf("take a socket: %w", err)
	}
	_ = tcp.Close()
	return fd, nil
}

// Run reads until ctx ends. It returns when all connections are closed and
// nothing of them runs.
func (p *Poller) Run(ctx context.Context) error {
	defer p.file.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = p.file.SetReadDeadline(time.Now()) // fails only where Run has ended
	})
	defer stop()
	access, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	events := make([]syscall.EpollEvent, eventsAtOnce)
	for {
		n := 0
		var waiting error
		err := access.Read(func(uintptr) bool {
			n, waiting = syscall.EpollWait(p.fd, events, 0)
			if errors.Is(waiting, syscall.EINTR) {
				n, waiting = 0, nil
			}
			return n > 0 || waiting != nil
		})
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			p.tasks.Wait()
			return nil
		}
		if err = errors.Join(err, waiting); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		for _, e := range events[:n] {
			p.ready(int(e.Fd), e.Events)
		}
	}
}

// ready handles one event. The descriptor may have been closed since, and even
// be another connection's: then that one is looked at without need.
func (p *Poller) ready(fd int, events uint32) {
	p.mu.Lock()
	c := p.conns[fd]
	p.mu.Unlock()
	if c == nil {
		return
	}
	if events&(syscall.EPOLLOUT|over) != 0 && c.wants.CompareAndSwap(true, false) {
		c.handler.Writable()
	}
	if events&(syscall.EPOLLIN|over) != 0 && c.begin(events&over != 0) {
		c.pump()
	}
}

// add begins to poll a connection.
func (p *Poller) add(c *raw) error {
	p.mu.Lock()
	for len(p.conns) <= c.fd {
		p.conns = append(p.conns, nil)
	}
	p.conns[c.fd] = c
	p.mu.Unlock()
	event := syscall.EpollEvent{Events: interest, Fd: int32(c.fd)}
	if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		p.remove(c)
		return fmt.Errorf("poll a socket: %w", err)
	}
	return nil
}

// remove forgets a connection; closing its descriptor ends the polling.
func (p *Poller) remove(c *raw) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.fd < len(p.conns) && p.conns[c.fd] == c {
		p.conns[c.fd] = nil
	}
}
