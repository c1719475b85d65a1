package projections

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the projecting side. Their labels are tables, verdicts and
// partitions, all few.
type metrics struct {
	rows    *prometheus.CounterVec
	batches prometheus.Counter
	seconds prometheus.Histogram
	lag     *prometheus.GaugeVec
	dropped *prometheus.CounterVec
	refused prometheus.Counter
	orphans prometheus.Counter
	lost    prometheus.Counter
	purged  prometheus.Counter
	behind  prometheus.Gauge
	outages *prometheus.CounterVec
	away    *prometheus.GaugeVec
}

func newMetrics() *metrics {
	return &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_projection_rows_total", Help: "Rows written to ClickHouse, by table; repeated rows count again.",
		}, []string{"table"}),
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_projection_batches_total", Help: "Batches written to ClickHouse.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "throng_projection_write_seconds", Help: "Seconds one batch took to write.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "throng_projection_lag_events", Help: "Entries of a partition's log that are not yet stored in ClickHouse.",
		}, []string{"partition"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_projection_dropped_total", Help: "Events read and left out: known (stored already), stale (of a term that was over), ahead (not the next of its channel).",
		}, []string{"verdict"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_projection_refused_total", Help: "Entries of the log that could not be read as events and were set aside in events_refused.",
		}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_projection_orphans_total", Help: "Edits and recalls whose message, and changes of channels whose creation, is not stored.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_projection_lost_events_total", Help: "Events that were purged from the log before they were stored. More than 0 is a hole in history.",
		}),
		purged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_projection_purged_total", Help: "Times a log was found to begin after what is stored of it. Whether events are missing is what throng_projection_lost_events_total says.",
		}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "throng_projection_logs_shorter", Help: "Partitions whose log ends before what is stored of it: a log was lost or restored from a backup.",
		}),
		outages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_projection_outages_total", Help: "Times a neighbour was found away, by neighbour.",
		}, []string{"of"}),
		away: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "throng_projection_away", Help: "While a neighbour is away, how many find it so: 1 for clickhouse, up to the number of partitions for nats.",
		}, []string{"of"}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.rows, m.batches, m.seconds, m.lag, m.dropped, m.refused, m.orphans, m.lost, m.purged, m.behind, m.outages, m.away,
	}
}

// stored counts a batch.
func (m *metrics) stored(batch half, elapsed time.Duration) {
	m.seconds.Observe(elapsed.Seconds())
	m.batches.Inc()
	m.rows.WithLabelValues("events").Add(float64(len(batch.batch.Records)))
	for table, rows := range batch.written.Rows {
		m.rows.WithLabelValues(table).Add(float64(rows))
	}
	m.orphans.Add(float64(batch.written.Orphans))
}
