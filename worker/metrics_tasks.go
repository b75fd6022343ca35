package worker

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstream/cairn/wire"
)

// taskMetric is a figure of a subtask that runs here. Its name is Flink's in snake case;
// docs/metrics.md has them all.
type taskMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s *wire.SubtaskStats) float64
}

var taskLabels = []string{"job", "vertex", "subtask"}

func taskCounter(name, help string, of func(s *wire.SubtaskStats) float64) taskMetric {
	return taskMetric{prometheus.NewDesc(name, help, taskLabels, nil), prometheus.CounterValue, of}
}

func taskGauge(name, help string, of func(s *wire.SubtaskStats) float64) taskMetric {
	return taskMetric{prometheus.NewDesc(name, help, taskLabels, nil), prometheus.GaugeValue, of}
}

// taskMetrics are all of them.
var taskMetrics = []taskMetric{
	taskCounter("cairn_task_num_records_in", "Records that the subtask took, since the attempt started.",
		func(s *wire.SubtaskStats) float64 { return float64(s.RecordsIn) }),
	taskCounter("cairn_task_num_records_out", "Records that the subtask gave, since the attempt started.",
		func(s *wire.SubtaskStats) float64 { return float64(s.RecordsOut) }),
	taskCounter("cairn_task_num_bytes_in", "Bytes that the subtask took, since the attempt started.",
		func(s *wire.SubtaskStats) float64 { return float64(s.BytesIn) }),
	taskCounter("cairn_task_num_records_in_errors", "Rows that a source could not read and left out, since the attempt started.",
		func(s *wire.SubtaskStats) float64 { return float64(s.BadRecords) }),
	taskGauge("cairn_task_num_records_in_per_second", "Records that the subtask took in a second, over the last interval.",
		func(s *wire.SubtaskStats) float64 { return s.RecordsInPerSecond }),
	taskGauge("cairn_task_num_records_out_per_second", "Records that the subtask gave in a second, over the last interval.",
		func(s *wire.SubtaskStats) float64 { return s.RecordsOutPerSecond }),
	taskGauge("cairn_task_busy_time_ms_per_second", "Milliseconds of a second in which the subtask worked, over the last interval.",
		func(s *wire.SubtaskStats) float64 { return 1000 * s.Busy }),
	taskGauge("cairn_task_back_pressured_time_ms_per_second", "Milliseconds of a second in which the subtask waited for room downstream, over the last interval.",
		func(s *wire.SubtaskStats) float64 { return 1000 * s.Backpressured }),
	taskGauge("cairn_task_idle_time_ms_per_second", "Milliseconds of a second in which the subtask had nothing to do, over the last interval.",
		func(s *wire.SubtaskStats) float64 { return 1000 * max(0, 1-s.Busy-s.Backpressured) }),
	taskGauge("cairn_task_current_input_watermark", "Watermark of the subtask, in Unix milliseconds; the lowest and the highest 64-bit number before the first and behind the last.",
		func(s *wire.SubtaskStats) float64 { return float64(s.WatermarkMs) }),
	taskGauge("cairn_task_state_bytes", "Live state of the subtask.",
		func(s *wire.SubtaskStats) float64 { return float64(s.StateBytes) }),
}

var waitingDesc = prometheus.NewDesc("cairn_task_checkpoint_waiting_channels",
	"Channels whose barrier the subtask waits for at this moment; 0 if it does not align.", taskLabels, nil)

// collectTasks gives the figures of one job's subtasks here. They go with the process, so
// that labels do not grow with what ever ran.
func collectTasks(job string, stats *wire.ProcessStats, to chan<- prometheus.Metric) {
	waiting := map[string]int32{}
	for _, a := range stats.Alignments {
		waiting[taskName(a.GetSubtask())] += a.Waiting
	}
	for _, s := range stats.Subtasks {
		labels := []string{job, fmt.Sprint(s.GetSubtask().GetVertex()), fmt.Sprint(s.GetSubtask().GetIndex())}
		for _, m := range taskMetrics {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(s), labels...)
		}
		to <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(waiting[taskName(s.GetSubtask())]), labels...)
	}
}

func taskName(s *wire.Subtask) string { return fmt.Sprintf("%d/%d", s.GetVertex(), s.GetIndex()) }
