package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// EdgeConfig is what an edge is measured with.
type EdgeConfig struct {
	URL      string // of the edge's WebSocket
	PID      int    // of the edge, to read its CPU and memory from /proc
	Token    func(user string) (string, error)
	Sessions int           // that follow one channel
	Repeats  int           // of each measurement; the report has the medians
	Rest     time.Duration // before memory is read
	Saturate time.Duration // of sending as fast as answers come
	Senders  int           // connections that do
	Body     int           // bytes
	Limit    func(ctx context.Context, frame, burst, rounds int) (LimitReport, error)
	Progress io.Writer
}

// EdgeReport is what was found, and next to it the limit.
type EdgeReport struct {
	Sessions   int     `json:"sessions"`
	FrameBytes int     `json:"frame_bytes"`
	IdleBytes  int64   `json:"bytes_per_connection"`
	Lockstep   Series  `json:"lockstep_cpu_us"` // of server CPU per delivery, the command included
	Limit      Series  `json:"limit_cpu_us"`
	LimitTen   Series  `json:"limit_ten_a_write_cpu_us"`
	Saturated  Series  `json:"saturated_cpu_us"`
	Rate       Series  `json:"saturated_deliveries_per_second"`
	Ratio      float64 `json:"lockstep_to_limit"`
	Gaps       int64   `json:"gaps"` // events announced as missing
	Doubled    int64   `json:"doubled"`
	Holes      int64   `json:"holes"`
}

// OK reports whether the order was kept.
func (r EdgeReport) OK() bool { return r.Doubled == 0 && r.Holes == 0 }

// Series is one figure, measured several times.
type Series []float64

// Median is 0 for none.
func (s Series) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

func (s Series) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Median(), slices.Min(s), slices.Max(s))
}

func (r EdgeReport) String() string {
	return fmt.Sprintf(`%d sessions, frames of %d bytes; medians (and ranges) of server CPU, µs per delivery
  lockstep           %v
  limit              %v
  ratio              %.2f
  saturated          %v at %v deliveries/s
  limit, ten a write %v
  memory             %d bytes resident per idle connection
  doubled %d, holes %d, in gaps %d`, r.Sessions, r.FrameBytes, r.Lockstep, r.Limit, r.Ratio, r.Saturated, r.Rate,
		r.LimitTen, r.IdleBytes, r.Doubled, r.Holes, r.Gaps)
}

// catchUp is how long the sessions may take to read what came in saturation.
const catchUp = time.Minute

// edgeRun is the state of one measurement.
type edgeRun struct {
	config  EdgeConfig
	group   string
	swarm   *swarm
	senders []*client
	highest atomic.Uint64 // v acknowledged
}

// lockstepEvents is about how many deliveries are measured at once.
const lockstepEvents = 500_000

// Edge measures what an edge costs for each delivery while all sessions get one
// message before the next is sent, and while messages come as fast as they can,
// next to the limit with the same frames and sessions.
func Edge(ctx context.Context, config EdgeConfig) (EdgeReport, error) {
	r := &edgeRun{config: config, group: "edge-" + strings.ToLower(uuid.NewString()[:8])}
	report := EdgeReport{Sessions: config.Sessions}
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return report, err
	}
	before := usage(config.PID)
	r.say("opening %d sessions", config.Sessions)
	var err error
	if r.swarm, err = r.open(ctx); err != nil {
		return report, err
	}
	if !wait(ctx, config.Rest) {
		return report, ctx.Err()
	}
	report.IdleBytes = (usage(config.PID).resident - before.resident) / int64(config.Sessions)
	rounds := max(10, lockstepEvents/config.Sessions)
	if _, err := r.lockstep(ctx, rounds/10+1); err != nil { // to warm up
		return report, err
	}
	report.FrameBytes = int(r.swarm.frameBytes.Load())
	for i := range config.Repeats {
		r.say("round %d of %d", i+1, config.Repeats)
		if err := r.measure(ctx, &report, rounds); err != nil {
			return report, err
		}
	}
	report.Ratio = report.Lockstep.Median() / report.Limit.Median()
	for _, m := range r.swarm.members {
		report.Gaps += m.gaps
		report.Doubled += m.doubled
		report.Holes += m.holes
		if m.broken != nil {
			return report, fmt.Errorf("a session broke: %w", m.broken)
		}
	}
	return report, nil
}

// measure does everything once.
func (r *edgeRun) measure(ctx context.Context, report *EdgeReport, rounds int) error {
	cost, err := r.lockstep(ctx, rounds)
	if err != nil {
		return err
	}
	report.Lockstep = append(report.Lockstep, cost)
	for burst, to := range map[int]*Series{1: &report.Limit, 10: &report.LimitTen} {
		limit, err := r.config.Limit(ctx, report.FrameBytes, burst, rounds)
		if err != nil {
			return fmt.Errorf("limit: %w", err)
		}
		*to = append(*to, limit.CPUPerDeliver)
	}
	if r.config.Saturate > 0 {
		cost, rate, err := r.saturate(ctx)
		if err != nil {
			return err
		}
		report.Saturated, report.Rate = append(report.Saturated, cost), append(report.Rate, math.Round(rate))
	}
	return nil
}

func (r *edgeRun) say(format string, args ...any) {
	if r.config.Progress != nil {
		_, _ = fmt.Fprintf(r.config.Progress, format+"\n", args...)
	}
}

func (r *edgeRun) dial(ctx context.Context, user string) (*client, error) {
	token, err := r.config.Token(user)
	if err != nil {
		return nil, err
	}
	return dial(ctx, r.config.URL, token, func(event) {}, func(gap) {})
}

// prepare makes the group, and who sends in it.
func (r *edgeRun) prepare(ctx context.Context) error {
	for i := range max(1, r.config.Senders) {
		c, err := r.dial(ctx, "edge-sender-"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		r.senders = append(r.senders, c)
		if i == 0 {
			if _, err := c.call(ctx, "create_group", map[string]any{"group": r.group, "kind": "community", "name": "edge"}); err != nil {
				return fmt.Errorf("make a group: %w", err)
			}
			if _, err := c.call(ctx, "create_channel", map[string]any{"group": r.group, "channel": channel, "kind": "public", "name": "edge"}); err != nil {
				return fmt.Errorf("make a channel: %w", err)
			}
		} else if _, err := c.call(ctx, "join", map[string]any{"group": r.group}); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

// open opens the sessions; each is a user of its own.
func (r *edgeRun) open(ctx context.Context) (*swarm, error) {
	at, err := url.Parse(r.config.URL)
	if err != nil {
		return nil, err
	}
	return openSwarm(ctx, at.Host, r.config.Sessions, func(ctx context.Context, i int, conn net.Conn) ([]byte, uint64, error) {
		token, err := r.config.Token("edge-reader-" + strconv.Itoa(i))
		if err != nil {
			return nil, 0, err
		}
		read, err := handshake(conn, at.Host, at.Path)
		if err != nil {
			return nil, 0, err
		}
		answers, rest, err := converse(conn, read,
			fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, token),
			fmt.Sprintf(`{"id":2,"join":{"group":%q}}`, r.group),
			fmt.Sprintf(`{"id":3,"subscribe":{"group":%q,"channel":%q}}`, r.group, channel))
		if err != nil {
			return nil, 0, err
		}
		var subscribed struct {
			V uint64 `json:"v"`
		}
		return rest, subscribed.V, json.Unmarshal(answers[2].OK, &subscribed)
	})
}

func (r *edgeRun) close() {
	if r.swarm != nil {
		r.swarm.close()
	}
	for _, c := range r.senders {
		c.close()
	}
}

// wait is false if ctx ended meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send sends one message and waits for the answer.
func (r *edgeRun) send(ctx context.Context, c *client) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, "send", map[string]any{
		"group": r.group, "channel": channel, "client_id": id, "body": strings.Repeat("x", r.config.Body),
	})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var ok struct {
		V uint64 `json:"v"`
	}
	if err := json.Unmarshal(answer, &ok); err != nil {
		return err
	}
	for {
		highest := r.highest.Load()
		if ok.V <= highest || r.highest.CompareAndSwap(highest, ok.V) {
			return nil
		}
	}
}

// lockstep sends the next message when everybody has the last, and returns the
// server's CPU for a delivery in µs.
func (r *edgeRun) lockstep(ctx context.Context, rounds int) (float64, error) {
	before := usage(r.config.PID)
	for range rounds {
		r.swarm.expect(int64(r.config.Sessions))
		if err := r.send(ctx, r.senders[0]); err != nil {
			return 0, err
		}
		if err := r.swarm.await(ctx, settle); err != nil {
			return 0, fmt.Errorf("lockstep: %w: %s", err, r.swarm.behind(r.highest.Load()))
		}
	}
	cpu := usage(r.config.PID).cpu - before.cpu
	return float64(cpu.Nanoseconds()) / 1000 / float64(rounds*r.config.Sessions), nil
}

// saturate has all senders send as fast as answers come.
func (r *edgeRun) saturate(ctx context.Context) (cost, rate float64, err error) {
	before, begun := usage(r.config.PID), time.Now()
	from, delivered := r.highest.Load(), r.delivered()
	r.swarm.expect(math.MaxInt64 / 2)
	sending, cancel := context.WithTimeout(ctx, r.config.Saturate)
	defer cancel()
	var tasks errgroup.Group
	for _, c := range r.senders {
		tasks.Go(func() error {
			for sending.Err() == nil {
				if err := r.send(ctx, c); err != nil {
					var refused *refusal
					if !errors.As(err, &refused) {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		return 0, 0, err
	}
	// What was expected too much is taken back; the rest is still to come.
	r.swarm.expect(int64(r.highest.Load()-from)*int64(r.config.Sessions) - math.MaxInt64/2)
	if err := r.swarm.await(ctx, catchUp); err != nil {
		return 0, 0, fmt.Errorf("saturated: %w: %s", err, r.swarm.behind(r.highest.Load()))
	}
	cpu, events := usage(r.config.PID).cpu-before.cpu, float64(r.delivered()-delivered)
	return float64(cpu.Nanoseconds()) / 1000 / events, events / time.Since(begun).Seconds(), nil
}

// delivered is how many events all sessions got, while nothing comes.
func (r *edgeRun) delivered() (n int64) {
	for _, m := range r.swarm.members {
		n += m.delivered
	}
	return n
}
