package lsm

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// batchesMax is how many batches may wait to be written: one is written while
// the next is collected.
const batchesMax = 2

// writer writes batches to Pebble, in order, in a goroutine of its own, so that
// Pebble's pauses are not the task's.
type writer struct {
	db      *pebble.DB
	batches chan *pebble.Batch
	ended   chan struct{}

	mu        sync.Mutex
	changed   sync.Cond // of what follows
	submitted uint64    // batches, changed by the store's goroutine only
	applied   uint64
	err       error         // the first
	broken    chan struct{} // closed with the first error
	flush     error         // of the last flush
	stuck     bool          // flushes fail: a write may never return
}

func newWriter() *writer {
	w := &writer{batches: make(chan *pebble.Batch, batchesMax), ended: make(chan struct{}), broken: make(chan struct{})}
	w.changed.L = &w.mu
	return w
}

func (w *writer) run() {
	defer close(w.ended)
	for b := range w.batches {
		var err error
		if w.failure() == nil {
			err = w.db.Apply(b, pebble.NoSync)
		}
		_ = b.Close()
		w.mu.Lock()
		w.applied++
		w.mu.Unlock()
		w.fail(err)
	}
}

// fail keeps the first error, and wakes those who wait.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write to disk: %w", err)
		close(w.broken)
	}
	w.changed.Broadcast()
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// flushed is told how writing a memtable to a file has ended. An error is one only
// if background is told of it next: that there was nothing to write is none.
func (w *writer) flushed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush = err
}

// background is told what goes wrong in Pebble's goroutines. Pebble tries again, but
// while memtables can't be flushed they fill up, and a write waits for ever.
func (w *writer) background(err error) {
	w.mu.Lock()
	if w.flush != nil && errors.Is(err, w.flush) {
		w.stuck = true
	}
	w.mu.Unlock()
	w.fail(err)
}

// submit hands over a batch. It blocks while batchesMax of them wait.
func (w *writer) submit(b *pebble.Batch) {
	w.mu.Lock()
	w.submitted++
	w.mu.Unlock()
	select {
	case w.batches <- b:
	case <-w.broken:
		_ = b.Close()
	}
}

// idle reports whether all batches are in Pebble.
func (w *writer) idle() bool { return w.done() == w.seq() }

// done is the number of the last batch that is in Pebble.
func (w *writer) done() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied
}

// wait waits until all batches that were submitted so far are in Pebble.
func (w *writer) wait() error { return w.waitFor(w.seq()) }

// seq is the number of the last batch that was submitted.
func (w *writer) seq() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.submitted
}

func (w *writer) waitFor(seq uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.applied < seq && w.err == nil {
		w.changed.Wait()
	}
	return w.err
}

// stop ends the writer after the batches that wait. It reports false if that can't
// be awaited, since the disk fails: Pebble can't be closed then.
func (w *writer) stop() bool {
	close(w.batches)
	w.mu.Lock()
	stuck := w.stuck
	w.mu.Unlock()
	if stuck {
		return false
	}
	<-w.ended
	return true
}
