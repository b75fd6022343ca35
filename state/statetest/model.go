package statetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/state"
)

// model is the reference. The entries of definitions are there by number, key and
// sub-key; what typed handles hold has names of its own, one for each entry.
type model map[string]string

// names returns the model's names in order.
func (w *world) names() []string { return slices.Sorted(maps.Keys(w.model)) }

// compare checks every entry of every subtask against the reference.
func (w *world) compare() {
	w.t.Helper()
	got := model{}
	var entries int64
	for _, s := range w.subtasks {
		if c, ok := s.store.(state.Counter); ok {
			check(w.t, c.Count())
		}
		n, _ := s.store.Size()
		entries += n
		for i, h := range s.handles {
			check(w.t, s.store.ScanAll(h, func(_ int, key, sub, value []byte) bool {
				got[entryName(i, string(key), string(sub))] = string(value)
				return true
			}))
		}
	}
	w.typedEntries(got)
	if !maps.Equal(got, w.model) || int(entries) != len(w.model) {
		w.t.Fatalf("attempt %d: %d entries (%d by size) restored, %d expected; different: %q",
			w.attempt, len(got), entries, len(w.model), difference(got, w.model))
	}
}

// typedEntries adds what the typed handles hold.
func (w *world) typedEntries(got model) {
	for i := range 60 {
		key := fmt.Sprint("key", i)
		s := w.at(key)
		if row := s.typed.row(w, key); row != "" {
			got["row/"+key] = row
		}
		check(w.t, s.typed.words.Range(func(k int64, v string) bool {
			got[fmt.Sprintf("word/%s/%d", key, k)] = v
			return true
		}))
	}
	set := 0
	for _, s := range w.subtasks {
		set += s.typed.timers.Len()
	}
	for name := range w.model {
		if strings.HasPrefix(name, "timer/") {
			got[name] = "" // which they are is seen when they fire
			set--
		}
	}
	if set != 0 {
		w.t.Fatalf("attempt %d: %d timers too many", w.attempt, set)
	}
}

func difference(a, b model) []string {
	var out []string
	for k := range a {
		if v, ok := b[k]; !ok || v != a[k] {
			out = append(out, fmt.Sprintf("%s is %q, not %q", k, a[k], b[k]))
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k+" is missing")
		}
	}
	slices.Sort(out)
	return out[:min(len(out), 10)]
}
