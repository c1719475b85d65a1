package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

const (
	// BatchEvents is the most events of one POST.
	BatchEvents = 100
	// ackWait is how long JetStream waits for a sign of life before it gives a
	// batch to another instance.
	ackWait = time.Minute
	// fetchWait is how long an empty partition is listened to at once.
	fetchWait = 5 * time.Second
	// longestPause is between attempts at a receiver that is away for long.
	longestPause = 30 * time.Second
)

// Config of a [Webhook].
type Config struct {
	JS         jetstream.JetStream // required
	Partitions uint32              // of the deployment; required
	URL        string              // required
	Secret     []byte              // signs what is sent; empty: unsigned
	// Name is what the progress is kept under. Default "default".
	Name string
	// Deadline of one POST. Default 10 s.
	Deadline time.Duration
	// FirstPause is before the second attempt; it doubles up to 30 s. Default
	// 500 ms.
	FirstPause time.Duration

	Logger     *slog.Logger          // required
	Registerer prometheus.Registerer // required
}

// Webhook sends.
type Webhook struct {
	config Config
	client *http.Client
	sent   *prometheus.CounterVec
	missed prometheus.Counter
}

// New returns a webhook. It touches no network.
func New(config Config) *Webhook {
	if config.Name == "" {
		config.Name = "default"
	}
	if config.Deadline == 0 {
		config.Deadline = 10 * time.Second
	}
	if config.FirstPause == 0 {
		config.FirstPause = 500 * time.Millisecond
	}
	w := &Webhook{
		config: config,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: int(config.Partitions), IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_webhook_batches_total", Help: "Batches of events sent to the webhook, each attempt, by outcome: taken, failed.",
		}, []string{"outcome"}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_webhook_missed_total", Help: "Entries of the log that were purged before the webhook took them.",
		}),
	}
	config.Registerer.MustRegister(w.sent, w.missed)
	return w
}

// Run sends until ctx ends. It fails only if a partition can't be followed.
func (w *Webhook) Run(ctx context.Context) error {
	defer w.client.CloseIdleConnections()
	partitions, ctx := errgroup.WithContext(ctx)
	for p := range streams.Partition(w.config.Partitions) {
		partitions.Go(func() error { return w.follow(ctx, p) })
	}
	return partitions.Wait()
}

// follow sends one partition's events.
func (w *Webhook) follow(ctx context.Context, p streams.Partition) error {
	consumer, err := backoff.Retry(ctx, func() (jetstream.Consumer, error) { return w.consumer(ctx, p) }, backoff.WithMaxElapsedTime(0))
	if err != nil {
		return ended(ctx, fmt.Errorf("follow partition %d: %w", p, err))
	}
	f := &follower{webhook: w, partition: p}
	for ctx.Err() == nil {
		messages, err := next(consumer)
		if err == nil && len(messages) > 0 {
			err = f.take(ctx, messages)
		}
		if err != nil && ctx.Err() == nil {
			w.config.Logger.Warn("webhook", "partition", p, "err", err)
			pause(ctx, w.config.FirstPause)
		}
	}
	return nil
}

// next waits for an entry, and returns it with those that wait behind it: whole
// batches when much happens, no delay when little does.
func next(consumer jetstream.Consumer) ([]jetstream.Msg, error) {
	first, err := consumer.Fetch(1, jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return nil, err
	}
	messages := gather(nil, first)
	if err := first.Error(); err != nil || len(messages) == 0 {
		return nil, err
	}
	rest, err := consumer.FetchNoWait(BatchEvents - 1)
	if err != nil {
		return messages, nil // they come again
	}
	return gather(messages, rest), nil
}

func gather(messages []jetstream.Msg, batch jetstream.MessageBatch) []jetstream.Msg {
	for msg := range batch.Messages() {
		messages = append(messages, msg)
	}
	return messages
}

// ended is err, unless ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Webhook) consumer(ctx context.Context, p streams.Partition) (jetstream.Consumer, error) {
	name := "webhook_" + w.config.Name
	existing, err := w.config.JS.Consumer(ctx, streams.LogStream(p), name)
	if err == nil || !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return existing, err
	}
	return w.config.JS.CreateOrUpdateConsumer(ctx, streams.LogStream(p), jetstream.ConsumerConfig{
		Durable: name, Description: "after-event webhook", DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy: jetstream.AckAllPolicy, AckWait: ackWait,
		// One batch at a time over all instances: that keeps the order.
		MaxAckPending: BatchEvents,
	})
}

// follower is where one partition stands.
type follower struct {
	webhook   *Webhook
	partition streams.Partition
	last      uint64        // sequence of the newest entry taken, 0: none yet
	epoch     streams.Epoch // newest term seen
}

// take sends messages, one at least, and acknowledges them.
func (f *follower) take(ctx context.Context, messages []jetstream.Msg) error {
	var events [][]byte
	var first, newest uint64
	var last jetstream.Msg
	for _, msg := range messages {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		seq := meta.Sequence.Stream
		if last != nil && seq <= newest {
			continue // redelivered within the batch
		}
		if f.last != 0 && newest == 0 && seq > f.last+1 {
			f.webhook.missed.Add(float64(seq - f.last - 1))
		}
		if event := f.read(msg, streams.Seq(seq)); event != nil {
			if first == 0 {
				first = seq
			}
			events = append(events, event)
		}
		last, newest = msg, seq
	}
	if len(events) > 0 {
		if err := f.webhook.send(ctx, f.partition, first, events, last); err != nil {
			return err
		}
	}
	if err := last.DoubleAck(ctx); err != nil {
		return err // it comes again
	}
	f.last = newest
	return nil
}

// read returns an event in its flat form, nil for what is none or is in nobody's
// history.
func (f *follower) read(msg jetstream.Msg, seq streams.Seq) []byte {
	token, ok := streams.ParseLog(msg.Subject())
	if !ok || token.Canary {
		return nil
	}
	if token.Fence {
		f.epoch = max(f.epoch, streams.Epoch(seq))
		return nil
	}
	e, err := streams.UnmarshalEvent(msg.Data(), seq)
	if err != nil {
		f.webhook.config.Logger.Warn("webhook: read an event", "partition", f.partition, "seq", seq, "err", err)
		return nil
	}
	if e.Epoch < f.epoch {
		return nil // of a former owner, behind a newer fence
	}
	f.epoch = e.Epoch
	return wire.AppendEvent(nil, e)
}

// send posts a batch until it is taken or ctx ends.
func (w *Webhook) send(ctx context.Context, p streams.Partition, first uint64, events [][]byte, last jetstream.Msg) error {
	body := append([]byte(`{"events":[`), bytes.Join(events, []byte{','})...)
	body = append(body, "]}"...)
	id := p.String() + "-" + strconv.FormatUint(first, 10)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = w.config.FirstPause, longestPause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		_ = last.InProgress() // at worst another instance sends it as well
		err := w.post(ctx, id, body)
		outcome := "taken"
		if err != nil {
			outcome = "failed"
			w.config.Logger.Warn("webhook", "partition", p, "seq", first, "err", err)
		}
		w.sent.WithLabelValues(outcome).Inc()
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	return err
}

func (w *Webhook) post(ctx context.Context, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, w.config.Deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Throng-Delivery", id)
	if len(w.config.Secret) > 0 {
		request.Header.Set(hook.SignatureHeader, hook.Sign(w.config.Secret, time.Now().Unix(), body))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
