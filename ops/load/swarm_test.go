package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/throng/throng/edge/transport"
)

// said makes a frame of events with these versions.
func said(versions ...uint64) []byte {
	text := `{"block":{"group":"g","channel":"c","events":[`
	for i, v := range versions {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"group":"g","channel":"c","v":%d,"body":"\"v\":7"}`, v)
	}
	return transport.AppendFrame(nil, transport.Text, []byte(text+"]}}"))
}

func TestMembersOfASwarmNoticeWhatMustNotHappen(t *testing.T) {
	gap := transport.AppendFrame(nil, transport.Text, []byte(`{"gap":{"group":"g","channel":"c","after":2,"upto":9}}`+"\n"+`{"id":3,"ok":{}}`))
	for name, test := range map[string]struct {
		frames                         [][]byte
		delivered, doubled, holes, gap int64
		broken                         bool
	}{
		"all in order":               {[][]byte{said(1), said(2, 3), said(4)}, 4, 0, 0, 0, false},
		"one is missing":             {[][]byte{said(1), said(3)}, 2, 0, 1, 0, false},
		"one comes twice":            {[][]byte{said(1), said(1)}, 2, 1, 0, 0, false},
		"one is missing in a block":  {[][]byte{said(1), said(2, 4)}, 1, 0, 0, 0, true},
		"a gap, then what follows":   {[][]byte{said(1, 2), gap, said(10)}, 3, 0, 0, 7, false},
		"a gap from somewhere else":  {[][]byte{said(1), gap}, 1, 0, 0, 0, true},
		"another frame of the first": {[][]byte{said(1), said(2), said(257), said(258)}, 4, 0, 1, 0, false},
	} {
		for _, step := range []int{1, 7, 100000} {
			s := &swarm{arrived: make(chan struct{}, 1)}
			m := &member{reader: &swarmReader{swarm: s}}
			var all []byte
			for _, f := range test.frames {
				all = append(all, f...)
			}
			for len(all) > 0 {
				n := min(step, len(all))
				m.Input(all[:n])
				all = all[n:]
			}
			if m.delivered != test.delivered || m.doubled != test.doubled || m.holes != test.holes || m.gaps != test.gap || (m.broken != nil) != test.broken {
				t.Errorf("%s, %d bytes at once: delivered %d, doubled %d, holes %d, in gaps %d, %v", name, step, m.delivered, m.doubled, m.holes, m.gaps, m.broken)
			}
		}
	}
}

// The readers of the limit say when all of them have a round.
func TestSinkSaysWhenEverybodyHasIt(t *testing.T) {
	const sessions = 20
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	in, stop := io.Pipe()
	out, write := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Sink(context.Background(), listener.Addr().String(), sessions, 2, in, write) }()
	conns := make([]net.Conn, sessions)
	for i := range conns {
		if conns[i], err = listener.Accept(); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	ready := bufio.NewReader(out)
	for v := uint64(1); v < 9; v += 2 {
		if _, err := ready.ReadByte(); err != nil {
			t.Fatal(err)
		}
		for _, c := range conns {
			_, _ = c.Write(append(said(v), said(v+1)...))
		}
	}
	_, _ = ready.ReadByte()
	_ = stop.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}
