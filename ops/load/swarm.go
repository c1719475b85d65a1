package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/transport"
)

// swarm is thousands of connections that only read: one goroutine per core reads
// them all and checks the order of what each is brought. So they cost little
// beside a server on the same cores.
type swarm struct {
	readers []*swarmReader
	members []*member
	polling sync.WaitGroup
	stop    context.CancelFunc

	frameBytes  atomic.Int64  // of the newest frame, header included
	outstanding atomic.Int64  // events to come until arrived is told
	arrived     chan struct{} // 1
}

// swarmReader reads a share of the members.
type swarmReader struct {
	swarm  *swarm
	poller *transport.Poller

	// Owned by the goroutine that polls.
	blocks [256]block // by the first version's last byte
}

// block is what a frame says, and the frame: most are brought to many members.
type block struct {
	frame       []byte
	first, last uint64
	err         error
}

// member is one connection. Its counts may be read when nothing comes any more.
type member struct {
	reader *swarmReader
	conn   transport.Conn
	half   []byte // of a frame

	last      atomic.Uint64 // v
	delivered int64
	doubled   int64
	holes     int64
	gaps      int64 // events that were announced as missing
	broken    error // it ended, or did not understand
}

// openers is how many connections are opened at once.
const openers = 32

// sources is from how many addresses connections are opened: each has ports for
// some.
const sources = 8

// opener makes one connection ready: what it returns was read already.
type opener func(ctx context.Context, i int, conn net.Conn) (read []byte, last uint64, err error)

// openSwarm opens count connections; close ends them.
func openSwarm(ctx context.Context, address string, count int, open opener) (*swarm, error) {
	s := &swarm{arrived: make(chan struct{}, 1), members: make([]*member, count)}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for range runtime.GOMAXPROCS(0) {
		poller, err := transport.NewPoller()
		if err != nil {
			s.close()
			return nil, err
		}
		s.readers = append(s.readers, &swarmReader{swarm: s, poller: poller})
		s.polling.Go(func() { _ = poller.Run(life) }) // what it reads for is found missing
	}
	tasks, opening := errgroup.WithContext(ctx)
	tasks.SetLimit(openers)
	for i := range count {
		tasks.Go(func() error {
			m, err := s.open(opening, address, i, open)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			s.members[i] = m
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *swarm) open(ctx context.Context, address string, i int, open opener) (*member, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%sources))}, Timeout: 20 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	read, last, err := open(ctx, i, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	m := &member{reader: s.readers[i%len(s.readers)], half: read}
	m.last.Store(last)
	if m.conn, err = m.reader.poller.Conn(conn, m); err == nil {
		err = m.conn.Start()
	}
	return m, err
}

func (s *swarm) close() {
	for _, m := range s.members {
		if m != nil && m.conn != nil {
			m.conn.Close()
		}
	}
	s.stop()
	s.polling.Wait()
}

// expect makes await wait until so many more events were delivered, all members
// together.
func (s *swarm) expect(events int64) { s.outstanding.Add(events) }

var errLate = errors.New("not everything was delivered in time")

// await waits for what is expected.
func (s *swarm) await(ctx context.Context, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for s.outstanding.Load() > 0 {
		select {
		case <-s.arrived:
		case <-late.C:
			return errLate
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// behind says how many members have not come to a version, and how far the last
// of them is.
func (s *swarm) behind(v uint64) string {
	n, least := 0, v
	for _, m := range s.members {
		if last := m.last.Load(); last < v {
			n++
			least = min(least, last)
		}
	}
	return fmt.Sprintf("%d sessions are behind %d, one at %d", n, v, least)
}

// Input takes what the server sent.
func (m *member) Input(p []byte) bool {
	if m.half != nil {
		p = append(m.half, p...)
		m.half = nil
	}
	events := int64(0)
	for {
		kind, payload, rest, ok := cutFrame(p)
		if !ok {
			break
		}
		p = rest
		switch kind {
		case transport.Text:
			for len(payload) > 0 {
				var line []byte
				line, payload, _ = bytes.Cut(payload, []byte{'\n'})
				events += m.take(line)
			}
		case transport.Ping:
			_, _ = m.conn.Write(masked(transport.Pong, payload)) // the server will find it silent
		case transport.Close:
			m.broken = errors.New("closed by the server")
		}
	}
	if len(p) > 0 {
		m.half = bytes.Clone(p)
	}
	if events > 0 && m.reader.swarm.outstanding.Add(-events) <= 0 {
		select {
		case m.reader.swarm.arrived <- struct{}{}:
		default:
		}
	}
	return true
}

func (m *member) Ended(err error) {
	if m.broken == nil {
		m.broken = err
	}
}
func (m *member) Closed()   {}
func (m *member) Writable() {}

// take checks one frame and returns how many events it brought or announced as
// missing.
func (m *member) take(line []byte) int64 {
	if bytes.HasPrefix(line, []byte(`{"gap":`)) {
		var f frame
		if err := json.Unmarshal(line, &f); err != nil || f.Gap == nil || f.Gap.After != m.last.Load() {
			m.broken = fmt.Errorf("a gap that is none: %.200s", line)
			return 0
		}
		m.last.Store(f.Gap.Upto)
		m.gaps += int64(f.Gap.Upto - f.Gap.After)
		return int64(f.Gap.Upto - f.Gap.After)
	}
	if !bytes.HasPrefix(line, []byte(`{"block":`)) {
		return 0
	}
	b := m.reader.block(line)
	last := m.last.Load()
	switch {
	case b.err != nil:
		m.broken = b.err
		return 0
	case b.first <= last:
		m.doubled++
	case b.first > last+1:
		m.holes++
	}
	m.last.Store(b.last)
	count := int64(b.last - b.first + 1)
	m.delivered += count
	return count
}

// block reads a frame, or remembers it.
func (r *swarmReader) block(line []byte) *block {
	var first uint64
	if i := bytes.Index(line[:min(len(line), 400)], []byte(`"v":`)); i >= 0 {
		for _, c := range line[i+4:] {
			if c < '0' || c > '9' {
				break
			}
			first = first*10 + uint64(c-'0')
		}
	}
	b := &r.blocks[first%uint64(len(r.blocks))]
	if bytes.Equal(b.frame, line) {
		return b
	}
	*b = block{frame: append(b.frame[:0], line...)}
	r.swarm.frameBytes.Store(int64(len(line)) + 4)
	var f frame
	if b.err = json.Unmarshal(line, &f); b.err != nil || f.Block == nil || len(f.Block.Events) == 0 {
		b.err = fmt.Errorf("frame %.200q: %w", line, errors.Join(b.err, errors.New("no block")))
		return b
	}
	b.first = f.Block.Events[0].V
	b.last = b.first
	for _, e := range f.Block.Events[1:] {
		if e.V != b.last+1 {
			b.err = fmt.Errorf("v %d behind v %d in one block", e.V, b.last)
		}
		b.last = e.V
	}
	return b
}

// cutFrame cuts a server's frame off; ok is false while it has not come whole.
func cutFrame(p []byte) (kind transport.Kind, payload, rest []byte, ok bool) {
	if len(p) < 2 {
		return 0, nil, p, false
	}
	header, size := 2, int(p[1]&0x7f)
	switch {
	case size == 126 && len(p) >= 4:
		header, size = 4, int(binary.BigEndian.Uint16(p[2:]))
	case size == 127 && len(p) >= 10:
		header, size = 10, int(binary.BigEndian.Uint64(p[2:]))
	case size >= 126:
		return 0, nil, p, false
	}
	if len(p)-header < size {
		return 0, nil, p, false
	}
	return transport.Kind(p[0] & 0xf), p[header : header+size], p[header+size:], true
}

// masked is a client's frame, with a mask of zeros.
func masked(kind transport.Kind, payload []byte) []byte {
	b := transport.AppendFrame(nil, kind, payload)
	header := 2
	switch b[1] {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	b[1] |= 0x80
	return append(append(append([]byte(nil), b[:header]...), 0, 0, 0, 0), b[header:]...)
}

// handshake makes an open connection a WebSocket.
func handshake(conn net.Conn, host, path string) (read []byte, err error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: throng.v1.json\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	buffer := make([]byte, 0, 1024)
	for {
		n, err := conn.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if i := bytes.Index(buffer, []byte("\r\n\r\n")); i >= 0 {
			if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 101 ")) {
				return nil, fmt.Errorf("upgrade: %.60q", buffer)
			}
			return buffer[i+4:], nil
		}
		if err != nil || len(buffer) == cap(buffer) {
			return nil, fmt.Errorf("upgrade: %.60q: %w", buffer, err)
		}
	}
}

// converse says frames, at most one of each id, and returns the answers in the
// order of the ids from 1, and what came behind the last of them.
func converse(conn net.Conn, read []byte, commands ...string) (answers []frame, rest []byte, err error) {
	var out []byte
	for _, c := range commands {
		out = append(out, masked(transport.Text, []byte(c))...)
	}
	if _, err := conn.Write(out); err != nil {
		return nil, nil, err
	}
	answers = make([]frame, len(commands))
	buffer := make([]byte, 4096)
	for missing := len(commands); missing > 0; {
		kind, payload, rest, ok := cutFrame(read)
		if !ok {
			n, err := conn.Read(buffer)
			if err != nil {
				return nil, nil, fmt.Errorf("waiting for %d answers: %w", missing, err)
			}
			read = append(read, buffer[:n]...)
			continue
		}
		read = rest
		for line := range bytes.SplitSeq(payload, []byte{'\n'}) {
			var f frame
			if kind != transport.Text || json.Unmarshal(line, &f) != nil || f.ID == 0 || f.ID > uint64(len(answers)) {
				continue
			}
			if f.Error != nil {
				return nil, nil, f.Error
			}
			answers[f.ID-1] = f
			missing--
		}
	}
	return answers, bytes.Clone(read), nil
}
