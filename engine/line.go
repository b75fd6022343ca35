package engine

// line is the records of a subtask that wait for their results, and the watermarks
// between them, in the order in which they came.
type line[In, Out any] struct {
	first, last *waiting[In, Out]
	part        uint64 // how many watermarks have come
}

// waiting is a place in a line.
type waiting[In, Out any] struct {
	previous, next *waiting[In, Out]

	// time is that of the record, or the watermark if there is no record.
	time        int64
	isWatermark bool
	value       In
	part        uint64 // which watermarks came before it

	result   Out
	err      error
	answered bool // result or err is there; the subtask's goroutine knows it
}

func (l *line[In, Out]) add(v In, time int64) *waiting[In, Out] {
	w := &waiting[In, Out]{value: v, time: time, part: l.part}
	l.append(w)
	return w
}

// addWatermark puts a watermark at the end. One that is there already has nothing
// behind it and gives way.
func (l *line[In, Out]) addWatermark(wm int64) {
	if l.last != nil && l.last.isWatermark {
		l.last.time = wm
		return
	}
	l.append(&waiting[In, Out]{time: wm, isWatermark: true, part: l.part})
	l.part++
}

func (l *line[In, Out]) append(w *waiting[In, Out]) {
	if w.previous = l.last; w.previous == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

func (l *line[In, Out]) remove(w *waiting[In, Out]) {
	if w.previous == nil {
		l.first = w.next
	} else {
		w.previous.next = w.next
	}
	if w.next == nil {
		l.last = w.previous
	} else {
		w.next.previous = w.previous
	}
}

// nextRecord is the record after w, or nil.
func (w *waiting[In, Out]) nextRecord() *waiting[In, Out] {
	for w = w.next; w != nil && w.isWatermark; w = w.next {
	}
	return w
}
