package sequencer

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

// Config of one partition's sequencer.
type Config struct {
	Conn       *nats.Conn          // required
	JS         jetstream.JetStream // on Conn; required
	Partition  streams.Partition
	Deployment topology.Deployment // as provisioned; chooses the append policy
	Claims     *Claims             // decides when to take and give it; required, shared by a process
	Logger     *slog.Logger        // required
	Metrics    *Metrics            // required; shared by the partitions of a process

	// Now is the clock of decisions. Default time.Now.
	Now func() time.Time
	// SnapshotEvery is how often changed records are written. Default 2 s.
	SnapshotEvery time.Duration
	// RetainEvery is how often the head of the log is looked at for what may
	// be purged. Default 10 s.
	RetainEvery time.Duration
	// MaxHeld is how many members, attributes and messages' reactions of the
	// partition stay in memory at most, beside those yet to be stored in the
	// snapshot; others are loaded when they are needed. Default 200,000.
	MaxHeld int
	// OnServe is called when a term begins to take commands and returns what
	// ends the intake. While it is not serving, nobody listens on the
	// partition's command subject and askers are told so at once by NATS.
	OnServe func() (stop func(), err error)
	// WithoutDedup switches the duplicate window off and WithoutFence the
	// fence. Only tests set them, to show that their checkers notice.
	WithoutDedup, WithoutFence bool
}

func (c *Config) validate() error {
	var problems []error
	if c.Conn == nil || c.JS == nil {
		problems = append(problems, errors.New("a connection is required"))
	}
	if c.Claims == nil {
		problems = append(problems, errors.New("claims are required"))
	}
	if c.Logger == nil || c.Metrics == nil {
		problems = append(problems, errors.New("a logger and metrics are required"))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = 2 * time.Second
	}
	if c.RetainEvery == 0 {
		c.RetainEvery = retainEvery
	}
	if c.MaxHeld == 0 {
		c.MaxHeld = maxHeld
	}
	if c.OnServe == nil {
		c.OnServe = func() (func(), error) { return func() {}, nil }
	}
	return errors.Join(problems...)
}

const (
	// ackPatience is how long an append may go unacknowledged before its
	// outcome counts as unknown.
	ackPatience = 5 * time.Second
	// drainPatience is how long a clean end waits for what is in flight, and
	// then for the last snapshot.
	drainPatience = 2 * time.Second
	// beaconEvery is how often edges are told where channels stand.
	beaconEvery = time.Second
	// beaconCover is how long before the log's last event a former owner may
	// have left its beacons off: the new owner tells of those channels again.
	beaconCover = 10 * beaconEvery
	// batchPatience is how long a batch may wait to be decided: as long as an
	// edge waits for a command.
	batchPatience = 5 * time.Second
	// inboxSize bounds the batches waiting to be decided; when it is full new
	// ones are answered unavailable.
	inboxSize = 1024
	// headroom is what one batch of commands may add to the records in flight.
	headroom = 2 * streams.MaxBatchCommands
	// maxLookups bounds the searches in the log for the targets of edits.
	maxLookups = 16
	// maxHeld is how many members, attributes and messages' cards a partition
	// keeps in memory, beyond those that are waiting to be stored: some 40 MB.
	// More are loaded again when they are needed.
	maxHeld = 200_000
)
