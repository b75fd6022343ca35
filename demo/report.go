package demo

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/wire"
)

// Report is what `cairn demo --json` prints. With repeated faults each figure
// is the worst; what was not measured is null. Durations are milliseconds.
type Report struct {
	Verified   bool   `json:"verified"`
	Records    int64  `json:"records"` // rows in the committed output, one for each row of input if it is exact
	Lost       int64  `json:"lost"`
	Duplicated int64  `json:"duplicated"`
	Wrong      int64  `json:"wrong"` // altered, or out of order within their key
	Error      string `json:"error,omitempty"`

	CheckpointsCompleted int64    `json:"checkpoints_completed"`
	CheckpointsFailed    int64    `json:"checkpoints_failed"`
	CheckpointP50MS      *float64 `json:"checkpoint_p50_ms"`
	CheckpointP99MS      *float64 `json:"checkpoint_p99_ms"`

	LeaderKills                int    `json:"leader_kills"`
	LeaderFailoverMS           *int64 `json:"leader_failover_ms"`
	TasksRestartedByLeaderKill int    `json:"tasks_restarted_by_leader_kills"`
	OutputGapLeaderKillMS      *int64 `json:"output_gap_leader_kill_ms"`
	OutputGapNoFaultMS         *int64 `json:"output_gap_no_fault_ms"`
	CommitGapLeaderKillMS      *int64 `json:"commit_gap_leader_kill_ms"`
	WorkerKills                int    `json:"worker_kills"`
	WorkerRecoveryMS           *int64 `json:"worker_recovery_ms"`

	UploadedBytes int64     `json:"uploaded_bytes"`
	Puts          int64     `json:"puts"`
	DurationMS    int64     `json:"duration_ms"`
	Faults        []*Strike `json:"faults"`
	// InFlight is a checkpoint that began under a leader, outlived it and
	// completed under the next one.
	InFlight *InFlight `json:"checkpoint_in_flight_at_leader_kill"`

	differences []string
}

// InFlight names a checkpoint that outlived its leader.
type InFlight struct {
	Checkpoint    uint64 `json:"checkpoint"`
	BegunTerm     uint64 `json:"begun_term"`
	CompletedTerm uint64 `json:"completed_term"`
}

// aftermath is how long after a new leader's first entry the effects of a kill
// are looked for.
const aftermath = time.Second

// evidence is everything that the figures are made of.
type evidence struct {
	strikes     []*Strike
	traces      []trace
	checkpoints *wire.ListCheckpointsResponse
	verdict     flights.Report
	verdictErr  error
	runFrom     time.Time // the job ran
	runTo       time.Time
}

// newReport computes the report. It decides nothing about success: see Err.
func newReport(e evidence) *Report {
	v := e.verdict
	r := &Report{Verified: v.Verified && e.verdictErr == nil, Records: v.Records, Lost: v.Lost, Duplicated: v.Duplicated, Wrong: v.Wrong,
		Faults: e.strikes, DurationMS: e.runTo.Sub(e.runFrom).Milliseconds(), differences: v.Differences}
	if e.verdictErr != nil {
		r.Error = e.verdictErr.Error()
	}
	if r.Faults == nil {
		r.Faults = []*Strike{}
	}
	r.addCheckpoints(e.checkpoints)
	explained := map[uint64]bool{}
	for _, s := range e.strikes {
		if s.Fault == "leader" {
			r.addLeaderKill(s, e)
		} else {
			explained[s.Attempt] = true
			r.addWorkerKill(s, e)
		}
	}
	r.TasksRestartedByLeaderKill = unexplainedStarts(e.traces, explained)
	if gap, ok := longestGap(e.traces, []window{{e.runFrom, e.runTo}}, e.disturbed()); ok {
		ms := gap.Milliseconds()
		r.OutputGapNoFaultMS = &ms
	}
	return r
}

func (r *Report) addCheckpoints(list *wire.ListCheckpointsResponse) {
	if list == nil {
		return
	}
	r.CheckpointsCompleted, r.CheckpointsFailed = list.Completed, list.Failed
	var ms []float64
	for _, k := range list.Checkpoints {
		if k.Status == "completed" || k.Status == "subsumed" || k.Status == "deleted" {
			ms = append(ms, k.DurationMs)
			r.UploadedBytes += k.UploadedBytes
			r.Puts += k.Puts
		}
	}
	if len(ms) > 0 {
		slices.Sort(ms)
		p50, p99 := ms[len(ms)/2], ms[len(ms)*99/100]
		r.CheckpointP50MS, r.CheckpointP99MS = &p50, &p99
	}
}

func (r *Report) addLeaderKill(s *Strike, e evidence) {
	r.LeaderKills++
	worst(&r.LeaderFailoverMS, s.FailoverMS)
	if s.survivedInFlight() && r.InFlight == nil {
		r.InFlight = &InFlight{Checkpoint: s.Checkpoint, BegunTerm: s.Term, CompletedTerm: s.CompletedTerm}
	}
	if s.established.IsZero() || s.With != "" {
		return // with a worker gone as well, the gap is the worker's
	}
	w := window{s.Time, s.established.Add(aftermath)}
	if gap, ok := longestGap(e.traces, []window{w}, nil); ok {
		ms := gap.Milliseconds()
		worst(&r.OutputGapLeaderKillMS, &ms)
	}
	if gap, ok := longestCommitGap(e.traces, w); ok {
		ms := gap.Milliseconds()
		worst(&r.CommitGapLeaderKillMS, &ms)
	}
}

func (r *Report) addWorkerKill(s *Strike, e evidence) {
	r.WorkerKills++
	if at, ok := firstRecord(e.traces, s.Attempt); ok && s.Attempt > 0 {
		ms := at.Sub(s.Time).Milliseconds()
		s.RecoveryMS = &ms
		worst(&r.WorkerRecoveryMS, &ms)
	}
}

// disturbed are the stretches in which a fault was at work: the beginning and
// the end of the run count too, since sources start and run dry one by one.
func (e evidence) disturbed() []window {
	windows := []window{{e.runFrom.Add(-time.Hour), e.runFrom.Add(2 * time.Second)}, {e.runTo.Add(-2 * time.Second), e.runTo.Add(time.Hour)}}
	for _, s := range e.strikes {
		end := s.Time.Add(5 * time.Second)
		for _, at := range []time.Time{s.established, s.recovered} {
			if at.Add(2 * time.Second).After(end) {
				end = at.Add(2 * time.Second)
			}
		}
		windows = append(windows, window{s.Time, end})
	}
	return windows
}

func worst(into **int64, v *int64) {
	if v != nil && (*into == nil || *v > **into) {
		n := *v
		*into = &n
	}
}

// Err is why the run is not a success, or nil.
func (r *Report) Err() error {
	switch {
	case r.Error != "":
		return fmt.Errorf("verify the output: %s", r.Error)
	case !r.Verified:
		return fmt.Errorf("the output is not exact: %d lost, %d duplicated, %d wrong", r.Lost, r.Duplicated, r.Wrong)
	case r.TasksRestartedByLeaderKill > 0:
		return fmt.Errorf("%d subtasks started again although no process was lost", r.TasksRestartedByLeaderKill)
	case r.LeaderKills > 0 && r.InFlight == nil:
		return fmt.Errorf("no leader's kill struck within a checkpoint that then completed under the next leader")
	}
	return nil
}

// print writes the report for people.
func (r *Report) print(w io.Writer) {
	verdict := "EXACT"
	if err := r.Err(); err != nil {
		verdict = "FAILED: " + err.Error()
	}
	fmt.Fprintf(w, "\n%s\n", verdict)
	fmt.Fprintf(w, "  records       %s in, each with its one right row out: %d lost, %d duplicated, %d wrong\n", countText(r.Records), r.Lost, r.Duplicated, r.Wrong)
	for _, d := range r.differences {
		fmt.Fprintf(w, "                %s\n", d)
	}
	fmt.Fprintf(w, "  checkpoints   %d completed, %d failed; %s at the median, %s at p99; %s uploaded in %d objects\n",
		r.CheckpointsCompleted, r.CheckpointsFailed, floatText(r.CheckpointP50MS), floatText(r.CheckpointP99MS), megabytes(r.UploadedBytes), r.Puts)
	if r.LeaderKills > 0 {
		fmt.Fprintf(w, "  leader kills  %d; the next leader commits after %s; %d tasks restarted\n", r.LeaderKills, msText(r.LeaderFailoverMS), r.TasksRestartedByLeaderKill)
		fmt.Fprintf(w, "                longest silence of a sink around a kill %s (without a fault %s); of committed output %s\n",
			msText(r.OutputGapLeaderKillMS), msText(r.OutputGapNoFaultMS), msText(r.CommitGapLeaderKillMS))
	}
	if k := r.InFlight; k != nil {
		fmt.Fprintf(w, "                checkpoint %d began in term %d, lost its leader, and completed in term %d\n", k.Checkpoint, k.BegunTerm, k.CompletedTerm)
	}
	if r.WorkerKills > 0 {
		fmt.Fprintf(w, "  worker kills  %d; records flow again after %s\n", r.WorkerKills, msText(r.WorkerRecoveryMS))
	}
	for _, s := range r.Faults {
		fmt.Fprintf(w, "  fault         %s  %s %s (pid %d) %s\n", s.Time.Format("15:04:05.000"), s.Signal, s.Target, s.PID, s.Fault)
	}
}
