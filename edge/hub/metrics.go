package hub

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/follow"
)

// Metrics of the views and rings.
type Metrics struct {
	views         prometheus.Gauge
	subscriptions prometheus.Gauge
	stale         prometheus.Counter
	lost          *prometheus.CounterVec
	bytes         func() int64 // of all rings; set by New
}

// NewMetrics registers the package's metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		views: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "throng_edge_views", Help: "Groups this edge follows.",
		}),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "throng_edge_subscriptions", Help: "Channels followed by sessions, each counted per session.",
		}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_edge_stale_events_total",
			Help: "Live events ignored because they were written after a newer fence. Should stay 0.",
		}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_live_holes_total",
			Help: "Times live events were missing and read from the log, by what uncovered it. Grows when NATS drops messages to this edge.",
		}, []string{"by"}),
		bytes: func() int64 { return 0 },
	}
	registerer.MustRegister(m.views, m.subscriptions, m.stale, m.lost, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "throng_edge_ring_bytes", Help: "Bytes of events held in memory.",
	}, func() float64 { return float64(m.bytes()) }))
	for _, by := range []follow.Cause{follow.ByEvent, follow.ByBeacon, follow.ByWrite, follow.ByResync} {
		m.lost.WithLabelValues(string(by))
	}
	return m
}
