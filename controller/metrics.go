package controller

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cairnstream/cairn/controller/ledger"
)

// metrics are what Prometheus reads of a controller, from a registry of its own.
type metrics struct {
	registry             *prometheus.Registry
	checkpointsCompleted prometheus.Counter
	checkpointsFailed    prometheus.Counter
	checkpointSeconds    prometheus.Histogram
	proposals            prometheus.Counter
	term                 prometheus.Gauge
	isLeader             prometheus.Gauge
	leads                atomic.Bool
}

func newMetrics() *metrics {
	m := &metrics{
		registry:             prometheus.NewRegistry(),
		checkpointsCompleted: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_checkpoints_completed_total", Help: "Checkpoints completed while this controller led."}),
		checkpointsFailed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_checkpoints_failed_total", Help: "Checkpoints aborted or failed while this controller led."}),
		checkpointSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cairn_checkpoint_duration_seconds", Help: "From begin to the completing Raft entry.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 16), // 2 ms to 65 s
		}),
		proposals: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_raft_proposals_total", Help: "Commands proposed by this controller."}),
		term:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "cairn_raft_term", Help: "The newest term in which this controller led."}),
		isLeader:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "cairn_is_leader", Help: "1 while this controller leads."}),
	}
	m.registry.MustRegister(m.checkpointsCompleted, m.checkpointsFailed, m.checkpointSeconds, m.proposals, m.term, m.isLeader,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// lead notes whether this controller leads.
func (m *metrics) lead(leads bool) {
	m.leads.Store(leads)
	m.isLeader.Set(0)
	if leads {
		m.isLeader.Set(1)
	}
}

// observe adds what is read from the ledger when it is asked for.
func (m *metrics) observe(w *world) { m.registry.MustRegister(ledgerCollector{w}) }

var (
	jobsDesc    = prometheus.NewDesc("cairn_jobs", "Jobs by status.", []string{"status"}, nil)
	workersDesc = prometheus.NewDesc("cairn_workers", "Worker incarnations that have not ended.", nil, nil)
)

// ledgerCollector counts what the state machine holds.
type ledgerCollector struct{ world *world }

func (c ledgerCollector) Describe(to chan<- *prometheus.Desc) {
	to <- jobsDesc
	to <- workersDesc
	for _, m := range jobMetrics {
		to <- m.desc
	}
	to <- failuresDesc
}

func (c ledgerCollector) Collect(to chan<- prometheus.Metric) {
	counts := map[ledger.Status]int{}
	for _, job := range c.world.records() {
		counts[job.Status]++
	}
	for status, n := range counts {
		to <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n), string(status))
	}
	to <- prometheus.MustNewConstMetric(workersDesc, prometheus.GaugeValue, float64(len(c.world.liveWorkers())))
	if c.world.metrics.leads.Load() { // one of three, so that sums are right
		collectJobs(c.world.records(), to)
	}
}

// serveMetrics serves /metrics and /debug/pprof until ctx ends.
func (m *metrics) serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
