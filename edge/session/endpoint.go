package session

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/streams"
)

// Subprotocol is what this endpoint speaks, also to who offers nothing.
const Subprotocol = "throng.v1.json"

// Config of an [Endpoint].
type Config struct {
	Hub      *hub.Hub        // required
	Runner   *command.Runner // required
	Verifier *token.Verifier // required
	Logger   *slog.Logger    // required
	Metrics  *Metrics        // required
	Version  string          // of the server, for the answer to connect

	// Heartbeat is how often the server pings; a peer silent for two is
	// closed. Default 25 s.
	Heartbeat time.Duration
	// ConnectWithin is how long a connection may wait with its connect.
	// Default 10 s.
	ConnectWithin time.Duration
	// Origins are allowed beside the host itself, as scheme://host[:port].
	Origins []string
	// Wrap stands between a WebSocket and its TCP connection, as TLS does; nil for
	// nothing. Only tests set it.
	Wrap func(net.Conn) net.Conn
}

func (c Config) withDefaults() Config {
	if c.Heartbeat == 0 {
		c.Heartbeat = 25 * time.Second
	}
	if c.ConnectWithin == 0 {
		c.ConnectWithin = 10 * time.Second
	}
	return c
}

const (
	// finishWithin is how long sessions have at the end to answer what they
	// have taken, closeWithin how long to say goodbye after that.
	finishWithin = 2 * time.Second
	closeWithin  = 1500 * time.Millisecond
	// byeMin and byeMax bound when clients are told to come back.
	byeMin = 250 * time.Millisecond
	byeMax = 5 * time.Second
)

// Endpoint upgrades requests to sessions and ends them.
type Endpoint struct {
	// Static after New.
	config   Config
	upgrader websocket.Upgrader
	life     context.Context // parent of what sessions have taken; ends with Drain
	kill     context.CancelFunc

	shards []*shard
	next   atomic.Uint32 // of shards, for the next session

	tasks sync.WaitGroup // one per session, and per upgrade under way; Drain waits for it

	mu       sync.Mutex
	sessions map[*session]struct{}  // guarded by mu
	devices  map[deviceKey]*session // guarded by mu
	users    map[streams.User]int   // connections of each, where that is limited; guarded by mu
	draining bool                   // guarded by mu
}

type deviceKey struct {
	user   streams.User
	device streams.Device
}

// New returns an endpoint without sessions. [Endpoint.Run] must run while it
// serves.
func New(config Config) (*Endpoint, error) {
	e := &Endpoint{
		config:   config.withDefaults(),
		sessions: map[*session]struct{}{},
		devices:  map[deviceKey]*session{},
		users:    map[streams.User]int{},
	}
	e.life, e.kill = context.WithCancel(context.Background())
	// Its connection is used for the upgrade only, in the server's own buffers.
	e.upgrader = websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		Subprotocols:     []string{Subprotocol},
		CheckOrigin:      e.originAllowed,
	}
	for range runtime.GOMAXPROCS(0) {
		sh, err := newShard(e)
		if err != nil {
			return nil, err
		}
		e.shards = append(e.shards, sh)
	}
	return e, nil
}

// Run serves the sessions until ctx ends, which is to be after [Endpoint.Drain].
// It returns when nothing of them runs.
func (e *Endpoint) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for _, sh := range e.shards {
		tasks.Go(func() error { return sh.run(ctx) })
	}
	tasks.Go(func() error {
		e.giveBack(ctx)
		return nil
	})
	return tasks.Wait()
}

// originAllowed keeps foreign pages from using a browser's connection. Who
// sends no origin is no browser.
func (e *Endpoint) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(e.config.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return loopback && e.config.Verifier.Dev(r.Context())
}

// ServeHTTP upgrades a request to a session, which outlives it.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	if e.draining {
		e.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "restarting", http.StatusServiceUnavailable)
		return
	}
	e.tasks.Add(1)
	e.mu.Unlock()
	defer e.tasks.Done()

	conn, err := e.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	if err := e.begin(conn.NetConn()); err != nil {
		e.config.Logger.Warn("begin a session", "err", err)
		_ = conn.Close()
	}
}

// begin makes an upgraded connection a session, which [session.finish] ends.
func (e *Endpoint) begin(conn net.Conn) error {
	sh := e.shards[int(e.next.Add(1))%len(e.shards)]
	s := newSession(e, sh)
	if e.config.Wrap != nil {
		conn = e.config.Wrap(conn)
	}
	var err error
	if s.conn, err = sh.poller.Conn(conn, s); err != nil {
		return err
	}
	e.tasks.Add(1)
	e.config.Metrics.sessions.Inc()
	if !e.add(s) {
		s.hangUp(0) // it began to drain meanwhile
	}
	s.signal() // its deadlines begin
	if err := s.conn.Start(); err != nil {
		s.hangUp(0)
		return err
	}
	return nil
}

func (e *Endpoint) add(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return false
	}
	e.sessions[s] = struct{}{}
	return true
}

func (e *Endpoint) remove(s *session) {
	defer e.tasks.Done()
	e.config.Metrics.sessions.Dec()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
	if s.counted != "" {
		if e.users[s.counted]--; e.users[s.counted] == 0 {
			delete(e.users, s.counted)
		}
	}
	if e.devices[s.device] == s {
		delete(e.devices, s.device)
	}
}

// count counts a session of a user who has not too many; false: too many. Back
// ends have as many as they like.
func (e *Endpoint) count(s *session, who token.Identity) bool {
	most := e.config.Runner.Limits().Connections()
	if most == 0 || who.Server {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users[who.User] >= most {
		return false
	}
	e.users[who.User]++
	s.counted = who.User
	return true
}

// register makes s the session of its device and returns the one before.
func (e *Endpoint) register(s *session, key deviceKey) (previous *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	previous = e.devices[key]
	e.devices[key] = s
	return previous
}

// Drain ends all sessions: each is told when to come back, what it has taken
// is answered, then it is closed. It returns when all have ended, after at
// most finishWithin and closeWithin.
func (e *Endpoint) Drain() {
	e.mu.Lock()
	e.draining = true
	sessions := make([]*session, 0, len(e.sessions))
	for s := range e.sessions {
		sessions = append(sessions, s)
	}
	e.mu.Unlock()
	for _, s := range sessions {
		s.drain(byeMin + rand.N(byeMax-byeMin))
	}
	ended := make(chan struct{})
	go func() {
		e.tasks.Wait()
		close(ended)
	}()
	if waits(ended, finishWithin) {
		e.kill()
		return
	}
	e.kill()
	for _, s := range sessions {
		s.close(websocket.CloseServiceRestart, "restarting")
	}
	if !waits(ended, closeWithin) {
		for _, s := range sessions {
			s.hangUp(0)
		}
	}
	<-ended
}

func waits(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
