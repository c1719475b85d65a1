package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/throng/throng/edge/transport"
)

// LimitConfig is what a bare loop of write(2) is measured with.
type LimitConfig struct {
	Sessions int
	Bytes    int      // of one frame, header included
	Burst    int      // frames of one write
	Rounds   int      // writes to each session
	Sink     []string // command that reads: see [Sink]; the address, the sessions and the burst are appended
}

// LimitReport is what that costs.
type LimitReport struct {
	Sessions      int     `json:"sessions"`
	Bytes         int     `json:"bytes"`
	Burst         int     `json:"burst"`
	Rounds        int     `json:"rounds"`
	CPUPerDeliver float64 `json:"cpu_us_per_delivery"`
	Seconds       float64 `json:"seconds"`
}

func (r LimitReport) String() string {
	return fmt.Sprintf("limit: %d sessions, %d frames of %d bytes a write: %.2f µs of CPU per delivery (%d rounds in %.1f s)",
		r.Sessions, r.Burst, r.Bytes, r.CPUPerDeliver, r.Rounds, r.Seconds)
}

// limitWithin is how long one round may take.
const limitWithin = 30 * time.Second

// Limit writes the same frame to all sessions in a loop of write(2), waits until
// another process has read and checked all of them, and does so again: what any
// server that wakes its readers once per message costs at the least.
func Limit(ctx context.Context, c LimitConfig) (report LimitReport, err error) {
	report = LimitReport{Sessions: c.Sessions, Bytes: c.Bytes, Burst: c.Burst, Rounds: c.Rounds}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return report, err
	}
	defer listener.Close()
	sink, ready, err := startSink(ctx, append(c.Sink, listener.Addr().String(), strconv.Itoa(c.Sessions), strconv.Itoa(c.Burst)))
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, sink()) }()
	sockets, err := accept(listener, c.Sessions)
	defer func() {
		for _, fd := range sockets {
			_ = syscall.Close(fd)
		}
	}()
	if err != nil {
		return report, err
	}
	if _, err := ready.ReadByte(); err != nil { // all are open
		return report, fmt.Errorf("wait for the readers: %w", err)
	}
	before, begun, version := usage(os.Getpid()), time.Now(), uint64(0)
	for range c.Rounds {
		var frames []byte
		for range c.Burst {
			version++
			frames = append(frames, limitFrame(version, c.Bytes)...)
		}
		for _, fd := range sockets {
			n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&frames[0])), uintptr(len(frames)))
			if errno != 0 || int(n) != len(frames) {
				return report, fmt.Errorf("wrote %d of %d bytes: %w", n, len(frames), errno)
			}
		}
		if _, err := ready.ReadByte(); err != nil {
			return report, fmt.Errorf("wait for the readers: %w", err)
		}
	}
	report.Seconds = time.Since(begun).Seconds()
	cpu := usage(os.Getpid()).cpu - before.cpu
	report.CPUPerDeliver = float64(cpu.Nanoseconds()) / 1000 / float64(c.Rounds*c.Burst*c.Sessions)
	return report, nil
}

// limitFrame is a block of one event that takes so many bytes.
func limitFrame(v uint64, size int) []byte {
	text := fmt.Sprintf(`{"block":{"group":"limit","channel":"limit","events":[{"v":%d,"body":""}]}}`, v)
	pad := strings.Repeat("x", max(0, size-len(text)-4))
	text = strings.Replace(text, `"body":""`, `"body":"`+pad+`"`, 1)
	return transport.AppendFrame(nil, transport.Text, []byte(text))
}

// startSink starts the process that reads; stop ends it. ready brings a byte
// when all connections are open, and one after each round.
func startSink(ctx context.Context, command []string) (stop func() error, ready *bufio.Reader, err error) {
	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	in, err := child.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := child.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the readers: %w", err)
	}
	return func() error {
		_ = in.Close() // ends it
		return child.Wait()
	}, bufio.NewReader(out), nil
}

// accept takes the connections' descriptors.
func accept(listener net.Listener, count int) (sockets []int, err error) {
	for range count {
		conn, err := listener.Accept()
		if err != nil {
			return sockets, err
		}
		access, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return sockets, err
		}
		var copied int
		var errno error
		if err := access.Control(func(fd uintptr) { copied, errno = syscall.Dup(int(fd)) }); err != nil || errno != nil {
			return sockets, errors.Join(err, errno)
		}
		sockets = append(sockets, copied)
		_ = conn.Close() // Go's poller is not to be woken for it
	}
	return sockets, nil
}

// Sink is the other side of [Limit]: it opens connections, and says so with a
// byte on out, as after each burst to all of them. It ends with in.
func Sink(ctx context.Context, address string, sessions, burst int, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the input, at the latest with the process
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	s, err := openSwarm(ctx, address, sessions, func(context.Context, int, net.Conn) ([]byte, uint64, error) { return nil, 0, nil })
	if err != nil {
		return err
	}
	defer s.close()
	for {
		s.expect(int64(sessions * burst))
		if _, err := out.Write([]byte{'.'}); err != nil {
			return nil // nobody asks any more
		}
		switch err := s.await(ctx, limitWithin); {
		case ctx.Err() != nil:
			return s.verdict()
		case err != nil:
			return err
		}
		if err := s.verdict(); err != nil {
			return err
		}
	}
}

// verdict tells of the first member that something is wrong with.
func (s *swarm) verdict() error {
	for i, m := range s.members {
		if m.doubled+m.holes > 0 {
			return fmt.Errorf("connection %d: %d doubled, %d holes", i, m.doubled, m.holes)
		}
	}
	return nil
}
