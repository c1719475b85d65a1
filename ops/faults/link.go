//go:build linux

package faults

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// link is one stretch of network between two parts: a TCP proxy on loopback
// whose weather can be changed. What a real network does to TCP it does too:
//
//	pass      bytes go through
//	stalled   bytes wait, in the sockets' buffers, and go on when it is over: what
//	          dropped packets look like to both ends, since TCP sends them again
//	down      connections are reset, and new ones are reset as they come
//
// It is written out here because the known proxies throw away what they hold
// when such a fault ends, and close: no connection would outlive a partition,
// and what comes through late is the interesting part.
type link struct {
	name     string
	listener net.Listener
	target   string
	closed   chan struct{} // closed by close
	wait     sync.WaitGroup

	mu      sync.Mutex
	weather weather            // guarded by mu
	changed chan struct{}      // guarded by mu; closed and replaced when the weather changes
	pairs   map[*pair]struct{} // guarded by mu: connections under way
	resets  int                // guarded by mu: connections cut
}

// weather is what a link does to what passes. The zero value lets it pass.
type weather struct {
	stallOut, stallIn bool // from the client to the server; back
	down              bool
	// delay is added to each chunk on its way, and up to jitter more.
	delay, jitter time.Duration
	// loss is the share of chunks that come later by a retransmission, 0 to 1.
	loss float64
	// rate bounds bytes a second in each direction, 0 for none.
	rate int
	// swallow lets requests through and holds the answers; after that long, the
	// connection is reset.
	swallow time.Duration
}

// retransmit is how late a lost packet comes: Linux waits at least that long.
const retransmit = 200 * time.Millisecond

// pair is a connection and its continuation.
type pair struct{ client, server *net.TCPConn }

// newLink listens on a port of its own. It ends with close.
func newLink(name, target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{
		name: name, listener: listener, target: target, closed: make(chan struct{}),
		changed: make(chan struct{}), pairs: map[*pair]struct{}{},
	}
	l.wait.Go(l.accept)
	return l, nil
}

// addr is what the client side dials.
func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) close() {
	close(l.closed)
	_ = l.listener.Close()
	l.mu.Lock()
	for p := range l.pairs {
		p.reset()
	}
	l.mu.Unlock()
	l.wait.Wait()
}

// set changes the weather. Going down resets what is there.
func (l *link) set(w weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.weather = w
	close(l.changed)
	l.changed = make(chan struct{})
	if w.down {
		l.resetAll()
	}
}

// resetAll cuts every connection; mu is held.
func (l *link) resetAll() {
	for p := range l.pairs {
		p.reset()
		l.resets++
	}
}

func (p *pair) reset() {
	for _, conn := range []*net.TCPConn{p.client, p.server} {
		_ = conn.SetLinger(0) // RST instead of FIN; fails where it is closed already
		_ = conn.Close()
	}
}

func (l *link) now() (weather, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.weather, l.changed
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !l.pause(50*time.Millisecond) {
				return
			}
			continue
		}
		l.wait.Go(func() { l.serve(client.(*net.TCPConn)) })
	}
}

// serve carries one connection to its end.
func (l *link) serve(client *net.TCPConn) {
	p := &pair{client: client, server: client} // until there is one
	w, _ := l.now()
	if w.down {
		p.reset()
		return
	}
	server, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil {
		p.reset() // nobody listens there
		return
	}
	p.server = server.(*net.TCPConn)
	l.mu.Lock()
	gone := l.weather.down || l.over()
	l.pairs[p] = struct{}{}
	l.mu.Unlock()
	if gone {
		p.reset()
	}
	var both sync.WaitGroup
	both.Go(func() { l.carry(p, p.client, p.server, true) })
	both.Go(func() { l.carry(p, p.server, p.client, false) })
	both.Wait()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
	_ = p.client.Close()
	_ = p.server.Close()
}

// chunk is bytes on their way, with the time they arrive.
type chunk struct {
	data []byte
	due  time.Time
}

// carry copies one direction. What is under way is at most 64 chunks; when
// there are more, reading waits, and then the sender does.
func (l *link) carry(p *pair, from, to *net.TCPConn, out bool) {
	chunks := make(chan chunk, 64) // closed by the reading goroutine
	l.wait.Go(func() {
		defer close(chunks)
		var last time.Time
		for {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			if n > 0 {
				w, _ := l.now()
				due := time.Now().Add(w.late())
				if due.Before(last) {
					due = last // TCP keeps the order
				}
				last = due
				if w.rate > 0 {
					last = last.Add(time.Duration(n) * time.Second / time.Duration(w.rate))
				}
				chunks <- chunk{data[:n], due}
			}
			if err != nil {
				return
			}
		}
	})
	broken := false
	for c := range chunks {
		if broken {
			continue // until the reader has seen it
		}
		if !l.hold(p, c, out) {
			broken = true
			continue
		}
		if _, err := to.Write(c.data); err != nil {
			broken = true
			p.reset()
		}
	}
	_ = to.CloseWrite() // fails where it is closed
}

// pause waits for d, or until the link is closed, and tells which.
func (l *link) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}

func (l *link) over() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// late is how long a chunk that comes now takes.
func (w weather) late() time.Duration {
	d := w.delay
	if w.jitter > 0 {
		d += time.Duration(rand.Int64N(int64(w.jitter)))
	}
	if w.loss > 0 && rand.Float64() < w.loss {
		d += retransmit
	}
	return d
}

// hold waits until a chunk may go on; false where the connection is cut.
func (l *link) hold(p *pair, c chunk, out bool) bool {
	if d := time.Until(c.due); d > 0 && !l.pause(d) {
		return false
	}
	for {
		w, changed := l.now()
		switch {
		case w.down || l.over():
			return false
		case w.swallow > 0 && !out:
			if l.pause(w.swallow) {
				p.reset()
			}
			return false
		case out && !w.stallOut || !out && !w.stallIn:
			return true
		}
		select {
		case <-changed:
		case <-l.closed:
			return false
		}
	}
}
