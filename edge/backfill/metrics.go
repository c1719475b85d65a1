package backfill

import "github.com/prometheus/client_golang/prometheus"

// source is where a load found what it read.
type source string

const (
	fromLog   source = "jetstream"
	fromStore source = "clickhouse"
	fromRing  source = "ring"
)

// Metrics counts loads.
type Metrics struct {
	loads      *prometheus.CounterVec
	stale      prometheus.Counter
	unreadable prometheus.Counter
}

// NewMetrics registers the package's metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_edge_backfill_loads_total",
			Help: "Reads of events or history pages, by the source that was asked. Grows when clients pull or rings are cold.",
		}, []string{"source"}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_edge_backfill_stale_events_total",
			Help: "Events left out of a read because they were written after a newer fence. Should stay 0.",
		}),
	}
	m.unreadable = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "throng_edge_backfill_unreadable_total",
		Help: "Reads of the log that failed or met a hole or a damaged event; another replica was asked. Grows when NATS is away, or a replica's files are harmed.",
	})
	registerer.MustRegister(m.loads, m.stale, m.unreadable)
	for _, s := range []source{fromLog, fromStore, fromRing} {
		m.loads.WithLabelValues(string(s))
	}
	return m
}

func (m *Metrics) loaded(s source) { m.loads.WithLabelValues(string(s)).Inc() }
