package session

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

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

	tasks sync.WaitGroup // one per session; Drain waits for it

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

// New returns an endpoint without sessions.
func New(config Config) *Endpoint {
	e := &Endpoint{
		config:   config.withDefaults(),
		sessions: map[*session]struct{}{},
		devices:  map[deviceKey]*session{},
		users:    map[streams.User]int{},
	}
	e.life, e.kill = context.WithCancel(context.Background())
	e.upgrader = websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   1024,
		WriteBufferSize:  4096,
		WriteBufferPool:  &sync.Pool{},
		Subprotocols:     []string{Subprotocol},
		CheckOrigin:      e.originAllowed,
	}
	return e
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

// ServeHTTP runs a session until its connection ends.
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
	s := newSession(e, conn)
	if !e.add(s) {
		_ = conn.Close() // it began to drain meanwhile
		return
	}
	e.config.Metrics.sessions.Inc()
	s.run()
	e.config.Metrics.sessions.Dec()
	e.remove(s)
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
			_ = s.conn.Close()
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
