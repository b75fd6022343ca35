package controller

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
)

// jobMetric is a figure of a job that has not ended, as Raft holds it. Its name is Flink's
// in snake case; docs/metrics.md has them all.
type jobMetric struct {
	desc *prometheus.Desc
	of   func(j *ledger.Job, last *ledger.CheckpointHistory) (v float64, known bool)
}

func jobGauge(name, help string, of func(j *ledger.Job) float64) jobMetric {
	return jobMetric{newJobDesc(name, help), func(j *ledger.Job, _ *ledger.CheckpointHistory) (float64, bool) { return of(j), true }}
}

// lastGauge is a figure of the newest checkpoint that completed; none before the first.
func lastGauge(name, help string, of func(h *ledger.CheckpointHistory) float64) jobMetric {
	return jobMetric{newJobDesc(name, help), func(_ *ledger.Job, last *ledger.CheckpointHistory) (float64, bool) {
		if last == nil {
			return 0, false
		}
		return of(last), true
	}}
}

func newJobDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"job"}, nil)
}

const nanosPerMicro = 1e3

// jobMetrics are all of them.
var jobMetrics = []jobMetric{
	jobGauge("cairn_job_total_number_of_checkpoints", "Checkpoints begun since the job was submitted.",
		func(j *ledger.Job) float64 { return float64(j.NextCheckpoint - 1) }),
	jobGauge("cairn_job_number_of_in_progress_checkpoints", "Checkpoints in flight.",
		func(j *ledger.Job) float64 { return float64(len(j.Pending)) }),
	jobGauge("cairn_job_number_of_completed_checkpoints", "Checkpoints completed since the job was submitted, savepoints among them.",
		func(j *ledger.Job) float64 { return float64(j.Completed) }),
	jobGauge("cairn_job_number_of_failed_checkpoints", "Checkpoints that did not complete, since the job was submitted.",
		func(j *ledger.Job) float64 { return float64(j.FailedCount) }),
	jobGauge("cairn_job_number_of_retained_checkpoints", "Checkpoints in the catalog, with savepoints and pinned ones.",
		func(j *ledger.Job) float64 { return float64(j.Catalog.Len()) }),
	jobGauge("cairn_job_num_restarts", "Attempts after the first.",
		func(j *ledger.Job) float64 { return float64(j.Restarts) }),
	lastGauge("cairn_job_last_completed_checkpoint_id", "Number of the newest completed checkpoint.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.ID) }),
	lastGauge("cairn_job_last_checkpoint_duration", "Milliseconds from the begin of the newest completed checkpoint to its entry in Raft.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.Duration) / 1e3 }),
	lastGauge("cairn_job_last_checkpoint_size", "Bytes that the newest completed checkpoint uploaded.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.UploadedBytes) }),
	lastGauge("cairn_job_last_checkpoint_full_size", "Bytes of state in the newest completed checkpoint.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.StateBytes) }),
	lastGauge("cairn_job_last_checkpoint_persisted_data", "Bytes of records in flight that the newest completed checkpoint keeps.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.InFlightBytes) }),
	lastGauge("cairn_job_last_checkpoint_completed_timestamp", "When the newest completed checkpoint completed, in Unix milliseconds.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.EndedAt) }),
	lastGauge("cairn_job_checkpoint_alignment_time", "Nanoseconds that the slowest subtask aligned for the newest completed checkpoint.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.Align) * nanosPerMicro }),
	lastGauge("cairn_job_checkpoint_start_delay_nanos", "Nanoseconds from the begin of the newest completed checkpoint to the last subtask's first barrier.",
		func(h *ledger.CheckpointHistory) float64 { return float64(h.Stats.StartDelay) * nanosPerMicro }),
	{newJobDesc("cairn_job_last_checkpoint_restore_timestamp", "When the current attempt began to restore, in Unix milliseconds."),
		func(j *ledger.Job, _ *ledger.CheckpointHistory) (float64, bool) {
			if j.Execution == nil || j.Execution.Restore == 0 {
				return 0, false
			}
			return float64(j.Execution.StartedAt), true
		}},
}

var failuresDesc = prometheus.NewDesc("cairn_job_failed_checkpoints_in_history",
	"Failed checkpoints that the history keeps, by class of their reason.", []string{"job", "failure"}, nil)

// failureClasses are those that the history tells of, so that each has a line from the
// begin on.
var failureClasses = []ledger.FailureClass{
	ledger.FailedDeclined, ledger.FailedExpired, ledger.FailedNotFinalized, ledger.FailedStore, ledger.FailedSubsumed, ledger.FailedAttemptEnded,
}

// collectJobs gives the figures of the jobs that have not ended: those of ended ones go,
// so that labels do not grow with the jobs that ever were.
func collectJobs(records []*ledger.Job, to chan<- prometheus.Metric) {
	for _, j := range records {
		if j.Status.Terminal() {
			continue
		}
		last := lastCompleted(j)
		for _, m := range jobMetrics {
			if v, known := m.of(j, last); known {
				to <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, v, string(j.ID))
			}
		}
		for class, n := range failuresOf(j) {
			to <- prometheus.MustNewConstMetric(failuresDesc, prometheus.GaugeValue, float64(n), string(j.ID), string(class))
		}
	}
}

// lastCompleted is the newest completed checkpoint that the history keeps, or nil.
func lastCompleted(j *ledger.Job) *ledger.CheckpointHistory {
	var newest dataflow.CheckpointID
	var last *ledger.CheckpointHistory
	for i := range j.History {
		if h := &j.History[i]; h.Status == ledger.CheckpointCompleted && h.ID > newest {
			newest, last = h.ID, h
		}
	}
	return last
}

func failuresOf(j *ledger.Job) map[ledger.FailureClass]int {
	counts := map[ledger.FailureClass]int{}
	for _, class := range failureClasses {
		counts[class] = 0
	}
	for i := range j.History {
		if class := j.History[i].Failure(); class != "" {
			counts[class]++
		}
	}
	return counts
}
