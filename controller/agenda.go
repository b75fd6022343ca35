package controller

import (
	"container/heap"
	"time"
)

// agenda holds what the loop has to do later, by the monotonic clock. It
// belongs to the loop's goroutine.
type agenda struct {
	items agendaHeap
}

// appointment is one thing to do later.
type appointment struct {
	at    time.Time
	do    func()
	index int // in the heap; -1 once done or cancelled
}

// after makes do run in the loop when d has passed.
func (a *agenda) after(d time.Duration, do func()) *appointment {
	item := &appointment{at: time.Now().Add(d), do: do}
	heap.Push(&a.items, item)
	return item
}

// cancel takes item off the agenda. Cancelling nil, or what is done, is harmless.
func (a *agenda) cancel(item *appointment) {
	if item != nil && item.index >= 0 {
		heap.Remove(&a.items, item.index)
	}
}

// next tells how long until the first appointment; false if there is none.
func (a *agenda) next() (time.Duration, bool) {
	if len(a.items) == 0 {
		return 0, false
	}
	return max(0, time.Until(a.items[0].at)), true
}

// runDue does what is due.
func (a *agenda) runDue() {
	for len(a.items) > 0 && !a.items[0].at.After(time.Now()) {
		heap.Pop(&a.items).(*appointment).do()
	}
}

type agendaHeap []*appointment

func (h agendaHeap) Len() int           { return len(h) }
func (h agendaHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h agendaHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *agendaHeap) Push(x any) {
	item := x.(*appointment)
	item.index = len(*h)
	*h = append(*h, item)
}

func (h *agendaHeap) Pop() any {
	old := *h
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	item.index = -1
	return item
}
