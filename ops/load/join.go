package load

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

// JoinConfig is many who come into one room at once.
type JoinConfig struct {
	URLs       []string // of the WebSockets, one for each edge; sessions take turns
	Token      func(user string) (string, error)
	Sessions   int       // each of a user of its own
	Attributes int       // of the room, of some 60 bytes each
	Progress   io.Writer // a line for each step; nil for none
}

// JoinReport is how long it took. Times count from when all were told to go, and
// a session is in when it has been answered with the room's attributes.
type JoinReport struct {
	Sessions    int     `json:"sessions"`
	Retried     int     `json:"retried"`   // times a session was told to try again later, and did
	Refused     int     `json:"refused"`   // sessions that were refused otherwise
	Differing   int     `json:"differing"` // were told other attributes
	AnswerBytes int     `json:"answer_bytes"`
	P50         float64 `json:"in_ms_p50"`
	P99         float64 `json:"in_ms_p99"`
	Last        float64 `json:"in_ms_last"`
	First       string  `json:"first_refusal,omitempty"`
}

// OK reports whether all came in and were told the same.
func (r JoinReport) OK() bool { return r.Refused == 0 && r.Differing == 0 }

func (r JoinReport) String() string {
	verdict := "OK: all are in and know the attributes"
	if !r.OK() {
		verdict = fmt.Sprintf("FAILED: %d refused (first: %s), %d were told other attributes", r.Refused, r.First, r.Differing)
	}
	return fmt.Sprintf("%s\n  %d sessions, answers of %d bytes, %d times told to try again\n  in after p50 %.0f ms, p99 %.0f ms, last %.0f ms",
		verdict, r.Sessions, r.AnswerBytes, r.Retried, r.P50, r.P99, r.Last)
}

// keysAtOnce is how many attributes one command sets.
const keysAtOnce = 50

// Join makes a room with attributes, connects all sessions, and has all of them
// subscribe to the room at once.
func Join(ctx context.Context, config JoinConfig) (JoinReport, error) {
	j := &joining{config: config, group: "join-" + rand.Text()[:10], attributes: map[string]string{}, took: newHistogram()}
	if err := j.furnish(ctx); err != nil {
		return JoinReport{}, err
	}
	defer func() {
		for _, c := range j.clients {
			if c != nil {
				c.close()
			}
		}
	}()
	begun := time.Now()
	if err := j.connect(ctx); err != nil {
		return JoinReport{}, err
	}
	j.say("%d sessions connected in %.1f s", config.Sessions, time.Since(begun).Seconds())
	report := j.enter(ctx)
	return report, ctx.Err()
}

type joining struct {
	config     JoinConfig
	group      string
	attributes map[string]string // what everybody is to be told
	clients    []*client

	mu     sync.Mutex
	report JoinReport              // guarded by mu
	took   *hdrhistogram.Histogram // guarded by mu; µs
}

func (j *joining) say(format string, args ...any) {
	if j.config.Progress != nil {
		_, _ = fmt.Fprintf(j.config.Progress, format+"\n", args...)
	}
}

func (j *joining) dial(ctx context.Context, url, user string) (*client, error) {
	token, err := j.config.Token(user)
	if err != nil {
		return nil, err
	}
	return dial(ctx, url, token, func(event) {}, func(gap) {})
}

// furnish makes the room. Whoever does is not in it.
func (j *joining) furnish(ctx context.Context) error {
	host, err := j.dial(ctx, j.config.URLs[0], "join-host")
	if err != nil {
		return err
	}
	defer host.close()
	if _, err := host.call(ctx, "create_group", map[string]any{"group": j.group, "kind": "room", "name": "join"}); err != nil {
		return fmt.Errorf("make a room: %w", err)
	}
	some := map[string]string{}
	for i := range j.config.Attributes {
		some["attribute-"+strconv.Itoa(i)] = strings.Repeat("x", 48)
		if len(some) < keysAtOnce && i < j.config.Attributes-1 {
			continue
		}
		if _, err := host.call(ctx, "attr_set", map[string]any{"group": j.group, "set": some}); err != nil {
			return fmt.Errorf("set attributes: %w", err)
		}
		maps.Copy(j.attributes, some)
		clear(some)
	}
	return nil
}

// connect opens all connections, some at a time.
func (j *joining) connect(ctx context.Context) error {
	j.clients = make([]*client, j.config.Sessions)
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(64)
	for i := range j.clients {
		tasks.Go(func() (err error) {
			j.clients[i], err = j.dial(ctx, j.config.URLs[i%len(j.config.URLs)], "join-"+strconv.Itoa(i))
			return err
		})
	}
	return tasks.Wait()
}

// enter has all subscribe at once and waits for their answers.
func (j *joining) enter(ctx context.Context) JoinReport {
	j.report.Sessions = len(j.clients)
	start := make(chan struct{}) // closed when all wait for it
	var ready, all sync.WaitGroup
	ready.Add(len(j.clients))
	var begun time.Time // written before start is closed
	for _, c := range j.clients {
		all.Go(func() {
			ready.Done()
			<-start
			answer, err := j.subscribe(ctx, c)
			j.entered(time.Since(begun), answer, err)
		})
	}
	ready.Wait()
	begun = time.Now()
	close(start)
	all.Wait()
	ms := func(µs int64) float64 { return float64(µs) / 1000 }
	j.report.P50, j.report.P99 = ms(j.took.ValueAtQuantile(50)), ms(j.took.ValueAtQuantile(99))
	j.report.Last = ms(j.took.Max())
	return j.report
}

// subscribe tries again as long as it is told to.
func (j *joining) subscribe(ctx context.Context, c *client) (json.RawMessage, error) {
	for {
		answer, err := c.call(ctx, "subscribe", map[string]any{"group": j.group, "channel": "@"})
		var refused *refusal
		if !errors.As(err, &refused) || refused.RetryMS == 0 {
			return answer, err
		}
		j.mu.Lock()
		j.report.Retried++
		j.mu.Unlock()
		later := time.NewTimer(time.Duration(refused.RetryMS) * time.Millisecond)
		select {
		case <-later.C:
		case <-ctx.Done():
			later.Stop()
			return nil, ctx.Err()
		}
	}
}

// entered notes one answer. What it says is looked at behind the clock.
func (j *joining) entered(took time.Duration, answer json.RawMessage, err error) {
	same := err == nil && j.same(answer)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err != nil:
		if j.report.Refused++; j.report.First == "" {
			j.report.First = err.Error()
		}
		return
	case !same:
		j.report.Differing++
	}
	j.report.AnswerBytes = max(j.report.AnswerBytes, len(answer))
	_ = j.took.RecordValue(max(1, took.Microseconds())) // out of its range is more than a minute
}

func (j *joining) same(answer json.RawMessage) bool {
	var ok struct {
		Attrs map[string]struct {
			Value string `json:"value"`
		} `json:"attrs"`
	}
	if json.Unmarshal(answer, &ok) != nil || len(ok.Attrs) != len(j.attributes) {
		return false
	}
	for key, value := range j.attributes {
		if ok.Attrs[key].Value != value {
			return false
		}
	}
	return true
}
