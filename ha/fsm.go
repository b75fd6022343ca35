package ha

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/raft"
)

// fsm stands between Raft and the state machine. It checks what comes from the
// disk before the state machine sees it, counts what was applied, and lets
// nothing through any more once an entry could not be applied.
type fsm struct {
	sm   StateMachine
	fail func(error)

	mu         sync.Mutex
	index      uint64 // of the last command applied
	term       uint64 // of that command
	err        error  // why nothing is applied any more
	restoreErr error  // of the first Restore that failed
}

var _ raft.FSM = (*fsm)(nil)

// applied is what Raft hands from Apply to the proposer.
type applied struct {
	result any
	err    error // the node failed; whether this entry was applied is unknown
}

// Apply applies one committed command. An entry that can't be applied ends the
// node: going on would make its state differ from the others'.
func (f *fsm) Apply(l *raft.Log) any {
	if err := f.failure(); err != nil {
		return applied{err: err}
	}
	result, err := f.apply(l)
	if err != nil {
		err = fmt.Errorf("apply entry %d of term %d: %w", l.Index, l.Term, err)
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
		f.fail(err)
		return applied{err: err}
	}
	f.advance(l.Index, l.Term)
	return applied{result: result}
}

// apply turns a panic of the state machine into an error that names the entry.
func (f *fsm) apply(l *raft.Log) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	command, err := unseal(l.Data)
	if err != nil {
		return nil, err
	}
	return f.sm.Apply(Entry{Index: l.Index, Term: l.Term, Data: command})
}

// advance records the last command that the state contains.
func (f *fsm) advance(index, term uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index, f.term = index, term
}

// position is the last command that the state contains.
func (f *fsm) position() (index, term uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.index, f.term
}

// failure is why nothing is applied any more, or nil.
func (f *fsm) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// restoreError is why the first Restore failed that did, or nil.
func (f *fsm) restoreError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.restoreErr
}

// Snapshot freezes the state.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	persist, err := f.sm.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("freeze state: %w", err)
	}
	index, term := f.position()
	return &frozen{header: snapshotHeader{index, term}, persist: persist}, nil
}

// Restore replaces the state by a snapshot's. The state machine sees nothing of
// a snapshot that is cut short or damaged, and so keeps its state.
func (f *fsm) Restore(source io.ReadCloser) error {
	err := f.restore(source)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.restoreErr == nil {
		f.restoreErr = err
	}
	return err
}

func (f *fsm) restore(source io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, source.Close()) }()
	header, state, err := readSnapshot(source)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := f.sm.Restore(state); err != nil {
		return fmt.Errorf("restore state of entry %d: %w", header.index, err)
	}
	f.advance(header.index, header.term)
	return nil
}

// frozen is a state on its way to the disk.
type frozen struct {
	header  snapshotHeader
	persist func(io.Writer) error
}

// Persist writes the snapshot; Raft makes it visible only if Close succeeds.
func (s *frozen) Persist(sink raft.SnapshotSink) error {
	if err := writeSnapshot(sink, s.header, s.persist); err != nil {
		return errors.Join(fmt.Errorf("persist: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release is Raft's word that the snapshot is no longer needed.
func (s *frozen) Release() {}
