package enginetest

import (
	"reflect"

	"github.com/cairnstream/cairn/engine"
)

// Relay carries the news of aligned sources between the attempts of different processes, as
// the leader of a cluster does.
type Relay struct{ last [][]engine.SourceTime }

// Pass tells each attempt how far the others' sources have come. changed tells whether any
// of them has come further, or back, since the last time.
func (r *Relay) Pass(attempts []*engine.Attempt) (changed bool) {
	all := make([][]engine.SourceTime, len(attempts))
	for i, a := range attempts {
		all[i] = a.SourceTimes()
	}
	for i, a := range attempts {
		a.AlignSources(elsewhere(all, i))
	}
	changed = !reflect.DeepEqual(all, r.last)
	r.last = all
	return changed
}

// elsewhere is the lowest of each group of attempt i in the others.
func elsewhere(all [][]engine.SourceTime, i int) []engine.SourceTime {
	var others []engine.SourceTime
	for _, mine := range all[i] {
		o := engine.SourceTime{Group: mine.Group, Lowest: engine.MaxWatermark}
		for j, times := range all {
			for _, t := range times {
				if j != i && t.Group == mine.Group {
					o.Lowest = min(o.Lowest, t.Lowest)
				}
			}
		}
		others = append(others, o)
	}
	return others
}
