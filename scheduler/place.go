package scheduler

import (
	"cmp"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
)

// Place puts every subtask of a plan on a worker of the artifact's platform.
// missing is 0 and the placements are sorted by task, or missing is the number
// of slots that lack and there are no placements: a job runs whole or not at all.
//
// A slot of the attempt before stays on its worker if that worker is still
// there (whatever its incarnation) and has room, so that survivors keep their
// process and their local state. Other slots are spread: each goes to the
// worker that has the fewest of this job, then the most slots free, then the
// lowest id. The result depends on nothing but the arguments' content.
func Place(plan *dataflow.Plan, workers []WorkerView, platform string, previous []Placement) (placements []Placement, missing int) {
	p := newPlacer(workers, platform)
	slots := make([]*candidate, plan.Slots())
	if missing = len(slots) - p.free(); missing > 0 {
		return nil, missing
	}
	for slot, worker := range slotsOf(previous) {
		if slot < len(slots) {
			slots[slot] = p.keep(worker)
		}
	}
	for i := range slots {
		if slots[i] == nil {
			slots[i] = p.pick()
		}
	}
	for _, task := range plan.Tasks() {
		c := slots[task.Subtask]
		placements = append(placements, Placement{Task: task, Worker: c.ID, Incarnation: c.Incarnation})
	}
	slices.SortFunc(placements, func(a, b Placement) int { return a.Task.Compare(b.Task) })
	return placements, 0
}

// slotsOf is the worker of each slot of a placement, by slot.
func slotsOf(placement []Placement) []dataflow.WorkerID {
	var slots []dataflow.WorkerID
	for _, p := range placement {
		for len(slots) <= p.Task.Subtask {
			slots = append(slots, "")
		}
		slots[p.Task.Subtask] = p.Worker
	}
	return slots
}

// placer hands out slots.
type placer struct{ candidates []*candidate }

// candidate is a worker with what it has got of the job so far.
type candidate struct {
	WorkerView
	taken int
}

func (c *candidate) left() int { return c.SlotsFree - c.taken }

func newPlacer(workers []WorkerView, platform string) *placer {
	p := &placer{}
	for _, w := range workers {
		if w.Platform == platform && w.SlotsFree > 0 {
			p.candidates = append(p.candidates, &candidate{WorkerView: w})
		}
	}
	return p
}

func (p *placer) free() int {
	n := 0
	for _, c := range p.candidates {
		n += c.SlotsFree
	}
	return n
}

// keep takes a slot on the named worker; nil if it has none left.
func (p *placer) keep(id dataflow.WorkerID) *candidate {
	for _, c := range p.candidates {
		if c.ID == id && c.left() > 0 {
			c.taken++
			return c
		}
	}
	return nil
}

// pick takes a slot on the worker that has the least of the job. There is one:
// Place has counted.
func (p *placer) pick() *candidate {
	var open []*candidate
	for _, c := range p.candidates {
		if c.left() > 0 {
			open = append(open, c)
		}
	}
	best := slices.MinFunc(open, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.taken, b.taken), cmp.Compare(b.left(), a.left()), cmp.Compare(a.ID, b.ID))
	})
	best.taken++
	return best
}
