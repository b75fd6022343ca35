package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what the agent counts, in a registry of its own.
type metrics struct {
	registry  *prometheus.Registry
	sessions  prometheus.Counter
	started   prometheus.Counter
	ended     prometheus.Counter
	connected atomic.Int64
}

var jobLabels = []string{"job"}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_worker_sessions_total", Help: "Sessions with a leader that began."}),
		started:  prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_worker_processes_started_total", Help: "Job processes started."}),
		ended:    prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_worker_processes_ended_total", Help: "Job processes that ended, as ordered or not."}),
	}
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cairn_worker_connected", Help: "1 during a session with a leader."},
		func() float64 { return float64(m.connected.Load()) })
	m.registry.MustRegister(m.sessions, m.started, m.ended, connected,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) attached() { m.sessions.Inc(); m.connected.Store(1) }
func (m *metrics) detached() { m.connected.Store(0) }

// jobCollector shows the newest statistics of every job here.
type jobCollector struct{ machine *machine }

var (
	termDesc     = prometheus.NewDesc("cairn_worker_term", "Highest term seen.", nil, nil)
	slotsDesc    = prometheus.NewDesc("cairn_worker_slots", "Slots of this worker.", nil, nil)
	recordsDesc  = prometheus.NewDesc("cairn_job_records_in", "Records that the subtasks here took, since the attempt started.", jobLabels, nil)
	uploadedDesc = prometheus.NewDesc("cairn_job_uploaded_bytes", "Bytes put into the object store, since the process started.", jobLabels, nil)
	putsDesc     = prometheus.NewDesc("cairn_job_puts", "Objects put, since the process started.", jobLabels, nil)
	stateDesc    = prometheus.NewDesc("cairn_job_state_bytes", "Live state of the subtasks here.", jobLabels, nil)
	memoryDesc   = prometheus.NewDesc("cairn_job_memory_bytes", "Memory of the job's process.", jobLabels, nil)
	lagDesc      = prometheus.NewDesc("cairn_job_durability_lag_bytes", "Changes of the job's state here that the object store does not have.", jobLabels, nil)
	lagAgeDesc   = prometheus.NewDesc("cairn_job_durability_lag_seconds", "Age of the oldest change that the object store does not have.", jobLabels, nil)
	spooledDesc  = prometheus.NewDesc("cairn_job_spooled_bytes", "Changes that are on local disk only.", jobLabels, nil)
	objectsDesc  = prometheus.NewDesc("cairn_job_objects", "Objects that the newest state handles of the job's process name.", jobLabels, nil)
	imagesDesc   = prometheus.NewDesc("cairn_job_images", "Base images written, since the attempt started.", jobLabels, nil)
	failedDesc   = prometheus.NewDesc("cairn_job_failed_puts", "PUTs of the changelog that failed, since the attempt started.", jobLabels, nil)
	restoreDesc  = prometheus.NewDesc("cairn_job_restored_bytes", "Bytes that the attempt was restored from, by where they came from.", []string{"job", "from"}, nil)
	unsettled    = prometheus.NewDesc("cairn_job_unconfirmed_acks", "Acknowledgements whose outcome is not known.", jobLabels, nil)
)

// Describe implements prometheus.Collector.
func (c jobCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		termDesc, slotsDesc, recordsDesc, uploadedDesc, putsDesc, stateDesc, memoryDesc, unsettled,
		lagDesc, lagAgeDesc, spooledDesc, objectsDesc, imagesDesc, failedDesc, restoreDesc,
	} {
		ch <- d
	}
	for _, m := range taskMetrics {
		ch <- m.desc
	}
	ch <- waitingDesc
}

// Collect implements prometheus.Collector.
func (c jobCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(termDesc, float64(c.machine.terms.highest()))
	gauge(slotsDesc, float64(c.machine.cfg.Slots))
	present := c.machine.present.Load()
	if present == nil {
		return
	}
	r := present.reports
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.jobs {
		job := string(id)
		gauge(unsettled, float64(len(p.acks)), job)
		if p.stats == nil {
			continue
		}
		var records, state int64
		for _, s := range p.stats.Subtasks {
			records += s.RecordsIn
			state += s.StateBytes
		}
		gauge(recordsDesc, float64(records), job)
		gauge(stateDesc, float64(state), job)
		gauge(uploadedDesc, float64(p.stats.UploadedBytes), job)
		gauge(putsDesc, float64(p.stats.Puts), job)
		gauge(memoryDesc, float64(p.stats.MemoryBytes), job)
		gauge(lagDesc, float64(p.stats.LagBytes), job)
		gauge(lagAgeDesc, float64(p.stats.LagMs)/1e3, job)
		gauge(spooledDesc, float64(p.stats.SpooledBytes), job)
		gauge(objectsDesc, float64(p.stats.Objects), job)
		gauge(imagesDesc, float64(p.stats.Images), job)
		gauge(failedDesc, float64(p.stats.FailedPuts), job)
		gauge(restoreDesc, float64(p.stats.RestoredLocalBytes), job, "local")
		gauge(restoreDesc, float64(p.stats.RestoredRemoteBytes), job, "store")
		collectTasks(job, p.stats, ch)
	}
}

// serveMetrics serves /metrics and /debug/pprof until ctx ends.
func (m *machine) serveMetrics(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(m.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- server.Close() })
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("serve metrics: %w", err)
	}
	if err := <-closed; err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close metrics: %w", err)
	}
	return nil
}
