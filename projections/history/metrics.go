package history

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/streams"
)

// metrics of the query service.
type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics() *metrics {
	return &metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "throng_query_seconds",
		Help:    "Seconds a query to the projections took, by query and outcome: ok or the code of the refusal.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
	}, []string{"query", "outcome"})}
}

func (m *metrics) observe(query string, err error, elapsed time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = string(streams.HistoryUnavailable)
		var rejection *streams.Rejection
		if errors.As(err, &rejection) {
			outcome = string(rejection.Code)
		}
	}
	m.seconds.WithLabelValues(query, outcome).Observe(elapsed.Seconds())
}
