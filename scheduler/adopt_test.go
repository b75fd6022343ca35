package scheduler

import (
	"slices"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
)

func TestAdopt(t *testing.T) {
	task := func(i int) dataflow.TaskID { return dataflow.TaskID{Subtask: i} }
	placement := []Placement{{task(0), "a", "a1"}, {task(1), "b", "b1"}, {task(2), "a", "a1"}}
	a := func(s ProcessState) Report {
		return Report{Worker: "a", Incarnation: "a1", State: s, Tasks: []dataflow.TaskID{task(2), task(0)}}
	}
	b := func(s ProcessState) Report {
		return Report{Worker: "b", Incarnation: "b1", State: s, Tasks: []dataflow.TaskID{task(1)}}
	}
	type reports = []Report
	type workers = []dataflow.WorkerID
	restarted, wrong, broken := b(Active), b(Active), b(Broken)
	restarted.Incarnation = "b2"
	wrong.Tasks = []dataflow.TaskID{task(1), task(2)}
	broken.Reason = "operator counts: panic"
	const started, graceOver = 1, 2
	for _, c := range []struct {
		name    string
		reports reports
		flags   int
		want    Decision
		workers workers
		reason  string
	}{
		{"all run", reports{a(Active), b(Active)}, started, AllRunning, nil, ""},
		{"all run, not recorded yet", reports{a(Active), b(Active)}, 0, AllRunning, nil, ""},
		{"one is silent", reports{a(Active)}, started, WaitReports, workers{"b"}, ""},
		{"one stays silent", reports{a(Active)}, started | graceOver, Fail, workers{"b"}, "worker b did not report within the grace time"},
		{"one broke, the other is silent", reports{broken}, started, Fail, workers{"b"}, "worker b: operator counts: panic"},
		{"a worker was restarted", reports{a(Active), restarted}, started, Fail, workers{"b"}, "worker b was restarted"},
		{"other subtasks", reports{a(Active), wrong}, started, Fail, workers{"b"}, "worker b runs [0/1 0/2] instead of [0/1]"},
		{"lost a process", reports{a(Active), b(Absent)}, started, Fail, workers{"b"}, "worker b has no process of the running attempt"},
		{"lost a process before it was recorded", reports{a(Active), b(Absent)}, 0, Fail, workers{"b"}, "worker b has no process of the running attempt"},
		{"nothing deployed", reports{a(Absent), b(Absent)}, 0, Redeploy, workers{"a", "b"}, ""},
		{"half deployed", reports{a(Deployed), b(Absent)}, 0, Redeploy, workers{"b"}, ""},
		{"one restores", reports{a(Deployed), b(Restoring)}, graceOver, WaitDeployed, workers{"b"}, ""},
		{"all deployed", reports{b(Deployed), a(Deployed)}, 0, Start, workers{"a", "b"}, ""},
		{"half started", reports{a(Active), b(Deployed)}, 0, Start, workers{"b"}, ""},
		{"strangers do not matter", reports{a(Active), b(Active), {Worker: "c", State: Broken}}, started, AllRunning, nil, ""},
	} {
		got := Adopt(placement, c.reports, c.flags&started != 0, c.flags&graceOver != 0)
		if got.Decision != c.want || got.Reason != c.reason || !slices.Equal(got.Workers, c.workers) {
			t.Errorf("%s: got %+v, want %v %v %q", c.name, got, c.want, c.workers, c.reason)
		}
	}
}
