package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/wire"
)

func TestParseFaults(t *testing.T) {
	for in, want := range map[string]string{
		"none": "", "": "", "leader": "leader", "leader,worker": "leader worker", "worker+leader, worker": "leader+worker worker",
		"leader,leader,worker,leader,worker": "leader leader worker leader worker",
	} {
		faults, err := ParseFaults(in)
		var got []string
		for _, f := range faults {
			got = append(got, f.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"leder", "leader,", "leader+", "none,worker"} {
		if faults, err := ParseFaults(in); err == nil {
			t.Errorf("%q: parsed as %v", in, faults)
		}
	}
}

// at is a moment of a run that began at zero.
func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

func TestLongestGapLooksAtItsWindowsOnly(t *testing.T) {
	traces := []trace{
		{Kind: "sink_gap", From: at(0), At: at(300)},
		{Kind: "sink_gap", From: at(950), At: at(1100)},
		{Kind: "sink_gap", From: at(1500), At: at(1580)},
	}
	if gap, ok := longestGap(traces, []window{{at(1000), at(2000)}}, nil); !ok || gap != 150*time.Millisecond {
		t.Errorf("gap %v %v, want 150ms: the one that reaches into the window", gap, ok)
	}
	if gap, _ := longestGap(traces, []window{{at(0), at(2000)}}, []window{{at(0), at(1200)}}); gap != 80*time.Millisecond {
		t.Errorf("gap %v outside the disturbed stretch, want 80ms", gap)
	}
	if _, ok := longestGap(traces, nil, nil); ok {
		t.Error("measured without a window")
	}
}

func TestLongestCommitGapOverlapsTheKill(t *testing.T) {
	traces := []trace{{Kind: "commit", At: at(0)}, {Kind: "commit", At: at(900)}, {Kind: "commit", At: at(1400)}, {Kind: "commit", At: at(2100)}, {Kind: "commit", At: at(5000)}}
	if gap, ok := longestCommitGap(traces, window{at(1000), at(2000)}); !ok || gap != 700*time.Millisecond {
		t.Errorf("gap %v %v, want 700ms", gap, ok)
	}
	if gap, ok := longestCommitGap(traces[:1], window{at(1000), at(2000)}); ok {
		t.Errorf("measured %v from one commit", gap)
	}
}

func start(attempt uint64, subtask int) trace {
	e := trace{Kind: "start", Attempt: attempt}
	e.Task.Subtask = subtask
	return e
}

func TestUnexplainedStarts(t *testing.T) {
	calm := []trace{start(1, 0), start(1, 1), start(2, 0), start(2, 1)}
	if n := unexplainedStarts(calm, map[uint64]bool{2: true}); n != 0 {
		t.Errorf("%d unexplained starts in an attempt that a worker's kill made", n)
	}
	if n := unexplainedStarts(calm, nil); n != 2 {
		t.Errorf("%d unexplained starts, want the 2 of attempt 2", n)
	}
	if n := unexplainedStarts(append(calm, start(2, 1)), map[uint64]bool{2: true}); n != 1 {
		t.Errorf("%d unexplained starts, want the one that started twice", n)
	}
}

func TestReadTracesLeavesOutACutLine(t *testing.T) {
	dir := t.TempDir()
	lines := `{"kind":"start","at":"2001-01-01T00:00:02Z","job":"j","attempt":2}` + "\n" +
		`{"kind":"start","at":"2001-01-01T00:00:01Z","job":"j","attempt":1}` + "\n" + `{"kind":"start","at":"2001-01-01T00:00:03Z","job":"other"}` + "\n" + `{"kind":"st`
	if err := os.WriteFile(filepath.Join(dir, "trace.jsonl"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readTraces([]string{dir, filepath.Join(dir, "never-ran")}, "j")
	if err != nil || len(got) != 2 || got[0].Attempt != 1 {
		t.Errorf("read %v, %v; want attempts 1 and 2 in order of time", got, err)
	}
}

// newEvidence is that of a run with one kill of each kind.
func newEvidence() evidence {
	ms := int64(400)
	leader := &Strike{Fault: "leader", Target: "c1", Time: at(10_000), Term: 2, NewTerm: 3, FailoverMS: &ms, established: at(10_400), Checkpoint: 17, CompletedTerm: 3}
	worker := &Strike{Fault: "worker", Target: "w1", Time: at(18_000), Attempt: 2, recovered: at(19_500)}
	return evidence{
		strikes: []*Strike{leader, worker},
		traces: []trace{
			start(1, 0), start(2, 0), {Kind: "sink_gap", From: at(5000), At: at(5060)}, {Kind: "sink_gap", From: at(10_100), At: at(10_180)},
			{Kind: "commit", At: at(9900)}, {Kind: "commit", At: at(10_900)}, {Kind: "first_record", Attempt: 2, At: at(19_700)},
		},
		checkpoints: &wire.ListCheckpointsResponse{Completed: 2, Checkpoints: []*wire.CheckpointView{
			{Status: "completed", DurationMs: 12, UploadedBytes: 100, Puts: 2}, {Status: "subsumed", DurationMs: 8, UploadedBytes: 50, Puts: 1}, {Status: "failed", DurationMs: 900}}},
		verdict: flights.Report{Verified: true, Records: 5}, runFrom: at(0), runTo: at(25_000),
	}
}

func TestReportOfAGoodRun(t *testing.T) {
	r := newReport(newEvidence())
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"verified":true`, `"records":5`, `"checkpoint_p50_ms":12`, `"leader_failover_ms":400`, `"tasks_restarted_by_leader_kills":0`, `"output_gap_leader_kill_ms":80`,
		`"output_gap_no_fault_ms":60`, `"commit_gap_leader_kill_ms":1000`, `"worker_recovery_ms":1700`, `"uploaded_bytes":150`, `"puts":3`,
		`"checkpoint_in_flight_at_leader_kill":{"checkpoint":17,"begun_term":2,"completed_term":3}`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %s:\n%s", want, &out)
		}
	}
}

func TestReportNamesWhatIsWrong(t *testing.T) {
	for want, spoil := range map[string]func(*evidence){
		"1 lost":                   func(e *evidence) { e.verdict.Verified, e.verdict.Lost = false, 1 },
		"no such folder":           func(e *evidence) { e.verdictErr = errors.New("no such folder") },
		"1 subtasks started again": func(e *evidence) { e.traces = append(e.traces, start(3, 0)) },
		"within a checkpoint":      func(e *evidence) { e.strikes[0].CompletedTerm = e.strikes[0].Term },
	} {
		e := newEvidence()
		spoil(&e)
		if err := newReport(e).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestReportLeavesNullWhatWasNotMeasured(t *testing.T) {
	e := newEvidence()
	e.strikes, e.traces, e.checkpoints = nil, []trace{start(1, 0)}, nil
	b, err := json.Marshal(newReport(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"leader_failover_ms":null`, `"worker_recovery_ms":null`, `"output_gap_leader_kill_ms":null`, `"checkpoint_p50_ms":null`, `"faults":[]`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report lacks %s:\n%s", want, b)
		}
	}
}

func TestTimelineCountsEachEventOnce(t *testing.T) {
	tl := newTimeline()
	tl.update(func(tl *timeline) { tl.job = "j" })
	began := 0
	tl.update(func(tl *timeline) { tl.onBegun = func(sighting) { began++ } })
	for _, from := range []string{"c1", "c2", "c3"} {
		tl.add(sighting{Event: &wire.Event{Index: 1, Term: 2, Type: "leader_established", Controller: "c1"}, from: from})
		tl.add(sighting{Event: &wire.Event{Index: 5, Term: 2, Type: "checkpoint_begun", Job: "j", Checkpoint: 1}, from: from})
		tl.add(sighting{Event: &wire.Event{Index: 6, Term: 3, Type: "checkpoint_completed", Job: "j", Checkpoint: 1}, from: from})
		tl.add(sighting{Event: &wire.Event{Index: 7, Term: 3, Type: "checkpoint_completed", Job: "another", Checkpoint: 9}, from: from})
	}
	if began != 1 || tl.completed != 1 || len(tl.established) != 1 || tl.leader != "c1" {
		t.Errorf("began %d, completed %d, established %d, leader %q", began, tl.completed, len(tl.established), tl.leader)
	}
	if k := tl.checkpoints[1]; k.begunTerm != 2 || k.endedTerm != 3 || !k.completed {
		t.Errorf("checkpoint 1: %+v", k)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errJobEnded)
	if err := tl.wait(ctx, func(*timeline) bool { return false }); !errors.Is(err, errJobEnded) {
		t.Errorf("wait: %v", err)
	}
}

func TestCutCountsCellsAndNotEscapes(t *testing.T) {
	if got := cut(green+"abcdef"+plain, 3); got != green+"abc"+plain {
		t.Errorf("cut to %q", got)
	}
	if got := cut("short", 10); got != "short" {
		t.Errorf("cut to %q", got)
	}
}
