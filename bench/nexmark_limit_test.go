package bench

import (
	"testing"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
)

// TestLimitDoesNoWorkForWhatAQueryDrops: else the limit would be lower than what an engine can
// reach, and the share of it that is reached too high.
func TestLimitDoesNoWorkForWhatAQueryDrops(t *testing.T) {
	const events = 5_000
	g := nexmark.Generator{Seed: 1, EventRate: 500}
	for query, want := range map[string]struct{ least, most int }{
		"q0": {4600, 4600}, "q5": {4600, 4600}, "q3": {400, 400}, "q8": {400, 400}, "q2": {1, 200}, "q7": {1, 100},
	} {
		w := &plainWork{}
		work, done, e := w.of(query), 0, nexmark.Event{}
		for n := range int64(events) {
			g.Event(n, &e)
			before := len(w.batch) + len(w.small)
			if work(&e); len(w.batch)+len(w.small) != before {
				done++
			}
		}
		if done < want.least || done > want.most {
			t.Errorf("%s: work for %d of %d events, want %d to %d", query, done, events, want.least, want.most)
		}
	}
}
