package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler keeps what it is told.
type handler struct {
	mu       sync.Mutex
	got      []byte
	most     int // bytes it takes before it refuses; 0 for any number
	ended    error
	closed   bool
	writable int
	changed  chan struct{} // 1
}

func newHandler() *handler { return &handler{changed: make(chan struct{}, 1)} }

func (h *handler) tell() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func (h *handler) Input(p []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.tell()
	h.got = append(h.got, p...)
	return h.most == 0 || len(h.got) < h.most
}

func (h *handler) Ended(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.tell()
	h.ended = err
}

func (h *handler) Closed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.tell()
	h.closed = true
}

func (h *handler) Writable() {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.tell()
	h.writable++
}

// until waits for something about the handler.
func (h *handler) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		h.mu.Lock()
		done := ok()
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-h.changed:
		case <-late:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// wrapped hides that a connection is plain TCP.
type wrapped struct{ net.Conn }

// each runs a test over both kinds of connection.
func each(t *testing.T, test func(t *testing.T, c Conn, h *handler, peer *net.TCPConn)) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"plain":       func(c net.Conn) net.Conn { return c },
		"a goroutine": func(c net.Conn) net.Conn { return wrapped{c} },
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPoller()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			over := make(chan error, 1)
			go func() { over <- p.Run(ctx) }()
			server, peer := pair(t)
			h := newHandler()
			c, err := p.Conn(wrap(server), h)
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, c, h, peer)
			c.Close()
			h.until(t, "closed", func() bool { return h.closed })
			cancel()
			if err := <-over; err != nil {
				t.Error(err)
			}
		})
	}
}

func pair(t *testing.T) (server net.Conn, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, conn.(*net.TCPConn)
}

func TestWhatIsSentComesInAndOut(t *testing.T) {
	each(t, func(t *testing.T, c Conn, h *handler, peer *net.TCPConn) {
		large := bytes.Repeat([]byte("0123456789"), 100_000)
		var writing sync.WaitGroup
		writing.Go(func() { _, _ = peer.Write(large) })
		h.until(t, "1 MB comes in", func() bool { return len(h.got) == len(large) })
		writing.Wait()
		if !bytes.Equal(h.got, large) {
			t.Error("other bytes came in")
		}
		if n, err := c.Write([]byte("hello")); n != 5 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
		answer := make([]byte, 5)
		if _, err := io.ReadFull(peer, answer); err != nil || string(answer) != "hello" {
			t.Errorf("got %q, %v", answer, err)
		}
		// The last words and the end in one packet.
		_, _ = peer.Write([]byte("bye"))
		_ = peer.CloseWrite()
		h.until(t, "the end", func() bool { return h.ended != nil })
		if !errors.Is(h.ended, io.EOF) || !bytes.HasSuffix(h.got, []byte("bye")) {
			t.Errorf("ended with %v behind %q", h.ended, h.got[len(h.got)-3:])
		}
	})
}

func TestAHandlerThatIsFullReadsNothingUntilResumed(t *testing.T) {
	each(t, func(t *testing.T, c Conn, h *handler, peer *net.TCPConn) {
		h.mu.Lock()
		h.most = 10
		h.mu.Unlock()
		_, _ = peer.Write([]byte("0123456789"))
		h.until(t, "ten bytes", func() bool { return len(h.got) == 10 })
		_, _ = peer.Write([]byte("more"))
		for range 100 { // a wrong read would be here by now, or be late: then the test is weak, not wrong
			runtime.Gosched()
		}
		h.mu.Lock()
		if len(h.got) != 10 {
			t.Errorf("%d bytes were read", len(h.got))
		}
		h.most = 0
		h.mu.Unlock()
		c.Resume()
		h.until(t, "the rest", func() bool { return len(h.got) == 14 })
		_, _ = peer.Write([]byte("!"))
		h.until(t, "what comes later", func() bool { return len(h.got) == 15 })
	})
}

func TestAFullSocketTellsWhenItTakesMore(t *testing.T) {
	each(t, func(t *testing.T, c Conn, h *handler, peer *net.TCPConn) {
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		sent := 0
		for {
			n, err := c.Write(chunk)
			if err != nil {
				t.Fatal(err)
			}
			if sent += n; n < len(chunk) {
				break
			}
		}
		var got sync.WaitGroup
		total := 0
		got.Go(func() {
			n, _ := io.Copy(io.Discard, peer)
			total = int(n)
		})
		h.until(t, "room", func() bool { return h.writable > 0 })
		n, err := c.Write([]byte("the end"))
		if n == 0 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		sent += n
		c.Close()
		got.Wait()
		if total != sent {
			t.Errorf("%d bytes arrived of %d", total, sent)
		}
	})
}

func TestAPeerThatIsGoneEndsTheConnection(t *testing.T) {
	each(t, func(t *testing.T, c Conn, h *handler, peer *net.TCPConn) {
		_ = peer.SetLinger(0) // a reset
		_ = peer.Close()
		h.until(t, "the end", func() bool { return h.ended != nil })
		for late := time.Now().Add(patience); ; {
			if _, err := c.Write([]byte("x")); err != nil {
				break
			}
			if time.Now().After(late) {
				t.Fatal("writing goes on")
			}
		}
	})
}

// Descriptors are given again: what happens to a closed connection must not
// touch the one that has its number now.
func TestConnectionsComeAndGo(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 100 {
				server, peer := pair(t)
				h := newHandler()
				c, err := p.Conn(server, h)
				if err == nil {
					err = c.Start()
				}
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = peer.Write([]byte("hello"))
				if i%2 == 0 {
					h.until(t, "hello", func() bool { return string(h.got) == "hello" })
				}
				c.Close()
				h.until(t, "closed", func() bool { return h.closed })
				if got := string(h.got); got != "" && got != "hello" {
					t.Errorf("got %q", got)
				}
				_ = peer.Close()
			}
		})
	}
	all.Wait()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
