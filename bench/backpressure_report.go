package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// BackpressureReport is what `cairn bench backpressure --json` prints.
type BackpressureReport struct {
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	CPUs     int       `json:"cpus"`
	Command  string    `json:"command"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // that the whole measurement took

	InputPerSecond float64 `json:"input_records_per_second"` // that the sources would read
	SinkPerSecond  float64 `json:"sink_records_per_second"`  // that the sink takes at most
	IntervalMS     float64 `json:"checkpoint_interval_ms"`
	TimeoutMS      float64 `json:"checkpoint_timeout_ms"`
	AlignedMS      float64 `json:"aligned_timeout_ms"`

	Modes []*BackpressureMode `json:"modes"`
	Aims  []Aim               `json:"aims"`
}

// BackpressureMode is what became of the checkpoints of one mode. Durations are those of
// completed ones, from the trigger until Raft holds them.
type BackpressureMode struct {
	Mode         string  `json:"mode"`
	MustComplete bool    `json:"must_complete"`
	Taken        int     `json:"taken"`
	Completed    int     `json:"completed"`
	TimedOut     int     `json:"timed_out"`
	Failed       int     `json:"failed"` // for other reasons
	Reason       string  `json:"reason,omitempty"`
	P50MS        float64 `json:"duration_p50_ms"`
	MaxMS        float64 `json:"duration_max_ms"`
	// InFlightBytes is the median of what the completed ones kept of records in flight.
	InFlightBytes float64 `json:"in_flight_bytes"`
	InFlightMax   float64 `json:"in_flight_bytes_max"`
	// SourcesHeld is the share of the time in which the sources waited for credit, and
	// Arrived what the sinks took a second: as told last.
	SourcesHeld float64 `json:"sources_backpressured"`
	Arrived     float64 `json:"sink_records_per_second"`

	took     []time.Duration
	inFlight []float64
}

func newBackpressureReport(c *BackpressureConfig) *BackpressureReport {
	return &BackpressureReport{
		Version: c.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Command: c.command(),
		Started: time.Now().UTC(), InputPerSecond: c.Rate, SinkPerSecond: c.Rate * c.Share, IntervalMS: backpressureInterval.Seconds() * 1e3,
		TimeoutMS: c.Timeout.Seconds() * 1e3, AlignedMS: c.AlignedTimeout.Seconds() * 1e3,
	}
}

// expiredReason begins the reason of a checkpoint that has timed out.
const expiredReason = "expired after"

// add counts a checkpoint.
func (m *BackpressureMode) add(k *wire.CheckpointView) {
	m.Taken++
	switch {
	case k.Status == "completed" || k.Status == "subsumed" || k.Status == "deleted":
		m.Completed++
		m.took = append(m.took, time.Duration(k.DurationMs*float64(time.Millisecond)))
		m.inFlight = append(m.inFlight, float64(k.InFlightBytes))
	case strings.HasPrefix(k.Reason, expiredReason):
		m.TimedOut++
	default:
		m.Failed++
		m.Reason = strings.TrimSpace(k.Status + " " + k.Reason)
	}
}

// finish computes the figures.
func (m *BackpressureMode) finish() {
	m.P50MS, m.MaxMS = round(median(m.took).Seconds()*1e3), round(quantile(m.took, 100).Seconds()*1e3)
	m.InFlightBytes, m.InFlightMax = round(median(m.inFlight)), round(quantile(m.inFlight, 100))
}

// addJob adds what the job's subtasks told last.
func (m *BackpressureMode) addJob(job *wire.GetJobResponse) {
	last := int32(len(job.OperatorsByVertex)) - 1
	for _, s := range job.Subtasks {
		if s.Stats == nil {
			continue
		}
		switch s.Subtask.Vertex {
		case 0:
			m.SourcesHeld = round(max(m.SourcesHeld, s.Stats.Backpressured))
		case last:
			m.Arrived = round(m.Arrived + s.Stats.RecordsInPerSecond)
		}
	}
}

// finish compares the figures with what they are to be.
func (r *BackpressureReport) finish() {
	r.Seconds = round(time.Since(r.Started).Seconds())
	for _, m := range r.Modes {
		if !m.MustComplete {
			r.aim(m.Mode+", checkpoints timed out", float64(m.TimedOut), 1, "", true)
			continue
		}
		r.aim(m.Mode+", checkpoints that did not complete", float64(m.Taken-m.Completed), 0, "", false)
		r.aim(m.Mode+", longest checkpoint", m.MaxMS, backpressureWithin.Seconds()*1e3, "ms", false)
		r.aim(m.Mode+", records kept in flight", m.InFlightMax, 1, "bytes", true)
	}
}

func (r *BackpressureReport) aim(name string, value, limit float64, unit string, atLeast bool) {
	met := value <= limit
	if atLeast {
		met = value >= limit
	}
	r.Aims = append(r.Aims, Aim{Name: name, Value: value, Unit: unit, Limit: limit, AtLeast: atLeast, Met: met})
}

func (r *BackpressureReport) writeJSON(w io.Writer) error {
	data, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", data)
	}
	return err
}

func (r *BackpressureReport) writeText(w io.Writer) error {
	fmt.Fprintf(w, "cairn %s, %s, %s, %d CPUs\n%s\n", r.Version, r.Go, r.Platform, r.CPUs, r.Command)
	fmt.Fprintf(w, "sources that would read %.0f records/s, a sink that takes %.0f, buffers full; a checkpoint every %.0f ms, timed out after %.0f ms\n\n",
		r.InputPerSecond, r.SinkPerSecond, r.IntervalMS, r.TimeoutMS)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "MODE\tTAKEN\tCOMPLETED\tTIMED-OUT\tFAILED\tP50\tMAX\tIN-FLIGHT\tSOURCES-HELD\tSINK\t")
	for _, m := range r.Modes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.0f ms\t%.0f ms\t%s\t%.0f %%\t%.0f/s\t\n", m.Mode, m.Taken, m.Completed, m.TimedOut, m.Failed,
			m.P50MS, m.MaxMS, quantity(m.InFlightBytes, "bytes"), 100*m.SourcesHeld, m.Arrived)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range r.Modes {
		if m.Reason != "" {
			fmt.Fprintf(w, "%s: the last that failed: %s\n", m.Mode, m.Reason)
		}
	}
	a := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeAims(a, r.Aims)
	return a.Flush()
}
