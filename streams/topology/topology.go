package topology

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
)

// Keys of [streams.ConfigBucket].
const (
	keyDeployment = "deployment"
	keyDevMode    = "dev_mode"
	keyDevSecret  = "dev_secret"
)

// MetaLog is the stream metadata that names a history of a partition. A stream
// made anew has another, so readers start over instead of mixing two.
const MetaLog = "throng_log"

// Deployment is what every process must agree on.
type Deployment struct {
	Partitions uint32 `json:"partitions"` // fixed at the first provisioning
	Replicas   int    `json:"replicas"`   // copies of each stream, 1, 3 or 5
	// SyncAlways: the NATS servers sync each write (sync_interval: always),
	// which no client can ask them for. It chooses the append policy.
	SyncAlways bool `json:"sync_always"`
	// MaxLogBytes limits each partition's log; at the limit senders get
	// unavailable and nothing is lost. Bytes, 0 for none.
	MaxLogBytes int64 `json:"max_log_bytes"`
	// HotWindow is how long events stay in JetStream at least. What is older,
	// projected and in a snapshot is purged. At least MinHotWindow; 0 keeps
	// everything for ever.
	HotWindow time.Duration `json:"hot_window"`
}

// MinHotWindow covers the duplicate window, which is rebuilt from the log.
const MinHotWindow = 2 * streams.DedupWindow

// ErrNotProvisioned: there is no deployment on this NATS yet.
var ErrNotProvisioned = errors.New("not provisioned: run «throng provision» first")

func (d Deployment) validate() error {
	var problems []error
	if d.Partitions < 1 || d.Partitions > 1024 {
		problems = append(problems, fmt.Errorf("partitions must be 1 to 1024, not %d", d.Partitions))
	}
	if d.Replicas != 1 && d.Replicas != 3 && d.Replicas != 5 {
		problems = append(problems, fmt.Errorf("replicas must be 1, 3 or 5, not %d", d.Replicas))
	}
	if d.MaxLogBytes < 0 {
		problems = append(problems, fmt.Errorf("max log bytes must not be negative, not %d", d.MaxLogBytes))
	}
	if d.HotWindow != 0 && d.HotWindow < MinHotWindow {
		problems = append(problems, fmt.Errorf("the hot window must be 0 or at least %v, not %v", MinHotWindow, d.HotWindow))
	}
	return errors.Join(problems...)
}

// LogStreamConfig is the stream of a partition's log.
func (d Deployment) LogStreamConfig(p streams.Partition) jetstream.StreamConfig {
	maxBytes := d.MaxLogBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:               streams.LogStream(p),
		Description:        "Throng: the log of partition " + p.String(),
		Subjects:           []string{streams.LogFilter(p)},
		Storage:            jetstream.FileStorage,
		Replicas:           d.Replicas,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           maxBytes,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		DenyDelete:         true,
		RePublish: &jetstream.RePublish{
			Source:      streams.LogFilter(p),
			Destination: streams.LivePattern(p),
		},
	}
}

// StateStreamConfig is the stream of a partition's snapshot records.
func (d Deployment) StateStreamConfig(p streams.Partition) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               streams.StateStream(p),
		Description:        "Throng: snapshot records of partition " + p.String(),
		Subjects:           []string{streams.StatePattern(p)},
		Storage:            jetstream.FileStorage,
		Replicas:           d.Replicas,
		Retention:          jetstream.LimitsPolicy,
		MaxMsgsPerSubject:  1,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

// UserStreamConfig is a stream of what users have for themselves alone. There
// are as many as partitions.
func (d Deployment) UserStreamConfig(q streams.Partition) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              streams.UserStream(q),
		Description:       "Throng: what users have for themselves, part " + q.String(),
		Subjects:          []string{streams.UserPattern(q)},
		Storage:           jetstream.FileStorage,
		Replicas:          d.Replicas,
		Retention:         jetstream.LimitsPolicy,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
		DenyDelete:        true,
	}
}

// Change is one difference provisioning found.
type Change struct {
	What string // "stream LOG_3", "bucket THRONG_LEASES"
	How  string // "create", "update", "log name"
}

func (c Change) String() string { return c.How + " " + c.What }

// Provision makes NATS have what d says and returns what it changed, or with
// dryRun what it would change. Provisioning with another number of partitions
// than the first time is refused. A log that was there and is not any more is
// not made anew, where numbers would be given out twice: the error wraps
// [ErrLogLost], after all else is done.
func Provision(ctx context.Context, js jetstream.JetStream, d Deployment, dryRun bool) ([]Change, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	var changes []Change
	have, err := Load(ctx, js)
	switch {
	case errors.Is(err, ErrNotProvisioned):
	case err != nil:
		return nil, err
	case have.Partitions != d.Partitions:
		return nil, fmt.Errorf("this deployment has %d partitions and cannot be given %d: groups would change places", have.Partitions, d.Partitions)
	}
	note := func(how, what string) { changes = append(changes, Change{What: what, How: how}) }

	buckets := []jetstream.KeyValueConfig{
		{Bucket: streams.ConfigBucket, Replicas: d.Replicas, Description: "Throng: what this deployment was provisioned with"},
		d.leaseConfig(),
	}
	for _, bucket := range buckets {
		_, err := js.KeyValue(ctx, bucket.Bucket)
		if err == nil {
			continue
		}
		if !errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, fmt.Errorf("look at bucket %s: %w", bucket.Bucket, err)
		}
		note("create", "bucket "+bucket.Bucket)
		if dryRun {
			continue
		}
		if _, err := js.CreateOrUpdateKeyValue(ctx, bucket); err != nil {
			return nil, fmt.Errorf("create bucket %s: %w", bucket.Bucket, err)
		}
	}
	var gone []error
	for p := range streams.Partition(d.Partitions) {
		if missing, err := logMissing(ctx, js, p); err != nil {
			return nil, err
		} else if missing && p < streams.Partition(have.Partitions) {
			gone = append(gone, fmt.Errorf("%w: %s", ErrLogLost, streams.LogStream(p)))
			continue
		}
		for _, want := range []jetstream.StreamConfig{d.LogStreamConfig(p), d.StateStreamConfig(p), d.UserStreamConfig(p)} {
			change, err := ensureStream(ctx, js, want, dryRun)
			if err != nil {
				return nil, err
			}
			if change != "" {
				note(change, "stream "+want.Name)
			}
		}
	}
	if len(gone) > 0 {
		return changes, errors.Join(gone...)
	}
	if have != d {
		note("write", "deployment: "+strconv.Itoa(int(d.Partitions))+" partitions, "+strconv.Itoa(d.Replicas)+" replicas")
		if !dryRun {
			if err := put(ctx, js, keyDeployment, d); err != nil {
				return nil, err
			}
		}
	}
	return changes, nil
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, dryRun bool) (change string, err error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if dryRun {
			return "create", nil
		}
		want.Metadata = newHistory()
		if _, err := js.CreateStream(ctx, want); err != nil {
			return "", fmt.Errorf("create stream %s: %w", want.Name, err)
		}
		return "create", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at stream %s: %w", want.Name, err)
	}
	have := stream.CachedInfo().Config
	if have.Replicas == want.Replicas && have.MaxBytes == normalMax(want.MaxBytes) && have.Discard == want.Discard &&
		have.AllowDirect == want.AllowDirect && have.AllowAtomicPublish == want.AllowAtomicPublish {
		return "", nil
	}
	if dryRun {
		return "update", nil
	}
	want.Metadata, want.FirstSeq = have.Metadata, have.FirstSeq
	if _, err := js.UpdateStream(ctx, want); err != nil {
		return "", fmt.Errorf("update stream %s: %w", want.Name, err)
	}
	return "update", nil
}

// normalMax is how the server reports a size limit of 0.
func normalMax(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// Load returns what the deployment was provisioned with, or
// [ErrNotProvisioned].
func Load(ctx context.Context, js jetstream.JetStream) (Deployment, error) {
	var d Deployment
	found, err := get(ctx, js, keyDeployment, &d)
	if err != nil {
		return d, err
	}
	if !found {
		return d, ErrNotProvisioned
	}
	return d, nil
}

// SetDevMode stores whether dev:<user> is a token, so that every process
// joined to this NATS knows.
func SetDevMode(ctx context.Context, js jetstream.JetStream, on bool) error {
	return put(ctx, js, keyDevMode, on)
}

// DevMode reports whether dev:<user> is a token.
func DevMode(ctx context.Context, js jetstream.JetStream) (bool, error) {
	on := false
	_, err := get(ctx, js, keyDevMode, &on)
	return on, err
}

// DevSecret returns the HS256 secret of a deployment in development mode, making
// one at the first call. It signs what dev:<user> can't say: server tokens.
func DevSecret(ctx context.Context, js jetstream.JetStream) (string, error) {
	secret := ""
	found, err := get(ctx, js, keyDevSecret, &secret)
	if err != nil || found {
		return secret, err
	}
	secret = rand.Text() + rand.Text()
	return secret, put(ctx, js, keyDevSecret, secret)
}

// lookPatience is how long one question about a stream waits. A stream without
// a leader does not answer, so what is asked during an election would wait for
// the caller's whole deadline, or the client's own of 5 s, and outlast it.
const lookPatience = time.Second

// LogName returns the name of the history in a partition's log.
func LogName(ctx context.Context, js jetstream.JetStream, p streams.Partition) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	stream, err := js.Stream(ctx, streams.LogStream(p))
	if err != nil {
		return "", fmt.Errorf("look at stream %s: %w", streams.LogStream(p), err)
	}
	return stream.CachedInfo().Config.Metadata[MetaLog], nil
}

func put(ctx context.Context, js jetstream.JetStream, key string, value any) error {
	bucket, err := js.KeyValue(ctx, streams.ConfigBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", streams.ConfigBucket, err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if _, err := bucket.Put(ctx, key, data); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// get reads a key. It asks again and again while nobody answers, until ctx ends.
func get(ctx context.Context, js jetstream.JetStream, key string, value any) (found bool, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err = tryGet(ctx, js, key, value)
		// No responders, where the bucket was found: its copies are not up yet.
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrNoResponders) {
			return found, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return found, err
		}
	}
}

func tryGet(ctx context.Context, js jetstream.JetStream, key string, value any) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	bucket, err := js.KeyValue(ctx, streams.ConfigBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", streams.ConfigBucket, err)
	}
	entry, err := bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(entry.Value(), value); err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return true, nil
}
