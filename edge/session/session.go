package session

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	maxOutstanding = 256
	maxReads       = 4
	maxFollows     = 1000
	messageBytes   = 64 << 10
	// writeDeadline is how long a peer may leave one message undrained.
	writeDeadline = 60 * time.Second
	// lingerFor is how long the peer has to take the close frame: closing a
	// socket with unread input throws away what was just written.
	lingerFor = time.Second
)

// Close codes of the contract.
const (
	closeUnauthorized = 4401
	closeExpired      = 4403
	closeSilent       = 4408
	closeReplaced     = 4409
	closeTooMany      = 4429
)

// session is one connection.
type session struct {
	// Static after newSession.
	endpoint *Endpoint
	conn     *websocket.Conn
	id       string
	ctx      context.Context // ends when the connection does
	cancel   context.CancelCauseFunc
	wakeup   chan struct{} // 1: something is to be written; never closed
	slots    chan struct{} // maxOutstanding; one per command taken and not answered
	reads    chan struct{} // maxReads; one per large answer in the making or unwritten
	timer    *time.Timer   // until connect: the end of patience; then the token's
	tasks    sync.WaitGroup

	heard atomic.Int64 // when the peer was last heard, ns since 1970

	counted streams.User // whose connection this is, where that is limited; written once by the reader under endpoint.mu

	// Owned by the reader.
	caller command.Caller
	bucket *limit.Bucket // nil: no limit
	device deviceKey     // static once connected

	mu        sync.Mutex
	connected bool                    // guarded by mu
	draining  bool                    // guarded by mu; nothing more is taken
	closing   *closing                // guarded by mu; set once
	replies   []reply                 // guarded by mu; at most maxOutstanding and what the server says itself
	follows   map[followKey]*follow   // guarded by mu; at most maxFollows
	dirty     []*follow               // guarded by mu; armed follows with something to take, each once
	hinted    []*follow               // guarded by mu; dirty ones in mode hint, for the next heads frame
	headsAt   time.Time               // guarded by mu; when the next heads frame may go out
	over      []*follow               // guarded by mu; ended by the hub, to be released by the writer
	lanes     map[streams.Group]*lane // guarded by mu; those with something to do
	left      map[followKey]struct{}  // guarded by mu; groups, without a channel, and channels to tell the end of
	signals   [][]byte                // guarded by mu; frames, at most maxSignals, then they are dropped
	allowance allowance               // of signals the peer sends; guarded by mu
}

// closing is why and how the connection ends.
type closing struct {
	code   int // 0: the peer is gone or has closed
	reason string
}

// reply is a frame for the writer.
type reply struct {
	frame []byte
	slot  bool    // frees one of slots
	read  bool    // frees one of reads
	arm   *follow // starts delivering behind this frame
}

func newSession(e *Endpoint, conn *websocket.Conn) *session {
	s := &session{
		endpoint: e, conn: conn, id: uuid.NewString(),
		wakeup:  make(chan struct{}, 1),
		slots:   make(chan struct{}, maxOutstanding),
		reads:   make(chan struct{}, maxReads),
		timer:   time.NewTimer(e.config.ConnectWithin),
		follows: map[followKey]*follow{},
		lanes:   map[streams.Group]*lane{},
		left:    map[followKey]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancelCause(e.life)
	s.hear()
	return s
}

var errEnded = errors.New("the connection ended")

// run reads and writes until the connection ends and nothing of it runs.
func (s *session) run() {
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		s.write()
	}()
	s.read()
	s.close(0, "")
	// The writer may hang in a write to a peer that is gone.
	_ = s.conn.NetConn().SetWriteDeadline(time.Now().Add(lingerFor))
	<-writing
	s.cancel(errEnded)
	_ = s.conn.Close()
	s.timer.Stop()
	s.tasks.Wait()
	s.mu.Lock()
	over := s.over
	for _, f := range s.follows {
		over = append(over, f)
	}
	s.follows, s.over, s.dirty, s.replies, s.signals = nil, nil, nil, nil, nil
	s.mu.Unlock()
	release(over)
}

func (s *session) hear() { s.heard.Store(time.Now().UnixNano()) }

// signal wakes the writer.
func (s *session) signal() {
	select {
	case s.wakeup <- struct{}{}:
	default: // it is awake
	}
}

// close begins the end of the connection; the first to call it gives the code.
func (s *session) close(code int, reason string) {
	s.mu.Lock()
	first := s.closing == nil
	if first {
		s.closing = &closing{code: code, reason: reason}
	}
	s.mu.Unlock()
	if !first {
		return
	}
	if code != 0 {
		s.endpoint.config.Metrics.closes.WithLabelValues(strconv.Itoa(code)).Inc()
	}
	s.signal()
}

// drain says goodbye and takes nothing more.
func (s *session) drain(retry time.Duration) {
	s.mu.Lock()
	s.draining = true
	s.replies = append(s.replies, reply{frame: wire.AppendBye(nil, "restarting", retry)})
	s.mu.Unlock()
	s.signal()
}

// answer hands a reply to the writer.
func (s *session) answer(r reply) {
	s.mu.Lock()
	s.replies = append(s.replies, r)
	s.mu.Unlock()
	s.signal()
}

// refuse answers a command with an error.
func (s *session) refuse(id uint64, err error) {
	s.answer(reply{frame: wire.AppendError(nil, id, streams.AsRejection(err)), slot: true})
}

// settle answers a command.
func (s *session) settle(id uint64, a command.Answer, r reply) {
	if a.Err != nil {
		r.frame = wire.AppendError(nil, id, streams.AsRejection(a.Err))
	} else {
		r.frame = wire.AppendOK(make([]byte, 0, len(a.OK)+32), id, a.OK)
	}
	r.slot = true
	s.answer(r)
}
