package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// NexmarkReport is what `cairn bench nexmark --json` prints: one flat object, and its runs.
// The figures at the top are the medians of those of the runs with checkpoints, or of all if
// none has any; cpu_seconds and what is made of it are missing where they were not measured.
type NexmarkReport struct {
	Version     string    `json:"version"`
	Go          string    `json:"go"`
	Platform    string    `json:"platform"`
	CPUs        int       `json:"cpus"`
	ObjectStore string    `json:"object_store,omitempty"`
	Command     string    `json:"command"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"` // that the whole measurement took

	Query                string  `json:"query"`
	Events               int64   `json:"events"`
	Seed                 int64   `json:"seed"`
	Parallelism          int     `json:"parallelism"`
	Workers              int     `json:"workers"` // 0: in one process
	Backend              string  `json:"backend"`
	CheckpointIntervalMS float64 `json:"checkpoint_interval_ms"` // 0: none
	Rate                 float64 `json:"rate"`                   // 0: as fast as possible
	Faults               string  `json:"faults,omitempty"`

	// Rows and Checksum are of the results; Verified tells that they are those of the plain loops.
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"`
	Verified bool   `json:"verified"`

	NexmarkFigures

	// GenerationNS is what one event costs to make, in a plain loop on one core.
	GenerationNS float64 `json:"generation_ns_per_event"`
	// LimitPerCPUSecond is what one core can do at most: see limits.
	LimitPerCPUSecond float64 `json:"limit_events_per_cpu_second"`
	// LimitRatio is EventsPerCPUSecond of LimitPerCPUSecond.
	LimitRatio float64 `json:"limit_ratio,omitempty"`
	// CheckpointCost is the share of the throughput that checkpoints take, of alternating runs.
	CheckpointCost *float64 `json:"checkpoint_cost,omitempty"`
	// Restarts and StruckAfterRows are of the first run, if there are faults: see NexmarkRun.
	Restarts        int   `json:"restarts"`
	StruckAfterRows int64 `json:"struck_after_rows,omitempty"`

	Runs []*NexmarkRun `json:"runs"`
}

// NexmarkFigures are what a run has measured. Latencies count from when an event was due,
// until the row that it made was written, or its commit began to write; there are none without
// --rate, and neither the first fifth of a run, at most 5 s, counts nor what the end of the data gives. CPU time is that of controllers,
// workers and the job's processes, and not of an object store that is a process of its own.
type NexmarkFigures struct {
	EventsPerSecond    float64 `json:"events_per_second"`
	EventsPerCPUSecond float64 `json:"events_per_cpu_second,omitempty"`
	CPUSeconds         float64 `json:"cpu_seconds,omitempty"`

	LatencyP50MS   float64 `json:"latency_p50_ms,omitempty"`
	LatencyP99MS   float64 `json:"latency_p99_ms,omitempty"`
	LatencyP999MS  float64 `json:"latency_p999_ms,omitempty"`
	LatencyP9999MS float64 `json:"latency_p9999_ms,omitempty"`
	LatencyMaxMS   float64 `json:"latency_max_ms,omitempty"`
	CommitP50MS    float64 `json:"commit_latency_p50_ms,omitempty"`
	CommitP99MS    float64 `json:"commit_latency_p99_ms,omitempty"`

	Checkpoints     float64 `json:"checkpoints"`
	CheckpointP50MS float64 `json:"checkpoint_p50_ms"`
	CheckpointP99MS float64 `json:"checkpoint_p99_ms"`
	CheckpointMaxMS float64 `json:"checkpoint_max_ms"`
	CheckpointBytes float64 `json:"checkpoint_bytes"`  // uploaded, of all checkpoints together
	PeakMemoryBytes float64 `json:"peak_memory_bytes"` // of all processes at the same time
	GCShare         float64 `json:"gc_share"`          // of the CPU time of the job's processes
}

// NexmarkRun is one run.
type NexmarkRun struct {
	Started     time.Time `json:"started"`
	Checkpoints bool      `json:"with_checkpoints"`
	// Restarts is how often the job was started again, StruckAfterRows how many rows were committed when the first
	// fault was about to strike.
	Restarts        int   `json:"restarts"`
	StruckAfterRows int64 `json:"struck_after_rows,omitempty"`
	// Seconds are from when the first event was due, when the job runs and waits already, until it is
	// finished, the last commit included. Its start is not measured.
	Seconds float64 `json:"seconds"`
	NexmarkFigures

	usedBefore processShare // of a process that did something else before
}

func newNexmarkReport(c *NexmarkConfig) *NexmarkReport {
	r := &NexmarkReport{
		Version: c.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		Command: c.command(), Started: time.Now().UTC(), Query: c.Query, Events: c.Events, Seed: c.Seed, Parallelism: c.Parallelism,
		Workers: c.Workers, Backend: c.Backend, Rate: c.Rate, Faults: c.Faults,
	}
	if !c.NoCheckpoints {
		r.CheckpointIntervalMS = ms(c.CheckpointInterval)
	}
	return r
}

func ms(d time.Duration) float64 { return round(d.Seconds() * 1e3) }

// rates computes what follows from the times.
func (r *NexmarkRun) rates(events int64) {
	r.EventsPerSecond = round(float64(events) / r.Seconds)
	if r.CPUSeconds > 0 {
		r.EventsPerCPUSecond = round(float64(events) / r.CPUSeconds)
	}
}

func (r *NexmarkRun) addCheckpoints(took []time.Duration) {
	r.NexmarkFigures.Checkpoints = float64(len(took))
	r.CheckpointP50MS, r.CheckpointP99MS, r.CheckpointMaxMS = ms(median(took)), ms(quantile(took, 99)), ms(quantile(took, 100))
}

func (r *NexmarkRun) addTotal(t *total) {
	r.LatencyP50MS, r.LatencyP99MS = ms(t.latency.percentile(50)), ms(t.latency.percentile(99))
	r.LatencyP999MS, r.LatencyP9999MS = ms(t.latency.percentile(99.9)), ms(t.latency.percentile(99.99))
	r.LatencyMaxMS = ms(t.latency.max)
	r.CommitP50MS, r.CommitP99MS = ms(t.toCommit.percentile(50)), ms(t.toCommit.percentile(99))
	if cpu := t.cpu - r.usedBefore.CPU; cpu > 0 {
		r.GCShare = round(max(t.gc-r.usedBefore.GC, 0) / cpu)
	}
}

func (r *NexmarkReport) addLimits(l limits) {
	r.GenerationNS, r.LimitPerCPUSecond = round(l.generation), round(1e9/l.event)
}

// finish makes the figures of all runs those of the report.
func (r *NexmarkReport) finish(c *NexmarkConfig) {
	r.Verified = true // a run with wrong rows ends the measurement
	r.NexmarkFigures = medians(r.runs(!c.NoCheckpoints))
	if r.LimitPerCPUSecond > 0 {
		r.LimitRatio = round(r.EventsPerCPUSecond / r.LimitPerCPUSecond)
	}
	if without := r.runs(false); c.Alternate && len(without) > 0 {
		cost := round(1 - r.EventsPerSecond/medians(without).EventsPerSecond)
		r.CheckpointCost = &cost
	}
	r.Restarts, r.StruckAfterRows = r.Runs[0].Restarts, r.Runs[0].StruckAfterRows
	r.Seconds = round(time.Since(r.Started).Seconds())
}

// runs are those with checkpoints, or without.
func (r *NexmarkReport) runs(checkpoints bool) (out []*NexmarkRun) {
	for _, run := range r.Runs {
		if run.Checkpoints == checkpoints {
			out = append(out, run)
		}
	}
	return out
}

func (r *NexmarkReport) writeJSON(w io.Writer) error {
	data, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", data)
	}
	return err
}

// writeText prints the report for people.
func (r *NexmarkReport) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	where := fmt.Sprintf("%d workers", r.Workers)
	if r.Workers == 0 {
		where = "one process"
	}
	fmt.Fprintf(t, "%s, %d events, parallelism %d, %s, state in %s\n", r.Query, r.Events, r.Parallelism, where, r.Backend)
	fmt.Fprintf(t, "  cairn %s, %s, %s, %d CPUs\n  %s\n\n", r.Version, r.Go, r.Platform, r.CPUs, r.Command)
	fmt.Fprintf(t, "  rows\t%d\tright: the checksum is that of plain loops\n", r.Rows)
	for _, f := range r.figures() {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", f.Name, quantity(f.Value, f.Unit), f.text())
	}
	if r.Rate == 0 {
		fmt.Fprintf(t, "  latency\tnot measured\tneeds --rate\n")
	}
	fmt.Fprintf(t, "  one event costs to make\t%s\tin a plain loop\n", quantity(r.GenerationNS, "ns"))
	fmt.Fprintf(t, "  one core can do at most\t%s\tevents, in a plain loop of what the query can't do without\n", quantity(r.LimitPerCPUSecond, "1/s"))
	if r.LimitRatio > 0 {
		fmt.Fprintf(t, "  of that were reached\t%s\t\n", quantity(100*r.LimitRatio, "%"))
	}
	if r.CheckpointCost != nil {
		fmt.Fprintf(t, "  checkpoints cost\t%s\tof the throughput\n", quantity(100**r.CheckpointCost, "%"))
	}
	return t.Flush()
}
