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
	loads         prometheus.Counter
	signals       *prometheus.CounterVec
	bytes         func() int64 // of all rings; set by New
	attributes    func() int64 // bytes; likewise
}

// outcome is what became of a signal.
type outcome string

const (
	signalSent      outcome = "sent"
	signalDelivered outcome = "delivered"
	signalDropped   outcome = "dropped" // this edge had more to do, or a client sent too many
)

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
		loads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_edge_attribute_loads_total",
			Help: "Times the attributes of a channel were read from its owner. Once per channel while it is followed, unless memory is short.",
		}),
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_signals_total",
			Help: "Signals by what became of them: sent by clients of this edge, delivered to them each, or dropped.",
		}, []string{"outcome"}),
		bytes:      func() int64 { return 0 },
		attributes: func() int64 { return 0 },
	}
	registerer.MustRegister(m.loads, m.signals, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "throng_edge_attribute_bytes", Help: "Bytes of attributes held in memory.",
	}, func() float64 { return float64(m.attributes()) }))
	for _, o := range []outcome{signalSent, signalDelivered, signalDropped} {
		m.signals.WithLabelValues(string(o))
	}
	registerer.MustRegister(m.views, m.subscriptions, m.stale, m.lost, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "throng_edge_ring_bytes", Help: "Bytes of events held in memory.",
	}, func() float64 { return float64(m.bytes()) }))
	for _, by := range []follow.Cause{follow.ByEvent, follow.ByBeacon, follow.ByWrite, follow.ByResync} {
		m.lost.WithLabelValues(string(by))
	}
	return m
}
