package state

// Agenda orders keys by a time, as Timers do, but is no state: who keeps the times in
// its own state builds the agenda from that when it opens, and saves an entry of the
// store per timer. The same key may be there any number of times. It holds no Go
// pointers. One goroutine uses it.
type Agenda struct {
	heap timerHeap
	due  []timerItem // scratch
	key  []byte      // scratch: the key that was popped
}

// Add puts a key down for a time. It keeps no reference to key.
func (a *Agenda) Add(at int64, group int, key []byte) { a.heap.push(at, group, key, nil) }

// Len is how many keys are on it.
func (a *Agenda) Len() int { return a.heap.len() }

// Pop takes the earliest key off that is due at the time; ok is false if there is none.
// key is valid until the next call.
func (a *Agenda) Pop(time int64) (at int64, group int, key []byte, ok bool) {
	if a.heap.len() == 0 || a.heap.items[0].at > time {
		return 0, 0, nil, false
	}
	at, group, key, _ = a.heap.min()
	a.key = append(a.key[:0], key...)
	a.heap.pop()
	return at, group, a.key, true
}

// EachDue calls f for the next keys, at most limit, that Pop would take off at the
// time, and takes none off: for Prefetch. key is valid until the agenda changes.
func (a *Agenda) EachDue(time int64, limit int, f func(group int, key []byte)) {
	a.due = a.heap.earliest(a.due[:0], time, limit)
	for i := range a.due {
		f(int(a.due[i].group), a.heap.key(&a.due[i]))
	}
}
