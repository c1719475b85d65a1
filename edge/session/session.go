package session

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/transport"
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

// session is one connection. At rest it is this struct, its subscriptions and
// its socket: no goroutine and no buffer.
type session struct {
	// Static after Endpoint.begin.
	endpoint *Endpoint
	shard    *shard
	conn     transport.Conn
	tasks    sync.WaitGroup

	heard  atomic.Int64 // when the peer was last heard, ns since 1970
	queued atomic.Bool  // it is among the shard's ready

	counted streams.User // whose connection this is, where that is limited; written once under endpoint.mu

	input    // owned by whoever calls Input
	delivery // owned by the shard

	mu          sync.Mutex
	work                                // guarded by mu
	outstanding int                     // commands taken and not answered on the socket, at most maxOutstanding; guarded by mu
	verifying   bool                    // the token is being looked at; nothing more is taken meanwhile; guarded by mu
	stalled     bool                    // Input has refused to go on; guarded by mu
	connected   bool                    // guarded by mu
	ends        time.Time               // until connect: the end of patience; then the token's, zero for none; guarded by mu
	draining    bool                    // guarded by mu; nothing more is taken
	closing     *closing                // guarded by mu; set once
	hungUp      bool                    // the peer has sent its close frame, or is gone; guarded by mu
	pong        []byte                  // what the newest ping of the peer said; nil where none is to be answered; guarded by mu
	replies     []reply                 // guarded by mu; at most maxOutstanding and what the server says itself
	follows     []*follow               // guarded by mu; at most maxFollows, each channel once
	dropped     []*follow               // guarded by mu; uninstalled, for the shard to forget
	lanes       map[streams.Group]*lane // guarded by mu; those with something to do; nil for none
	left        map[followKey]struct{}  // guarded by mu; groups, without a channel, and channels to tell the end of; nil for none
	signals     [][]byte                // guarded by mu; frames, at most maxSignals, then they are dropped
	allowance   allowance               // of signals the peer sends; guarded by mu
}

// input is what reading needs.
type input struct {
	decoder transport.Decoder
	message []byte // of the message that was read last, the frames not taken yet
	held    []byte // what came behind it while nothing more could be taken
	broken  bool   // the peer broke the rules: what comes is not looked at

	caller command.Caller
	bucket *limit.Bucket // nil: no limit
	device deviceKey     // static once connected
}

// closing is why and how the connection ends.
type closing struct {
	code   int // 0: the peer is gone or has closed
	reason string
}

// reply is a frame for the peer.
type reply struct {
	frame []byte  // nil for none
	slot  bool    // answers one of the outstanding commands
	read  bool    // frees one of reads
	arm   *follow // starts delivering behind this frame
}

func newSession(e *Endpoint, sh *shard) *session {
	s := &session{endpoint: e, shard: sh}
	s.decoder = transport.NewDecoder(wire.MaxFrame)
	now := time.Now()
	s.heard.Store(now.UnixNano())
	s.ends = now.Add(e.config.ConnectWithin)
	s.pingAt = now.Add(e.config.Heartbeat)
	return s
}

// finish ends what the session has under way, once its shard has closed the
// connection and knows it no more.
func (s *session) finish() {
	s.abandon()
	s.tasks.Wait()
	s.mu.Lock()
	left := append(s.dropped, s.follows...)
	s.follows, s.dropped, s.replies, s.signals = nil, nil, nil, nil
	s.mu.Unlock()
	release(left)
	s.endpoint.remove(s)
}

func (s *session) hear() { s.heard.Store(time.Now().UnixNano()) }

// signal tells the shard that there is something to do.
func (s *session) signal() {
	if s.queued.CompareAndSwap(false, true) {
		s.shard.enqueue(s)
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

// hangUp ends the connection with nothing more to say, or with nothing but the
// answer to the peer's close frame.
func (s *session) hangUp(answer int) {
	s.mu.Lock()
	s.hungUp = true
	if s.closing == nil {
		s.closing = &closing{code: answer}
	}
	s.mu.Unlock()
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

// deaf reports whether what comes is only read to get past it.
func (s *session) deaf() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining || s.closing != nil
}

// ending returns how to end the connection, nil if it goes on. One that drains
// ends when everything it has taken is answered.
func (s *session) ending() (end *closing, hungUp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil && s.draining && s.outstanding == 0 {
		s.closing = &closing{code: websocket.CloseServiceRestart, reason: "restarting"}
	}
	return s.closing, s.hungUp
}

// answer hands a reply to the shard.
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
