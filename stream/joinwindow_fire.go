package stream

import "cmp"

// Watermark joins the windows that have ended, one after the other, and removes the
// slices that no window will need.
func (j *windowJoin[K, A, B, Out]) Watermark(wm int64) error {
	before := j.wm
	if wm <= before && j.behind == nil {
		return nil // a restored operator is ahead of its sources
	}
	j.wm = max(wm, before)
	for _, group := range j.behind {
		before = min(before, group)
	}
	for {
		end, ok := j.endAfter(before)
		if !ok || end-1 > j.wm {
			break
		}
		if err := j.fire(end); err != nil {
			return err
		}
		before = end - 1
	}
	j.behind = nil
	return cmp.Or(j.kept.first.dropWhile(j.over), j.kept.second.dropWhile(j.over))
}

// endAfter is the first end of a window that has something of the first side and whose
// last millisecond is after a watermark.
func (j *windowJoin[K, A, B, Out]) endAfter(wm int64) (end int64, ok bool) {
	for _, slice := range j.kept.first.roster.slices {
		if j.cut.lastEnd(slice.start)-1 <= wm {
			continue
		}
		if end = j.cut.endAfter(slice.start); end-1 <= wm {
			end = j.cut.endAfter(wm + 1)
		}
		return end, true
	}
	return 0, false
}

// over tells whether no window needs a slice any more.
func (j *windowJoin[K, A, B, Out]) over(slice int64) bool { return j.cut.lastEnd(slice)-1 <= j.wm }

// fire joins the window that ends at end: each slice of the first side with all of the
// second.
func (j *windowJoin[K, A, B, Out]) fire(end int64) error {
	begin := j.cut.begin(end)
	other := func(w *wanted, group int, key []byte) {
		for slice := begin; slice < end; _, slice = j.cut.slice(slice) {
			j.kept.second.want(w, group, key, slice)
		}
	}
	for _, slice := range j.kept.first.roster.within(begin, end) {
		err := j.kept.first.each(slice, other, func(group int) error {
			if j.behind != nil && end-1 <= j.behind[group] {
				return nil // it had fired before the restore
			}
			return j.join(slice.start, begin, end)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// join pairs what the current key has in a slice of the first side with what it has in
// the whole window of the second.
func (j *windowJoin[K, A, B, Out]) join(slice, begin, end int64) (err error) {
	if j.bs, err = j.gather(begin, end); err != nil || len(j.bs) == 0 {
		return err
	}
	if j.as, err = j.kept.first.appendAll(j.as[:0], slice); err != nil {
		return err
	}
	for _, a := range j.as {
		for _, b := range j.bs {
			j.out.Emit(j.pair(a, b), end-1)
		}
	}
	clear(j.as)
	clear(j.bs)
	return nil
}

// gather reads the second side of a window; with firstMatch one record is enough.
func (j *windowJoin[K, A, B, Out]) gather(begin, end int64) (all []B, err error) {
	all = j.bs[:0]
	for slice := begin; slice < end && err == nil; _, slice = j.cut.slice(slice) {
		if all, err = j.kept.second.appendAll(all, slice); j.firstMatch && len(all) > 0 {
			return all[:1], err
		}
	}
	return all, err
}
