package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/dataflow"
)

const linux = "linux/amd64"

func planOf(parallelism ...int) *dataflow.Plan {
	p := &dataflow.Plan{}
	for i, n := range parallelism {
		p.Vertices = append(p.Vertices, dataflow.Vertex{ID: i, Parallelism: n})
	}
	return p
}

func workersOf(free ...int) []WorkerView {
	var ws []WorkerView
	for i, n := range free {
		id := fmt.Sprintf("w%d", i)
		ws = append(ws, WorkerView{ID: dataflow.WorkerID(id), Incarnation: dataflow.Incarnation(id + "-1"), SlotsFree: n, Platform: linux})
	}
	return ws
}

// hosts is the worker of each slot, as seen in the widest vertex.
func hosts(placements []Placement) string {
	bySlot := map[int]dataflow.WorkerID{}
	for _, p := range placements {
		bySlot[p.Task.Subtask] = p.Worker
	}
	s := ""
	for i := range len(bySlot) {
		s += string(bySlot[i])
	}
	return s
}

func TestPlace(t *testing.T) {
	other := workersOf(9)
	other[0].Platform = "darwin/arm64"
	for _, c := range []struct {
		name     string
		plan     *dataflow.Plan
		workers  []WorkerView
		previous []Placement
		hosts    string
		missing  int
	}{
		{"spreads", planOf(4), workersOf(4, 4), nil, "w0w1w0w1", 0},
		{"shares slots", planOf(2, 2, 1), workersOf(1, 1), nil, "w0w1", 0},
		{"prefers the emptier", planOf(2), workersOf(1, 3, 2), nil, "w1w2", 0},
		{"fills what there is", planOf(4), workersOf(1, 3), nil, "w1w0w1w1", 0},
		{"lacks slots", planOf(4), workersOf(1, 1), nil, "", 2},
		{"no workers", planOf(3), nil, nil, "", 3},
		{"another platform", planOf(3), other, nil, "", 3},
		{"survivors stay", planOf(4), workersOf(4, 4)[:1], placed("w1", "w0", "w1", "w0"), "w0w0w0w0", 0},
		{"survivors stay where they were", planOf(3), workersOf(4, 4, 4), placed("w2", "gone", "w1"), "w2w0w1", 0},
		{"a survivor that shrank", planOf(3), workersOf(1, 4), placed("w0", "w0", "w0"), "w0w1w1", 0},
		{"grows", planOf(3), workersOf(2, 2), placed("w1"), "w1w0w0", 0},
		{"shrinks", planOf(1), workersOf(2, 2), placed("w1", "w0"), "w1", 0},
	} {
		got, missing := Place(c.plan, c.workers, linux, c.previous)
		if hosts(got) != c.hosts || missing != c.missing {
			t.Errorf("%s: got %q missing %d, want %q missing %d", c.name, hosts(got), missing, c.hosts, c.missing)
		}
	}
}

func placed(workers ...dataflow.WorkerID) []Placement {
	var ps []Placement
	for i, w := range workers {
		ps = append(ps, Placement{Task: dataflow.TaskID{Subtask: i}, Worker: w, Incarnation: "old"})
	}
	return ps
}

// TestPlaceProperties: every task once, on a live incarnation, slots never
// overdrawn, even, the same in any order of the workers, and survivors keep
// all they can.
func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := planOf(rapid.SliceOfN(rapid.IntRange(1, 12), 1, 4).Draw(t, "parallelism")...)
		workers := workersOf(rapid.SliceOfN(rapid.IntRange(0, 8), 0, 6).Draw(t, "free")...)
		placements, missing := Place(plan, workers, linux, nil)
		checkPlacement(t, plan, workers, placements, missing)
		if missing > 0 {
			return
		}
		shuffled := slices.Clone(workers)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again, _ := Place(plan, shuffled, linux, nil); !slices.Equal(again, placements) {
			t.Fatalf("depends on the order of the workers")
		}
		lost := rapid.IntRange(0, len(workers)-1).Draw(t, "lost")
		left := slices.Delete(slices.Clone(workers), lost, lost+1)
		next, missing := Place(plan, left, linux, placements)
		checkPlacement(t, plan, left, next, missing)
		for i := range next {
			if was := placements[i]; was.Worker != workers[lost].ID && next[i] != was {
				t.Fatalf("task %s moved from %s to %s, but it survived", was.Task, was.Worker, next[i].Worker)
			}
		}
	})
}

func checkPlacement(t *rapid.T, plan *dataflow.Plan, workers []WorkerView, placements []Placement, missing int) {
	free := 0
	for _, w := range workers {
		free += w.SlotsFree
	}
	if want := max(0, plan.Slots()-free); missing != want {
		t.Fatalf("missing %d, want %d", missing, want)
	}
	if missing > 0 {
		if placements != nil {
			t.Fatalf("half placed")
		}
		return
	}
	var tasks []dataflow.TaskID
	slots := map[dataflow.WorkerID]map[int]bool{}
	for _, p := range placements {
		tasks = append(tasks, p.Task)
		if slots[p.Worker] == nil {
			slots[p.Worker] = map[int]bool{}
		}
		slots[p.Worker][p.Task.Subtask] = true
	}
	if !slices.Equal(tasks, plan.Tasks()) {
		t.Fatalf("tasks %v, want %v", tasks, plan.Tasks())
	}
	for _, w := range workers {
		if len(slots[w.ID]) > w.SlotsFree {
			t.Fatalf("worker %s has %d slots of %d", w.ID, len(slots[w.ID]), w.SlotsFree)
		}
	}
}

func TestPlaceIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "workers")
		parallelism := rapid.IntRange(1, 20).Draw(t, "parallelism")
		placements, _ := Place(planOf(parallelism), workersOf(slices.Repeat([]int{20}, n)...), linux, nil)
		count := map[dataflow.WorkerID]int{}
		for _, p := range placements {
			count[p.Worker]++
		}
		for w, c := range count {
			if c > (parallelism+n-1)/n {
				t.Fatalf("worker %s has %d of %d on %d workers", w, c, parallelism, n)
			}
		}
	})
}
