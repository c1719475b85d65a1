package projections

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says what is projected into which ClickHouse. All of it is static.
type Config struct {
	// Conn reads the log and takes queries. Required. It should reconnect for
	// ever; its end is its owner's business.
	Conn *nats.Conn
	// Partitions is the number the deployment was provisioned with. Required.
	Partitions uint32
	// DSN is ClickHouse's: clickhouse://user:password@host:9000/database; see
	// clickhouse.Config. Required.
	DSN string
	// Logger receives outages, their ends and damage. Nil means silence.
	Logger *slog.Logger
	// Registerer takes the metrics. Nil means they are kept by nobody.
	Registerer prometheus.Registerer

	// MaxRows is how many events are written at once at most, give or take a
	// page of a thousand. 0 means 10,000. One insert of it is one block.
	MaxRows int
	// MaxBytes bounds the same by the size of the stored events. 0 means 16 MB.
	MaxBytes int
	// Linger is how long the first event of a batch waits for more. With Poll
	// it is what a quiet system lags. 0 means 100 ms.
	Linger time.Duration
	// Poll is how long a reader that is caught up waits before it looks again.
	// 0 means 100 ms.
	Poll time.Duration
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Conn == nil {
		problems = append(problems, errors.New("a connection is missing"))
	}
	if c.Partitions == 0 {
		problems = append(problems, errors.New("the number of partitions is missing"))
	}
	if c.DSN == "" {
		problems = append(problems, errors.New("a DSN is missing"))
	}
	if c.MaxRows < 0 || c.MaxBytes < 0 || c.Linger < 0 || c.Poll < 0 {
		problems = append(problems, errors.New("MaxRows, MaxBytes, Linger and Poll must not be negative"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.MaxRows == 0 {
		c.MaxRows = 10_000
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 16 << 20
	}
	if c.Linger == 0 {
		c.Linger = 100 * time.Millisecond
	}
	if c.Poll == 0 {
		c.Poll = 100 * time.Millisecond
	}
	return c, errors.Join(problems...)
}
