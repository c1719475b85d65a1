package command

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// Metrics counts commands.
type Metrics struct {
	commands *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics registers the package's metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_commands_total",
			Help: "Commands answered, by command and outcome: ok or the code of the refusal.",
		}, []string{"command", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "throng_edge_command_seconds",
			Help:    "Time from taking a command to its answer, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"command"}),
	}
	registerer.MustRegister(m.commands, m.seconds)
	return m
}

// Answered counts one answer. Commands this version does not know share one
// label, so that clients cannot make labels up.
func (m *Metrics) Answered(name wire.Name, taken time.Time, err error) {
	label, code := "unknown", "ok"
	if known[name] {
		label = string(name)
	}
	if err != nil {
		code = string(streams.AsRejection(err).Code)
	}
	m.commands.WithLabelValues(label, code).Inc()
	m.seconds.WithLabelValues(label).Observe(time.Since(taken).Seconds())
}

var known = func() map[wire.Name]bool {
	names := map[wire.Name]bool{}
	for _, list := range [][]wire.Name{wire.Names, wire.Later} {
		for _, name := range list {
			names[name] = true
		}
	}
	return names
}()

// Known reports whether the contract has such a command.
func Known(name wire.Name) bool { return known[name] }
