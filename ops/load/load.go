package load

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Config of a run. Token makes a user's token.
type Config struct {
	URL       string // of the WebSocket, ws://host:port/v1/ws
	Token     func(user string) (string, error)
	Readers   int           // connections that follow the channel
	Senders   int           // connections that send
	Rate      float64       // messages a second, all senders together; 0: as fast as answers come
	Duration  time.Duration // of sending
	BodyBytes int           // size of a body
	Progress  io.Writer     // a line a second; nil for none
	PID       int           // of the server, to read its CPU and memory from /proc; 0 for none
}

// settle is how long after the last send events may still arrive.
const settle = 10 * time.Second

// Report is what a run found. Lost, Doubled and OutOfOrder must be 0.
type Report struct {
	Sent          int64   `json:"sent"`
	Acknowledged  int64   `json:"acknowledged"`
	Refused       int64   `json:"refused"`
	Unknown       int64   `json:"unknown"` // neither answered nor refused
	Delivered     int64   `json:"delivered"`
	Lost          int64   `json:"lost"` // acknowledged, and not delivered to a reader nor marked as a gap
	Doubled       int64   `json:"doubled"`
	OutOfOrder    int64   `json:"out_of_order"` // v jumped without a gap
	Gaps          int64   `json:"gaps"`         // events that were announced as missing
	Seconds       float64 `json:"seconds"`
	SendP50       float64 `json:"send_ms_p50"` // send to acknowledgement
	SendP99       float64 `json:"send_ms_p99"`
	DeliverP50    float64 `json:"deliver_ms_p50"` // send to delivery
	DeliverP99    float64 `json:"deliver_ms_p99"`
	DeliverP999   float64 `json:"deliver_ms_p999"`
	IdleBytes     int64   `json:"bytes_per_connection,omitempty"` // resident, of the server, while nothing was sent
	CPUPerDeliver float64 `json:"server_cpu_us_per_delivery,omitempty"`
}

// OK reports whether the promises were kept.
func (r Report) OK() bool {
	return r.Lost == 0 && r.Doubled == 0 && r.OutOfOrder == 0 && r.Unknown == 0
}

func (r Report) String() string {
	verdict := "OK: nothing lost, doubled or out of order"
	if !r.OK() {
		verdict = "FAILED"
	}
	text := fmt.Sprintf(`%s
  sent %d, acknowledged %d, refused %d, unknown %d in %.1f s
  delivered %d, lost %d, doubled %d, out of order %d, in gaps %d
  send to acknowledgement  p50 %.2f ms, p99 %.2f ms
  send to delivery         p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms`,
		verdict, r.Sent, r.Acknowledged, r.Refused, r.Unknown, r.Seconds,
		r.Delivered, r.Lost, r.Doubled, r.OutOfOrder, r.Gaps,
		r.SendP50, r.SendP99, r.DeliverP50, r.DeliverP99, r.DeliverP999)
	if r.IdleBytes > 0 {
		text += fmt.Sprintf("\n  server: %d bytes resident per connection before sending", r.IdleBytes)
	}
	if r.CPUPerDeliver > 0 {
		text += fmt.Sprintf("\n  server: %.2f µs of CPU per delivery, sending included", r.CPUPerDeliver)
	}
	return text
}

// run is the state of one run; the counters are shared by all connections.
type run struct {
	config  Config
	started time.Time
	group   string
	readers []*reader
	senders []*client

	sent, acknowledged, refused, unknown atomic.Int64
	highest                              atomic.Uint64 // v acknowledged

	mu   sync.Mutex
	acks *hdrhistogram.Histogram // guarded by mu; µs
}

// reader checks one reader's stream. It is owned by its client's goroutine
// until the client is closed.
type reader struct {
	client     *client
	run        *run
	last       atomic.Uint64 // v
	delivered  atomic.Int64
	doubled    int64
	outOfOrder int64
	gaps       int64
	latency    *hdrhistogram.Histogram // µs
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

const channel = "load"

// Run does one run in a group of its own.
func Run(ctx context.Context, config Config) (Report, error) {
	r := &run{config: config, started: time.Now(), group: "load-" + rand.Text()[:10], acks: newHistogram()}
	before := usage(config.PID)
	defer r.close()
	if err := r.connect(ctx); err != nil {
		return Report{}, err
	}
	report := Report{}
	connected := usage(config.PID)
	if n := int64(config.Readers + config.Senders); config.PID != 0 && n > 0 {
		report.IdleBytes = (connected.resident - before.resident) / n
	}
	progress, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.progress(progress) })
	begun := time.Now()
	err := r.send(ctx)
	report.Seconds = time.Since(begun).Seconds()
	if err == nil {
		r.await(ctx)
	}
	stop()
	watching.Wait()
	after := usage(config.PID)
	r.close()
	r.fill(&report)
	if report.Delivered > 0 && config.PID != 0 {
		report.CPUPerDeliver = float64((after.cpu - connected.cpu).Microseconds()) / float64(report.Delivered)
	}
	return report, err
}

// connect opens all connections, some at a time, and subscribes the readers.
func (r *run) connect(ctx context.Context) error {
	owner, err := r.dial(ctx, "load-owner", func(event) {}, func(gap) {})
	if err != nil {
		return err
	}
	defer owner.close()
	if _, err := owner.call(ctx, "create_group", map[string]any{"group": r.group, "kind": "community", "name": "load"}); err != nil {
		return fmt.Errorf("make a group: %w", err)
	}
	if _, err := owner.call(ctx, "create_channel", map[string]any{"group": r.group, "channel": channel, "kind": "public", "name": "load"}); err != nil {
		return fmt.Errorf("make a channel: %w", err)
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(64)
	r.readers, r.senders = make([]*reader, r.config.Readers), make([]*client, r.config.Senders)
	for i := range r.readers {
		tasks.Go(func() error {
			rd := &reader{run: r, latency: newHistogram()}
			r.readers[i] = rd
			var err error
			if rd.client, err = r.member(ctx, "load-reader-"+strconv.Itoa(i), rd.event, rd.gap); err != nil {
				return err
			}
			_, err = rd.client.call(ctx, "subscribe", map[string]any{"group": r.group, "channel": channel})
			return err
		})
	}
	for i := range r.senders {
		tasks.Go(func() (err error) {
			r.senders[i], err = r.member(ctx, "load-sender-"+strconv.Itoa(i), func(event) {}, func(gap) {})
			return err
		})
	}
	return tasks.Wait()
}

func (r *run) dial(ctx context.Context, user string, onEvent func(event), onGap func(gap)) (*client, error) {
	token, err := r.config.Token(user)
	if err != nil {
		return nil, err
	}
	return dial(ctx, r.config.URL, token, onEvent, onGap)
}

func (r *run) member(ctx context.Context, user string, onEvent func(event), onGap func(gap)) (*client, error) {
	c, err := r.dial(ctx, user, onEvent, onGap)
	if err != nil {
		return nil, err
	}
	if _, err := c.call(ctx, "join", map[string]any{"group": r.group}); err != nil {
		c.close()
		return nil, fmt.Errorf("join: %w", err)
	}
	return c, nil
}

// send keeps the senders at the rate for the duration.
func (r *run) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Duration)
	defer cancel()
	var turns chan struct{} // nil: no rate
	var pacing sync.WaitGroup
	if r.config.Rate > 0 {
		turns = make(chan struct{}, 4*len(r.senders)+16) // a backlog beyond it is not caught up
		pacing.Go(func() { pace(ctx, r.config.Rate, turns) })
	}
	tasks, sending := errgroup.WithContext(ctx)
	for _, c := range r.senders {
		tasks.Go(func() error {
			for sending.Err() == nil {
				if turns != nil {
					select {
					case <-turns:
					case <-sending.Done():
						return nil
					}
				}
				if err := r.one(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := tasks.Wait()
	cancel()
	pacing.Wait()
	return err
}

// pace hands out turns at a rate until ctx ends.
func pace(ctx context.Context, rate float64, turns chan<- struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begun, given := time.Now(), 0.0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := time.Since(begun).Seconds() * rate; given < due; given++ {
			select {
			case turns <- struct{}{}:
			default:
			}
		}
	}
}

// one sends a message and waits for its answer, also beyond the end of sending.
func (r *run) one(ctx context.Context, c *client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	sent := time.Now()
	body := strconv.FormatInt(sent.Sub(r.started).Nanoseconds(), 10) + " "
	body += strings.Repeat("x", max(0, r.config.BodyBytes-len(body)))
	r.sent.Add(1)
	answer, err := c.call(ctx, "send", map[string]any{"group": r.group, "channel": channel, "client_id": id, "body": body})
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		r.refused.Add(1)
		return nil
	case err != nil:
		r.unknown.Add(1)
		return fmt.Errorf("send: %w", err)
	}
	var ok struct {
		V uint64 `json:"v"`
	}
	if err := json.Unmarshal(answer, &ok); err != nil {
		return fmt.Errorf("answer to send: %w", err)
	}
	r.acknowledged.Add(1)
	for {
		highest := r.highest.Load()
		if ok.V <= highest || r.highest.CompareAndSwap(highest, ok.V) {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acks.RecordValue(max(1, time.Since(sent).Microseconds()))
}

func (rd *reader) event(e event) {
	last := rd.last.Load()
	switch {
	case e.V <= last:
		rd.doubled++
		return
	case e.V > last+1:
		rd.outOfOrder++
	}
	rd.last.Store(e.V)
	rd.delivered.Add(1)
	var body string
	if json.Unmarshal(e.Body, &body) == nil {
		number, _, _ := strings.Cut(body, " ")
		if sent, err := strconv.ParseInt(number, 10, 64); err == nil {
			_ = rd.latency.RecordValue(max(1, (time.Since(rd.run.started) - time.Duration(sent)).Microseconds()))
		}
	}
}

func (rd *reader) gap(g gap) {
	rd.gaps += int64(g.Upto - g.After)
	rd.last.Store(g.Upto)
}

// await waits until every reader is where the newest acknowledgement is.
func (r *run) await(ctx context.Context) {
	deadline := time.NewTimer(settle)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		behind := false
		for _, rd := range r.readers {
			behind = behind || rd.last.Load() < r.highest.Load()
		}
		if !behind {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) delivered() (n int64) {
	for _, rd := range r.readers {
		n += rd.delivered.Load()
	}
	return n
}

func (r *run) progress(ctx context.Context) {
	if r.config.Progress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	sent, delivered := int64(0), int64(0)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s, d := r.sent.Load(), r.delivered()
		_, _ = fmt.Fprintf(r.config.Progress, "sent %d (%d/s), acknowledged %d, delivered %d (%d/s)\n", s, s-sent, r.acknowledged.Load(), d, d-delivered)
		sent, delivered = s, d
	}
}

// fill takes the sums once no connection is left to change them.
func (r *run) fill(report *Report) {
	report.Sent, report.Acknowledged = r.sent.Load(), r.acknowledged.Load()
	report.Refused, report.Unknown = r.refused.Load(), r.unknown.Load()
	latency := newHistogram()
	for _, rd := range r.readers {
		report.Delivered += rd.delivered.Load()
		report.Doubled += rd.doubled
		report.OutOfOrder += rd.outOfOrder
		report.Gaps += rd.gaps
		report.Lost += max(0, int64(r.highest.Load())-int64(rd.last.Load()))
		latency.Merge(rd.latency)
	}
	ms := func(h *hdrhistogram.Histogram, q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	report.SendP50, report.SendP99 = ms(r.acks, 50), ms(r.acks, 99)
	report.DeliverP50, report.DeliverP99, report.DeliverP999 = ms(latency, 50), ms(latency, 99), ms(latency, 99.9)
}

func (r *run) close() {
	for _, rd := range r.readers {
		if rd != nil && rd.client != nil {
			rd.client.close()
		}
	}
	for _, c := range r.senders {
		if c != nil {
			c.close()
		}
	}
	r.senders = nil
}
