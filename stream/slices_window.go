package stream

import (
	"cmp"
	"math"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// sliceWindow is a Window of any kind but Session in one subtask. A key's open slices
// are a map state from their begin to their accumulator.
//
// Invariant: the roster has each entry of that map once, except those of Global, which it
// has only while that ends. With Purging it has empty windows too, and may have some twice.
type sliceWindow[K, In, Acc, Out any] struct {
	cut      cut
	agg      Aggregate[In, Acc, Out]
	lateness int64
	trigger  Trigger
	keys     *keyTracker[K, In]
	acc      *state.Map[int64, Acc]
	out      *engine.Output[WindowResult[K, Out]]
	late     *engine.Output[In]
	ctx      *engine.OpContext

	wm      int64
	behind  []int64 // by key group: its watermark, until the first after a restore; then nil
	roster  roster
	expired int // how far the first slice of the roster is removed
	merged  *summing[Acc]
	early   *early // nil if there are no results before the end

	// What Process knows of the slice that the last record was in.
	slice, next int64 // it is [slice, next)
	first, last int64 // the last milliseconds of its first and its last window
	inWindow    bool

	// Records that are folded together. Functions are made once, as one for each record
	// or batch would be garbage.
	batch    *engine.Batch[In]
	gathered state.Batch
	rows     []row // of each entry of gathered
	foldRow  func(i int, acc *Acc, existed bool)

	record In   // the one that addTo folds
	isNew  bool // what addTo found
	addTo  func(acc *Acc, existed bool)
}

// row is a record of the batch at hand, and its slice.
type row struct {
	at    int32
	slice int64
}

func openSlices[K, In, Acc, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], w Windows, agg Aggregate[In, Acc, Out], set *windowSettings) (engine.Transform[In], error) {
	acc, err := state.NewMap[int64, Acc](ctx.Store, "windows")
	if err = cmp.Or(err, keepCut(ctx, cutOf(w))); err != nil {
		return nil, err
	}
	open := &sliceWindow[K, In, Acc, Out]{
		cut: newCut(w), agg: agg, lateness: set.lateness.Milliseconds(), trigger: set.trigger, keys: kt, acc: acc, ctx: ctx, merged: newSumming[Acc](),
		wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
		out:  engine.OutputOf[WindowResult[K, Out]](ctx, 0),
		late: engine.OutputOf[In](ctx, lateOutput),
	}
	open.addTo, open.foldRow = open.addRecord, open.foldOne
	if open.early, err = openEarly(ctx, open.trigger); err != nil || w.kind == global {
		return open, err
	}
	return open, open.enroll()
}

// restoredWatermarks is how far event time had come in each key group; nil if that was
// the same in all of the subtask's.
func restoredWatermarks(ctx *engine.OpContext) []int64 {
	if !ctx.GroupsBehind() {
		return nil
	}
	all := make([]int64, ctx.KeyGroups)
	for group := range all {
		all[group] = ctx.RestoredWatermarkOf(group)
	}
	return all
}

// enroll builds the roster from the store.
func (w *sliceWindow[K, In, Acc, Out]) enroll() error {
	add := func(group int, key []byte, slice int64) error {
		w.roster.add(slice, group, key)
		return nil
	}
	if err := w.acc.AllKeys(add); err != nil || w.early == nil || !w.trigger.purge {
		return err
	}
	return w.early.pending.AllKeys(add) // some windows may be empty
}

// Process takes the records whose windows are all open together, and those that can give a
// result at once one by one.
func (w *sliceWindow[K, In, Acc, Out]) Process(b *engine.Batch[In]) error {
	w.batch = b
	for i, t := range b.Times {
		if t < w.slice || t >= w.next {
			if err := w.turnTo(t); err != nil {
				return err
			}
		}
		switch {
		case !w.inWindow:
		case w.behind != nil:
			if err := w.addBehind(i); err != nil {
				return err
			}
		case w.early == nil && w.first > w.wm:
			w.gather(i)
		default:
			if err := w.fold(); err != nil {
				return err
			}
			if err := w.add(i); err != nil {
				return err
			}
		}
	}
	if err := w.fold(); err != nil {
		return err
	}
	if w.behind != nil {
		return nil // windows up to w.wm have not all given their results
	}
	return w.expire(timersAtOnce + len(b.Values)) // more than the batch can have added
}

// gather puts record i of the batch down for fold, in the slice at hand.
func (w *sliceWindow[K, In, Acc, Out]) gather(i int) {
	g := &w.gathered
	from := len(g.Bytes)
	g.Bytes = w.keys.append(g.Bytes, w.batch.Values[i])
	g.EndKey(w.keys.group(w.batch, i, g.Bytes[from:]))
	g.Bytes = w.acc.AppendSub(g.Bytes, w.slice)
	g.EndSub()
	w.rows = append(w.rows, row{int32(i), w.slice})
}

// fold folds the records that were gathered into their accumulators.
func (w *sliceWindow[K, In, Acc, Out]) fold() error {
	if len(w.rows) == 0 {
		return nil
	}
	err := w.acc.UpdateBatch(&w.gathered, w.foldRow)
	w.gathered.Reset()
	w.rows = w.rows[:0]
	return err
}

// foldOne folds a record that was gathered into its accumulator.
func (w *sliceWindow[K, In, Acc, Out]) foldOne(i int, acc *Acc, existed bool) {
	r := w.rows[i]
	if !existed {
		*acc = w.agg.Init()
		if w.cut.kind != global {
			group, key, _ := w.gathered.Entry(i)
			w.roster.add(r.slice, group, key)
		}
	}
	*acc = w.agg.Add(*acc, w.batch.Values[r.at])
}

// addBehind is add before the first watermark after a restore: event time is where it was
// for the record's key group, whose windows have not given their results beyond that.
func (w *sliceWindow[K, In, Acc, Out]) addBehind(i int) error {
	w.keys.set(w.batch, i)
	group, _ := w.keys.store.Key()
	wm := w.wm
	w.wm = w.behind[group]
	err := w.add(i)
	w.wm = wm
	return err
}

// add takes record i of the batch, whose slice is at hand, and gives the results that
// follow from it.
func (w *sliceWindow[K, In, Acc, Out]) add(i int) error {
	v, t := w.batch.Values[i], w.batch.Times[i]
	if w.last <= w.wm && w.last <= w.wm-w.lateness {
		w.ctx.CountLate(1)
		w.late.Emit(v, t)
		return nil
	}
	key := w.keys.set(w.batch, i)
	if w.trigger.purge && w.last <= w.wm {
		w.emit(key, w.last+1, t, w.agg.Add(w.agg.Init(), v), Late) // the window was emptied at its end
		return nil
	}
	w.record = v
	if w.first <= w.wm {
		w.merged.open(w.slice)
	}
	if err := w.acc.Update(w.slice, w.addTo); err != nil {
		return err
	}
	if w.isNew {
		if err := w.opened(); err != nil {
			return err
		}
	}
	return w.eager(key, t)
}

// turnTo makes the slice of t the one at hand.
func (w *sliceWindow[K, In, Acc, Out]) turnTo(t int64) error {
	if w.cut.kind == global {
		w.slice, w.next, w.inWindow = math.MinInt64, math.MaxInt64, true
		w.first, w.last = math.MaxInt64-1, math.MaxInt64-1
		return nil
	}
	if t == NoTime {
		return ErrNoEventTime
	}
	w.slice, w.next = w.cut.slice(t)
	w.first, w.last, w.inWindow = w.cut.endAfter(w.slice)-1, w.cut.lastEnd(w.slice)-1, w.cut.covered(w.slice)
	return nil
}

// opened notes that the current key has something in the slice at hand for the first time.
func (w *sliceWindow[K, In, Acc, Out]) opened() error {
	if w.cut.kind == global {
		return nil
	}
	if w.trigger.purge && w.early != nil { // it may be the first since a result
		if known, err := w.early.knows(w.slice); known || err != nil {
			return err
		}
	}
	group, key := w.keys.store.Key()
	w.roster.add(w.slice, group, key)
	return nil
}

// addRecord folds the record into an accumulator. One function for all records, since
// making one for each would allocate.
func (w *sliceWindow[K, In, Acc, Out]) addRecord(acc *Acc, existed bool) {
	if w.isNew = !existed; w.isNew {
		*acc = w.agg.Init()
	}
	*acc = w.agg.Add(*acc, w.record)
}

// want tells of a key's slice.
func (w *sliceWindow[K, In, Acc, Out]) want(group int, key []byte, slice int64) {
	all := &w.keys.wanted
	from := len(all.bytes)
	var handle state.Handle
	handle, all.bytes = w.acc.Entry(all.bytes, slice)
	all.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: all.since(from)})
}

var _ engine.TimedTransform = (*sliceWindow[int, int, int, int])(nil)
