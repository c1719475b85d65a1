package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
)

// LeaseTTL is how long an owner's claim to a partition stands without being
// renewed, so how long a crashed owner's partitions wait.
const LeaseTTL = time.Second

// leaseConfig is the bucket of leases. It is in memory: a lease that outlives
// all servers would only delay the start.
func (d Deployment) leaseConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket: streams.LeaseBucket, Replicas: d.Replicas, TTL: LeaseTTL, Storage: jetstream.MemoryStorage,
		Description: "Throng: who owns which partition",
	}
}

// Leases returns the bucket of leases. A server that runs alone forgets it when
// it is restarted: then it is made anew.
func Leases(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	bucket, err := js.KeyValue(ctx, streams.LeaseBucket)
	if err == nil {
		return bucket, nil
	}
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("open bucket %s: %w", streams.LeaseBucket, err)
	}
	d, err := Load(ctx, js)
	if err != nil {
		return nil, err
	}
	bucket, err = js.CreateOrUpdateKeyValue(ctx, d.leaseConfig())
	if err != nil {
		return nil, fmt.Errorf("create bucket %s: %w", streams.LeaseBucket, err)
	}
	return bucket, nil
}
