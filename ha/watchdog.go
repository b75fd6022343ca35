package ha

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// watchdog guards the log store and the stable store. The first operation that
// fails or hangs ends the node.
//
// Raft's main loop waits for the disk, and its check of the leader's lease is in
// that loop, while heartbeats go out from elsewhere: without a watchdog, a
// leader whose disk hangs leads for ever and commits nothing (raft#503). And a
// failed fsync must never be tried again: the kernel may have dropped the pages
// and then reports success.
type watchdog struct {
	dir   string        // for messages
	limit time.Duration // of one operation
	fail  func(error)

	// armed is true while Raft runs on the stores. Before, Open returns errors
	// itself; afterwards, late readers of closed stores do no harm.
	armed  atomic.Bool
	broken atomic.Pointer[error]
}

// do runs one operation. If it fails, or the node failed before, the caller gets
// an error; Raft as leader then answers its proposals and steps down.
func (w *watchdog) do(operation string, f func() error) error {
	if err := w.broken.Load(); err != nil {
		return *err
	}
	hangs := time.AfterFunc(w.limit, func() {
		w.giveUp(fmt.Errorf("%s: no answer from the disk of %s for %v", operation, w.dir, w.limit))
	})
	err := f()
	hangs.Stop()
	if err != nil && !notFound(err) {
		err = w.explain(operation, err)
		w.giveUp(err)
		return err
	}
	if broken := w.broken.Load(); broken != nil {
		return *broken
	}
	return err
}

// must runs an operation to whose failure Raft's only answer is a panic. The
// calling goroutine, always one of Raft's, ends instead: the process is being
// ended by Fatal, with a better message.
func (w *watchdog) must(operation string, f func() error) error {
	err := w.do(operation, f)
	if err != nil && !notFound(err) && w.armed.Load() {
		runtime.Goexit()
	}
	return err
}

// giveUp ends the node, if it runs.
func (w *watchdog) giveUp(err error) {
	if !w.armed.Load() {
		return
	}
	w.broken.CompareAndSwap(nil, &err)
	w.fail(err)
}

// explain names what failed where.
func (w *watchdog) explain(operation string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%s: the disk of data directory %s is full; free some space and start again: %w", operation, w.dir, err)
	}
	return fmt.Errorf("%s in data directory %s: %w", operation, w.dir, err)
}

// notFound tells a missing entry or key, which is an answer, from a failure.
// Raft itself knows the stable store's by its text.
func notFound(err error) bool {
	return errors.Is(err, raft.ErrLogNotFound) || err.Error() == "not found"
}

// watchedLog is a log store under a watchdog.
type watchedLog struct {
	store raft.LogStore
	dog   *watchdog
}

func (l watchedLog) FirstIndex() (index uint64, err error) {
	err = l.dog.must("read first index", func() (err error) { index, err = l.store.FirstIndex(); return })
	return index, err
}

func (l watchedLog) LastIndex() (index uint64, err error) {
	err = l.dog.must("read last index", func() (err error) { index, err = l.store.LastIndex(); return })
	return index, err
}

func (l watchedLog) GetLog(index uint64, log *raft.Log) error {
	return l.dog.must("read entry", func() error { return l.store.GetLog(index, log) })
}

func (l watchedLog) StoreLog(log *raft.Log) error {
	return l.dog.do("write entry", func() error { return l.store.StoreLog(log) })
}

func (l watchedLog) StoreLogs(logs []*raft.Log) error {
	return l.dog.do("write entries", func() error { return l.store.StoreLogs(logs) })
}

func (l watchedLog) DeleteRange(lo, hi uint64) error {
	return l.dog.do("delete entries", func() error { return l.store.DeleteRange(lo, hi) })
}

// watchedStable is a stable store under a watchdog.
type watchedStable struct {
	store raft.StableStore
	dog   *watchdog
}

func (s watchedStable) Set(key, value []byte) error {
	return s.dog.must("write vote", func() error { return s.store.Set(key, value) })
}

func (s watchedStable) Get(key []byte) (value []byte, err error) {
	err = s.dog.must("read vote", func() (err error) { value, err = s.store.Get(key); return })
	return value, err
}

func (s watchedStable) SetUint64(key []byte, value uint64) error {
	return s.dog.must("write term", func() error { return s.store.SetUint64(key, value) })
}

func (s watchedStable) GetUint64(key []byte) (value uint64, err error) {
	err = s.dog.must("read term", func() (err error) { value, err = s.store.GetUint64(key); return })
	return value, err
}
