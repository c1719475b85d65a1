package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/hidden"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
)

// Config of a [Hub].
type Config struct {
	Conn    *nats.Conn          // required
	JS      jetstream.JetStream // on Conn; required
	Owner   *owner.Client       // required
	Loader  *backfill.Loader    // required
	Hidden  *hidden.Store       // required
	Logger  *slog.Logger        // required
	Metrics *Metrics            // required

	// RingEvents is how many events a channel keeps in memory. Default 1,024.
	RingEvents int
	// RingBytes bounds the memory of all rings. Default 128 MiB.
	RingBytes int64
	// AttributeBytes bounds the memory of all attributes. Default 128 MiB.
	AttributeBytes int64
	// Linger is how long a view stays open unused. Default 30 s.
	Linger time.Duration
	// Members is how many users without subscriptions a view remembers. Beyond
	// it, it forgets some and asks again when they come back. Default 4,096.
	Members int
	// Lose drops a live message before it is looked at. Only tests set it.
	Lose func(*nats.Msg) bool
	// WithoutContiguity takes live events without looking whether others are
	// missing before them, and tells no session of gaps. Only tests set it, to
	// show that their checker notices.
	WithoutContiguity bool
	// Revealing shows private channels to every member of their group. Only tests
	// set it, to show that their judges notice.
	Revealing bool
}

func (c Config) withDefaults() Config {
	if c.RingEvents == 0 {
		c.RingEvents = 1024
	}
	if c.RingBytes == 0 {
		c.RingBytes = 128 << 20
	}
	if c.AttributeBytes == 0 {
		c.AttributeBytes = 128 << 20
	}
	if c.Members == 0 {
		c.Members = 4096
	}
	if c.Linger == 0 {
		c.Linger = 30 * time.Second
	}
	return c
}

// Hub holds the views. [Hub.Run] must run while it is used.
type Hub struct {
	// Static after New.
	config Config
	rings  *ring.Budget
	edge   string                 // names this hub among those that tell who is present
	called chan streams.Partition // an owner asks who is present; calledSize, never closed
	life   context.Context        // ends with Run; parent of the goroutines it owns
	end    context.CancelFunc
	tasks  sync.WaitGroup // feeds, fills, the announcer and who looks for hides; Run waits for it

	attributes attributeBudget

	mu     sync.RWMutex
	views  map[streams.Group]*View     // guarded by mu
	feeds  map[streams.Partition]*feed // guarded by mu
	closed bool                        // guarded by mu; no task starts any more
}

// New returns a hub that follows nothing.
func New(config Config) *Hub {
	h := &Hub{
		config: config.withDefaults(),
		views:  map[streams.Group]*View{},
		feeds:  map[streams.Partition]*feed{},
		edge:   uuid.NewString(), called: make(chan streams.Partition, calledSize),
	}
	h.attributes.limit = h.config.AttributeBytes
	h.rings = ring.NewBudget(h.config.RingBytes)
	h.life, h.end = context.WithCancel(context.Background())
	config.Metrics.bytes, config.Metrics.attributes = h.rings.Bytes, h.attributes.Bytes
	return h
}

// Run closes unused views and compares all with their owners after each
// reconnect to NATS, until ctx ends. It returns when nothing it owns runs.
func (h *Hub) Run(ctx context.Context) error {
	status := h.config.Conn.StatusChanged(nats.CONNECTED)
	defer h.config.Conn.RemoveStatusListener(status)
	tick := time.NewTicker(max(h.config.Linger/4, 10*time.Millisecond))
	defer tick.Stop()
	h.spawn(func() { h.announce(h.life) })
	h.spawn(func() { h.config.Hidden.Run(h.life, h.hidden) })
	for {
		select {
		case <-tick.C:
			h.closeUnused()
			h.trimAttributes()
		case _, ok := <-status:
			if !ok {
				status = nil // the connection was closed for good
				continue
			}
			h.Resync()
		case <-ctx.Done():
			h.shutDown()
			return nil
		}
	}
}

func (h *Hub) shutDown() {
	h.mu.Lock()
	h.closed = true
	views := h.views
	h.views = map[streams.Group]*View{}
	h.mu.Unlock()
	h.end()
	h.tasks.Wait()
	for _, v := range views {
		v.close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.feeds {
		f.close()
	}
}

// spawn runs task in a goroutine Run waits for, unless the hub is closed.
func (h *Hub) spawn(task func()) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return false
	}
	h.tasks.Go(task)
	return true
}

// Open returns the view of a group for a reader until [View.Release]. Errors are
// [*streams.Rejection]: not_found where there is no such group, not_member where
// that must not be told, unavailable. A view says nothing of whether the reader
// may read it.
func (h *Hub) Open(ctx context.Context, r Reader, g streams.Group) (*View, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, owner.Unavailable()
	}
	v := h.views[g]
	opener := v == nil
	if opener {
		v = newView(h, g)
		h.views[g] = v
	}
	v.uses++
	h.mu.Unlock()
	if opener {
		v.open(ctx)
	}
	select {
	case <-v.ready:
	case <-ctx.Done():
		v.Release()
		return nil, owner.Unavailable()
	}
	if v.err != nil {
		v.Release()
		return nil, noGroup(r, g, v.err)
	}
	return v, nil
}

// view returns a group's view, nil where it is not followed.
func (h *Hub) view(g streams.Group) *View {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.views[g]
}

// Written tells that a command was answered with version v of a channel.
func (h *Hub) Written(g streams.Group, c streams.Channel, version streams.Version) {
	if v := h.view(g); v != nil {
		v.written(c, version)
	}
}

// forget takes a view out of the table if it is still in it.
func (h *Hub) forget(v *View) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.views[v.group] != v {
		return false
	}
	delete(h.views, v.group)
	return true
}

func (h *Hub) closeUnused() {
	now := time.Now()
	var unused []*View
	h.mu.Lock()
	for g, v := range h.views {
		if v.uses == 0 && now.Sub(v.idle) >= h.config.Linger {
			delete(h.views, g)
			unused = append(unused, v)
		}
	}
	h.mu.Unlock()
	for _, v := range unused {
		v.close()
	}
}

// Resync makes every view compare where its channels stand with what the
// owner says, and fill what it missed. It does not wait for that.
func (h *Hub) Resync() {
	h.mu.RLock()
	views := make([]*View, 0, len(h.views))
	for _, v := range h.views {
		views = append(views, v)
	}
	h.mu.RUnlock()
	h.spawn(func() {
		var tasks errgroup.Group
		tasks.SetLimit(8) // owners answer many edges after an outage
		for _, v := range views {
			tasks.Go(func() error {
				v.resync(h.life)
				return nil
			})
		}
		_ = tasks.Wait()
	})
}

// follow returns the feed of a partition, started on first use.
func (h *Hub) follow(p streams.Partition) (*feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.feeds[p]; f != nil {
		return f, nil
	}
	if h.closed {
		return nil, errors.New("the hub is closed")
	}
	f, err := newFeed(h, p)
	if err != nil {
		return nil, fmt.Errorf("follow partition %d: %w", p, err)
	}
	h.feeds[p] = f
	h.tasks.Go(func() { f.run(h.life) })
	return f, nil
}
