package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Sink is an exactly-once sink in memory. It is strict: a commit of what was
// never made durable, or was forgotten or aborted, is an error.
type Sink[T any] struct {
	// OnWrite, if set, is called before each batch is written.
	OnWrite func()
	// OnPrepare, if set, is called by the asynchronous part of a Prepare; its
	// error is the part's.
	OnPrepare func() error
	// OnCommit, if set, is called before each Commit; its error is the Commit's.
	OnCommit func() error

	mu        sync.Mutex
	next      int
	staged    map[string]staged[T]
	committed map[string][]T
	forgotten map[string]bool
	order     []string // of the commits
}

type staged[T any] struct {
	job        dataflow.JobID
	checkpoint dataflow.CheckpointID
	attempt    dataflow.Attempt
	values     []T
}

// NewSink returns an empty sink.
func NewSink[T any]() *Sink[T] {
	return &Sink[T]{staged: map[string]staged[T]{}, committed: map[string][]T{}, forgotten: map[string]bool{}}
}

// Committed returns the visible output: in order within each transaction, and
// transactions in the order of their commits.
func (s *Sink[T]) Committed() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []T
	for _, k := range s.order {
		all = append(all, s.committed[k]...)
	}
	return all
}

// Staged is how many transactions are neither aborted nor forgotten.
func (s *Sink[T]) Staged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.staged)
}

// StagedOf are a job's transactions that are neither aborted nor forgotten.
func (s *Sink[T]) StagedOf(job dataflow.JobID) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.staged {
		if st.job == job {
			n++
		}
	}
	return n
}

// Open implements connector.Sink.
func (s *Sink[T]) Open(_ context.Context, env connector.Env) (connector.Writer[T], error) {
	return &writer[T]{s: s, env: env}, nil
}

// Commit implements connector.Transactional.
func (s *Sink[T]) Commit(_ context.Context, _ connector.Env, txns []snapshot.Transaction) error {
	if s.OnCommit != nil {
		if err := s.OnCommit(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range txns {
		key := string(t.Payload)
		st, ok := s.staged[key]
		switch {
		case s.forgotten[key]:
			return fmt.Errorf("transaction %s is committed again after it was forgotten", key)
		case !ok:
			return fmt.Errorf("transaction %s is not there", key)
		}
		if _, again := s.committed[key]; !again {
			s.committed[key] = st.values
			s.order = append(s.order, key)
		}
	}
	return nil
}

// Forget implements connector.Transactional.
func (s *Sink[T]) Forget(ctx context.Context, _ connector.Env, txns []snapshot.Transaction) error {
	if err := ctx.Err(); err != nil {
		return err // as a store does
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range txns {
		s.forgotten[string(t.Payload)] = true
		delete(s.staged, string(t.Payload))
	}
	return nil
}

// AbortAfter implements connector.Transactional.
func (s *Sink[T]) AbortAfter(_ context.Context, env connector.Env, restored dataflow.CheckpointID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, st := range s.staged {
		if st.job == env.Job && st.attempt < env.Attempt && st.checkpoint > restored {
			delete(s.staged, k)
		}
	}
	return nil
}

// writer is a sink subtask's.
type writer[T any] struct {
	s   *Sink[T]
	env connector.Env
	buf []T
}

func (w *writer[T]) Write(values []T, _ []int64) error {
	if w.s.OnWrite != nil {
		w.s.OnWrite()
	}
	w.buf = append(w.buf, values...)
	return nil
}

func (w *writer[T]) Prepare(id dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	values := slices.Clone(w.buf)
	w.buf = w.buf[:0]
	if len(values) == 0 {
		return nil, nil
	}
	return func(context.Context) ([][]byte, error) {
		if w.s.OnPrepare != nil {
			if err := w.s.OnPrepare(); err != nil {
				return nil, err
			}
		}
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		w.s.next++
		key := fmt.Sprintf("%s/%s/%d/%d/%d", w.env.Job, w.env.UID, id, w.env.Subtask, w.s.next)
		w.s.staged[key] = staged[T]{w.env.Job, id, w.env.Attempt, values}
		return [][]byte{[]byte(key)}, nil
	}, nil
}

func (w *writer[T]) Close() error { return nil }

var (
	_ connector.Sink[int]     = (*Sink[int])(nil)
	_ connector.Transactional = (*Sink[int])(nil)
)
