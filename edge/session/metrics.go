package session

import "github.com/prometheus/client_golang/prometheus"

// Metrics of sessions.
type Metrics struct {
	sessions   prometheus.Gauge
	deliveries prometheus.Counter
	messages   prometheus.Counter
	gaps       *prometheus.CounterVec
	closes     *prometheus.CounterVec
}

// gapReason is why a session was told a gap.
type gapReason string

const (
	gapAnswer gapReason = "answer" // more was missed than an answer holds
	gapSlow   gapReason = "slow"   // the session fell out of the ring
)

// NewMetrics registers the package's metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "throng_edge_sessions", Help: "Open WebSocket connections.",
		}),
		deliveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_edge_deliveries_total", Help: "Events written to sessions, each counted per session.",
		}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_edge_messages_written_total", Help: "WebSocket messages written.",
		}),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_gaps_total", Help: "Gaps told to clients, by reason. Grows with slow readers.",
		}, []string{"reason"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_closes_total", Help: "Connections closed by the edge, by close code.",
		}, []string{"code"}),
	}
	registerer.MustRegister(m.sessions, m.deliveries, m.messages, m.gaps, m.closes)
	for _, r := range []gapReason{gapAnswer, gapSlow} {
		m.gaps.WithLabelValues(string(r))
	}
	return m
}
