package sequencer

import "github.com/prometheus/client_golang/prometheus"

// Metrics of all sequencers of a process.
type Metrics struct {
	Commands   *prometheus.CounterVec // by outcome: ok, duplicate or a rejection code
	Events     prometheus.Counter
	Terms      *prometheus.CounterVec // by what ended the former one
	Refused    *prometheus.CounterVec // events of the log that belong to nobody's history, by verdict
	Snapshots  prometheus.Counter
	Loaded     prometheus.Counter
	Evicted    prometheus.Counter
	Serving    prometheus.Gauge
	LogBytes   *prometheus.GaugeVec // by partition
	Replayed   prometheus.Histogram
	CommitTime prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		Commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_commands_total", Help: "Commands decided, by outcome (ok, duplicate, or the code of the refusal).",
		}, []string{"outcome"}),
		Events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_events_appended_total", Help: "Events handed to the log.",
		}),
		Terms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_sequencer_terms_ended_total", Help: "Terms of sequencers that ended, by cause.",
		}, []string{"cause"}),
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_sequencer_events_refused_total", Help: "Events found in the log that do not belong to its history, by verdict. Not 0: somebody wrote past the fence.",
		}, []string{"verdict"}),
		Snapshots: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_snapshots_total", Help: "Checkpoints written.",
		}),
		Loaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_records_loaded_total", Help: "Members, attributes and message cards that a command needed and that were looked for in the snapshot.",
		}),
		Evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "throng_records_evicted_total", Help: "Members, attributes and message cards dropped from memory because there were many and they were not used lately.",
		}),
		Serving: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "throng_partitions_serving", Help: "Partitions this process serves now.",
		}),
		LogBytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "throng_log_bytes", Help: "Size of a partition's log in JetStream, in bytes, as of the owner's last look (10 s). At the deployment's limit senders get unavailable.",
		}, []string{"partition"}),
		Replayed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "throng_takeover_replayed_messages", Help: "Messages of the log a takeover had to fold behind its snapshot.",
			Buckets: prometheus.ExponentialBuckets(1, 10, 8),
		}),
		CommitTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "throng_commit_seconds", Help: "From taking a batch of commands to its answer, in seconds.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
		}),
	}
	registerer.MustRegister(m.Commands, m.Events, m.Terms, m.Refused, m.Snapshots, m.Loaded, m.Evicted, m.Serving, m.LogBytes, m.Replayed, m.CommitTime)
	return m
}
