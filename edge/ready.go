package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

const (
	// readyFor is how long a good answer stands, unreadyFor a bad one: who
	// starts something waits for the good one.
	readyFor   = 2 * time.Second
	unreadyFor = 100 * time.Millisecond
	// probePatience bounds one probe.
	probePatience = 3 * time.Second
)

// readiness is the body of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Partitions that cannot be written and read, with the reason.
	Partitions map[string]string `json:"partitions,omitempty"`
	// ClickHouse is ok, or away while history comes from the log alone.
	ClickHouse string `json:"clickhouse"`
}

// probe finds out by doing: it appends a message to every partition's log
// through its owner and reads it back.
type probe struct {
	conn    *nats.Conn
	asker   *owner.Client
	readers []*eventlog.Reader // by partition

	mu    sync.Mutex // held while probing, so that one probe serves all askers
	last  readiness  // guarded by mu
	at    time.Time  // of last; guarded by mu
	stood bool       // ClickHouse has been there once; guarded by mu
}

func newProbe(conn *nats.Conn, asker *owner.Client, partitions uint32) *probe {
	p := &probe{conn: conn, asker: asker}
	for i := range streams.Partition(partitions) {
		p.readers = append(p.readers, eventlog.NewReader(conn, streams.LogStream(i)))
	}
	return p
}

// now returns how things are, at most readyFor old. A ClickHouse that was
// never there makes the deployment not ready; one that went away does not,
// since sending and what the log holds go on.
func (p *probe) now(ctx context.Context) readiness {
	p.mu.Lock()
	defer p.mu.Unlock()
	stands := unreadyFor
	if p.last.Ready {
		stands = readyFor
	}
	if !p.at.IsZero() && time.Since(p.at) < stands {
		return p.last
	}
	// Others wait for this answer: it does not end with its first asker.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probePatience)
	defer cancel()
	result := readiness{ClickHouse: "away"}
	problems := make([]error, len(p.readers))
	var tasks errgroup.Group
	for i := range p.readers {
		tasks.Go(func() error {
			problems[i] = p.canary(ctx, streams.Partition(i))
			return nil
		})
	}
	tasks.Go(func() error {
		if p.store(ctx) {
			result.ClickHouse = "ok"
		}
		return nil
	})
	_ = tasks.Wait()
	p.stood = p.stood || result.ClickHouse == "ok"
	result.Ready = p.stood
	for i, err := range problems {
		if err == nil {
			continue
		}
		if result.Partitions == nil {
			result.Partitions = map[string]string{}
		}
		result.Partitions[streams.Partition(i).String()] = err.Error()
		result.Ready = false
	}
	p.last, p.at = result, time.Now()
	return result
}

func (p *probe) canary(ctx context.Context, partition streams.Partition) error {
	result, err := p.asker.Ask(ctx, partition, &streampb.Command{Body: &streampb.Command_Canary{Canary: &streampb.Canary{}}})
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	m, err := p.readers[partition].At(ctx, streams.Seq(result.GetSeq()))
	if err != nil {
		return err
	}
	if m.Subject != streams.CanarySubject(partition) {
		return fmt.Errorf("at %d lies another message than was appended", result.GetSeq())
	}
	return nil
}

// store reports whether the projections and ClickHouse behind them answer.
func (p *probe) store(ctx context.Context) bool {
	msg, err := p.conn.RequestWithContext(ctx, streams.QueryHealth, []byte("{}"))
	if err != nil {
		return false
	}
	var health struct {
		OK bool `json:"ok"`
	}
	return json.Unmarshal(msg.Data, &health) == nil && health.OK
}

func (e *Edge) serveReady(w http.ResponseWriter, r *http.Request) {
	state := e.probe.now(r.Context())
	body, err := json.Marshal(state)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !state.Ready {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n')) // the asker may be gone
}
