package statetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/state"
)

// The program's author changes a type in the middle of a random program: a
// field goes, one comes, one gets another name.
type (
	before struct {
		Count int64
		Gone  int32
		Price int64
	}
	after struct {
		Count int64
		New   int64
		Cost  int64 `cairn:"was=Price"`
	}
)

// changedAt is the attempt that is the first of the new program.
const changedAt = 3

// typed are a subtask's typed handles.
type typed struct {
	old    *state.Value[before]
	new    *state.Value[after]
	words  *state.Map[int64, string]
	timers *state.Timers
}

func (h *typed) register(w *world, s Store) {
	var err error
	if w.attempt < changedAt {
		h.old, err = state.NewValue[before](s, "row")
	} else {
		h.new, err = state.NewValue[after](s, "row")
	}
	check(w.t, err)
	h.words, err = state.NewMap[int64, string](s, "words")
	check(w.t, err)
	h.timers, err = state.NewTimers(s, "timers")
	check(w.t, err)
}

// row is a row of either program, as the reference keeps it.
func (h *typed) row(w *world, key string) string {
	var row after
	var ok bool
	var err error
	if h.old != nil {
		var v before
		v, ok, err = h.old.Get()
		row = after{Count: v.Count, Cost: v.Price}
	} else {
		row, ok, err = h.new.Get()
	}
	check(w.t, err)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %d", row.Count, row.New, row.Cost)
}

// change changes the key's row or one of its words.
func (h *typed) change(w *world, key string) {
	w.t.Helper()
	name := "row/" + key
	if got := h.row(w, key); got != w.model[name] {
		w.t.Fatalf("%s is %q, want %q", name, got, w.model[name])
	}
	switch w.rnd.IntN(6) {
	case 0:
		if delete(w.model, name); h.old != nil {
			h.old.Clear()
		} else {
			h.new.Clear()
		}
	case 1, 2, 3:
		w.model[name] = h.update(w)
	default:
		h.changeWord(w, key)
	}
}

// update changes the row and returns what it became.
func (h *typed) update(w *world) (row string) {
	n := w.rnd.Int64N(100)
	if h.old != nil {
		check(w.t, h.old.Update(func(v *before, _ bool) {
			v.Count, v.Gone, v.Price = v.Count+n, 7, n
			row = fmt.Sprintf("%d 0 %d", v.Count, n)
		}))
		return row
	}
	check(w.t, h.new.Update(func(v *after, _ bool) {
		v.Count, v.New = v.Count+n, n
		row = fmt.Sprintf("%d %d %d", v.Count, v.New, v.Cost)
	}))
	return row
}

func (h *typed) changeWord(w *world, key string) {
	n := w.rnd.Int64N(8) - 4
	name := fmt.Sprintf("word/%s/%d", key, n)
	if w.rnd.IntN(3) == 0 {
		h.words.Delete(n)
		delete(w.model, name)
		return
	}
	w.model[name] = strings.Repeat("w", w.rnd.IntN(50))
	check(w.t, h.words.Put(n, w.model[name]))
	got, ok, err := h.words.Get(n)
	check(w.t, err)
	if !ok || got != w.model[name] {
		w.t.Fatalf("%s is %q, %v", name, got, ok)
	}
}

// timers sets or deletes a timer, or lets those of the subtask fire.
func (w *world) timers(s *subtask, key string) {
	w.t.Helper()
	at := w.rnd.Int64N(1000)
	name := fmt.Sprintf("timer/%s/%03d", key, at)
	switch w.rnd.IntN(8) {
	case 0:
		w.fire(s, w.rnd.Int64N(300))
	case 1, 2:
		at = w.anyTimer(key, at)
		s.typed.timers.Delete(at, []byte("t"))
		delete(w.model, fmt.Sprintf("timer/%s/%03d", key, at))
	default:
		s.typed.timers.Register(at, []byte("t"))
		w.model[name] = ""
	}
}

// anyTimer is the time of a timer of the key, if it has one.
func (w *world) anyTimer(key string, otherwise int64) int64 {
	for _, name := range w.names() {
		var at int64
		if rest, ok := strings.CutPrefix(name, "timer/"+key+"/"); ok {
			_, err := fmt.Sscanf(rest, "%d", &at)
			check(w.t, err)
			return at
		}
	}
	return otherwise
}

// fire fires the subtask's timers until the time.
func (w *world) fire(s *subtask, until int64) {
	var got, want []string
	check(w.t, s.typed.timers.PopUntil(until, func(_ int, key, _ []byte, at int64) error {
		got = append(got, fmt.Sprintf("timer/%s/%03d", key, at))
		return nil
	}))
	for _, name := range w.names() {
		if strings.HasPrefix(name, "timer/") && name[len(name)-3:] <= fmt.Sprintf("%03d", until) && w.holds(s, name) {
			want = append(want, name)
			delete(w.model, name)
		}
	}
	slices.Sort(got)
	equal(w.t, "fired", got, want)
}
