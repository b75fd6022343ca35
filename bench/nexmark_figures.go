package bench

import (
	"fmt"
	"slices"
)

// nexmarkFigure is one of the figures of a run.
type nexmarkFigure struct {
	name, unit string
	// more tells that a greater value is better.
	more bool
	of   func(*NexmarkFigures) *float64
}

// nexmarkFigures are those that are printed and compared.
var nexmarkFigures = []nexmarkFigure{
	{"events_per_second", "1/s", true, func(f *NexmarkFigures) *float64 { return &f.EventsPerSecond }},
	{"events_per_cpu_second", "1/s", true, func(f *NexmarkFigures) *float64 { return &f.EventsPerCPUSecond }},
	{"cpu_seconds", "s", false, func(f *NexmarkFigures) *float64 { return &f.CPUSeconds }},
	{"latency_p50_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.LatencyP50MS }},
	{"latency_p99_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.LatencyP99MS }},
	{"latency_p999_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.LatencyP999MS }},
	{"latency_p9999_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.LatencyP9999MS }},
	{"latency_max_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.LatencyMaxMS }},
	{"commit_latency_p50_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.CommitP50MS }},
	{"commit_latency_p99_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.CommitP99MS }},
	{"checkpoints", "", true, func(f *NexmarkFigures) *float64 { return &f.Checkpoints }},
	{"checkpoint_p50_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.CheckpointP50MS }},
	{"checkpoint_p99_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.CheckpointP99MS }},
	{"checkpoint_max_ms", "ms", false, func(f *NexmarkFigures) *float64 { return &f.CheckpointMaxMS }},
	{"checkpoint_bytes", "bytes", false, func(f *NexmarkFigures) *float64 { return &f.CheckpointBytes }},
	{"peak_memory_bytes", "bytes", false, func(f *NexmarkFigures) *float64 { return &f.PeakMemoryBytes }},
	{"gc_share", "", false, func(f *NexmarkFigures) *float64 { return &f.GCShare }},
}

// medians are the medians of the figures of some runs.
func medians(runs []*NexmarkRun) (out NexmarkFigures) {
	for _, f := range nexmarkFigures {
		*f.of(&out) = median(f.values(runs))
	}
	return out
}

// values are the figure's in each of the runs.
func (f *nexmarkFigure) values(runs []*NexmarkRun) []float64 {
	var v []float64
	for _, r := range runs {
		v = append(v, *f.of(&r.NexmarkFigures))
	}
	return v
}

// spread is a figure's median, with the least and the greatest value of all runs.
type spread struct {
	Figure
	least, most float64
	runs        int
}

// text says how far the runs lie apart.
func (s spread) text() string {
	if s.runs < 2 {
		return ""
	}
	return fmt.Sprintf("%s to %s in %d runs", quantity(s.least, s.Unit), quantity(s.most, s.Unit), s.runs)
}

// figures are the figures that were measured.
func (r *NexmarkReport) figures() (out []spread) {
	runs := r.counted()
	for _, f := range nexmarkFigures {
		v := f.values(runs)
		if len(v) == 0 || slices.Max(v) == 0 {
			continue
		}
		out = append(out, spread{Figure{f.name, median(v), f.unit}, slices.Min(v), slices.Max(v), len(v)})
	}
	return out
}

// counted are the runs that the report's figures are of.
func (r *NexmarkReport) counted() []*NexmarkRun {
	if with := r.runs(true); len(with) > 0 {
		return with
	}
	return r.runs(false)
}
