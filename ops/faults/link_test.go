//go:build linux

package faults

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// echo answers everything with itself, and counts nothing.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

func linked(t *testing.T) (*link, net.Conn) {
	t.Helper()
	l, err := newLink("test", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	conn, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return l, conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(conn net.Conn, length int, within time.Duration) (string, error) {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	data := make([]byte, length)
	n, err := io.ReadFull(conn, data)
	return string(data[:n]), err
}

func mustHear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if got, err := hear(conn, len(want), 10*time.Second); err != nil || got != want {
		t.Fatalf("heard %q, %v, want %q", got, err, want)
	}
}

// What a partition held comes through when it heals, in order and on the same
// connection, whichever way was cut.
func TestPartitionHoldsAndHeals(t *testing.T) {
	for name, w := range map[string]weather{
		"both ways": {stallOut: true, stallIn: true}, "to the server": {stallOut: true}, "from the server": {stallIn: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, conn := linked(t)
			say(t, conn, "one")
			mustHear(t, conn, "one")
			l.set(w)
			say(t, conn, "two")
			say(t, conn, "three")
			if got, err := hear(conn, 1, 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("heard %q, %v through a partition", got, err)
			}
			l.set(weather{})
			mustHear(t, conn, "twothree")
		})
	}
}

// A link that is down resets what there is and what comes.
func TestDownResets(t *testing.T) {
	l, conn := linked(t)
	say(t, conn, "one")
	mustHear(t, conn, "one")
	l.set(weather{down: true})
	if _, err := hear(conn, 1, 10*time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the old connection: %v", err)
	}
	again, err := net.Dial("tcp", l.addr())
	if err == nil {
		defer func() { _ = again.Close() }()
		_, err = hear(again, 1, 10*time.Second)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection: %v", err)
	}
	l.set(weather{})
	healed, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = healed.Close() }()
	say(t, healed, "two")
	mustHear(t, healed, "two")
}

// The request arrives, the answer does not: the connection is reset instead.
func TestSwallowedAnswer(t *testing.T) {
	arrived := make(chan string, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		got, _ := hear(conn, 6, 10*time.Second)
		arrived <- got
		_, _ = conn.Write([]byte("done"))
	}()
	l, err := newLink("test", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.set(weather{swallow: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	say(t, conn, "insert")
	if got := <-arrived; got != "insert" {
		t.Errorf("arrived %q", got)
	}
	if got, err := hear(conn, 4, 10*time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("heard %q, %v, want a reset", got, err)
	}
}

// Delays keep the order, and take as long as they say.
func TestDelayKeepsTheOrder(t *testing.T) {
	l, conn := linked(t)
	l.set(weather{delay: 30 * time.Millisecond, jitter: 50 * time.Millisecond, loss: 0.2})
	began := time.Now()
	for range 20 {
		say(t, conn, "0123456789")
	}
	want := ""
	for range 20 {
		want += "0123456789"
	}
	mustHear(t, conn, want)
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("two delays of 30 ms took %v", took)
	}
}

func TestRateIsBounded(t *testing.T) {
	l, conn := linked(t)
	l.set(weather{rate: 100_000})
	began := time.Now()
	go func() { _, _ = conn.Write(make([]byte, 60_000)) }()
	if _, err := hear(conn, 60_000, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 250*time.Millisecond {
		t.Errorf("60 kB at 100 kB/s took %v", took)
	}
}
