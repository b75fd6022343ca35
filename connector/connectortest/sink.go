package connectortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// TransactionalSink is a sink with two-phase commit.
type TransactionalSink[T any] interface {
	connector.Sink[T]
	connector.Transactional
}

// SinkConfig is what the suite needs to know of a sink.
type SinkConfig[T any] struct {
	// New makes the sink as each machine has its own.
	New func() TransactionalSink[T]
	// Bucket makes an empty bucket, which OpenBucket will give.
	Bucket func(t *testing.T) objectstore.Bucket
	// Record is record n of a subtask.
	Record func(subtask, n int) T
	// Read returns what a reader sees of subtask's output, in order.
	Read func(ctx context.Context, b objectstore.Bucket, env connector.Env, subtask int) ([]T, error)
	// Leftovers returns what is not output any reader should see, such as
	// staged files. After a run without zombies there must be none.
	Leftovers func(ctx context.Context, b objectstore.Bucket) ([]string, error)
	// Runs is the number of random runs. Default 50.
	Runs int
}

// Sink checks that a transactional sink's output is each record once and in
// order, whatever fails: requests to the store, checkpoints, whole attempts at
// any point, commits that are repeated by other machines, and attempts that do
// not know that they have been replaced. At no time may a reader see records
// that no completed checkpoint holds.
func Sink[T any](t *testing.T, c SinkConfig[T]) {
	t.Helper()
	if c.Runs == 0 {
		c.Runs = 50
	}
	for seed := range uint64(c.Runs) {
		s := newSinkRun(t, c, seed)
		if err := s.run(t.Context()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// subtasks is the parallelism of the runs.
const subtasks = 3

// sinkRun is a model of the engine and its leader around one sink.
type sinkRun[T any] struct {
	config  SinkConfig[T]
	rand    *rand.Rand
	bucket  objectstore.Bucket
	flaky   *flaky
	zombies bool

	attempt  *sinkAttempt[T]
	lastID   dataflow.CheckpointID
	complete completed // the newest complete checkpoint: what a restart begins with
	visible  [subtasks]int
}

// completed is what the catalog knows of a checkpoint.
type completed struct {
	id        dataflow.CheckpointID
	positions [subtasks]int
	txns      [subtasks][]snapshot.Transaction
	confirmed bool // Raft holds its commit
}

// sinkAttempt is an attempt: its writers, and what they have prepared.
type sinkAttempt[T any] struct {
	number   dataflow.Attempt
	sink     TransactionalSink[T]
	env      [subtasks]connector.Env
	writers  [subtasks]connector.Writer[T]
	written  [subtasks]int
	waiting  [subtasks][]preparation
	prepared [subtasks][]snapshot.Transaction
}

type preparation struct {
	id     dataflow.CheckpointID
	finish func(context.Context) ([][]byte, error)
}

func newSinkRun[T any](t *testing.T, c SinkConfig[T], seed uint64) *sinkRun[T] {
	r := rand.New(rand.NewPCG(seed, 2))
	b := c.Bucket(t)
	return &sinkRun[T]{
		config: c, rand: r, bucket: b, zombies: r.IntN(3) == 0,
		flaky: &flaky{Bucket: b, rand: rand.New(rand.NewPCG(seed, 3)), share: r.Float64() * 0.2},
	}
}

// steps is how much happens in a run.
const steps = 60

func (s *sinkRun[T]) run(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	for range steps {
		if err := s.step(ctx); err != nil {
			return err
		}
		if err := s.look(ctx, false); err != nil {
			return err
		}
	}
	return s.end(ctx)
}

// step does one random thing.
func (s *sinkRun[T]) step(ctx context.Context) error {
	switch s.rand.IntN(10) {
	case 0, 1, 2, 3:
		return s.attempt.write(s.config.Record, s.rand.IntN(subtasks), s.rand.IntN(50))
	case 4, 5, 6:
		_, err := s.checkpoint(ctx, s.rand.IntN(4) > 0)
		return err
	case 7:
		return s.commit(ctx)
	case 8:
		return s.forget(ctx)
	default:
		return s.crash(ctx)
	}
}

// retry repeats what may fail with an injected fault.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, errFlaky) {
			return err
		}
	}
}

// start deploys the next attempt: it finishes its restore point's commits,
// aborts what came after it, and begins to write from its positions.
func (s *sinkRun[T]) start(ctx context.Context) error {
	a := &sinkAttempt[T]{number: 1, sink: s.config.New(), written: s.complete.positions}
	if s.attempt != nil {
		a.number = s.attempt.number + 1
	}
	process := dataflow.NewIncarnation()
	for i := range subtasks {
		a.env[i] = Env(s.flaky)
		a.env[i].Attempt, a.env[i].Subtask, a.env[i].Parallelism, a.env[i].Process = a.number, i, subtasks, process
		a.prepared[i] = s.complete.txns[i]
	}
	s.attempt = a
	if err := s.commit(ctx); err != nil {
		return err
	}
	if err := retry(func() error { return a.sink.AbortAfter(ctx, a.env[0], s.complete.id) }); err != nil {
		return err
	}
	for i := range subtasks {
		w, err := a.sink.Open(ctx, a.env[i])
		if err != nil {
			return fmt.Errorf("open subtask %d: %w", i, err)
		}
		a.writers[i] = w
	}
	return nil
}

// write gives one subtask its next n records.
func (a *sinkAttempt[T]) write(record func(subtask, n int) T, subtask, n int) error {
	values, times := make([]T, n), make([]int64, n)
	for i := range values {
		values[i] = record(subtask, a.written[subtask]+i)
	}
	a.written[subtask] += n
	err := a.writers[subtask].Write(values, times)
	clear(values) // a writer must not keep them
	return err
}

// prepare takes the barrier through all writers.
func (a *sinkAttempt[T]) prepare(id dataflow.CheckpointID) error {
	for i, w := range a.writers {
		finish, err := w.Prepare(id)
		if err != nil {
			return fmt.Errorf("prepare checkpoint %d: %w", id, err)
		}
		if finish != nil {
			a.waiting[i] = append(a.waiting[i], preparation{id, finish})
		}
	}
	return nil
}

// finish makes one subtask's transactions durable.
func (a *sinkAttempt[T]) finish(ctx context.Context, i int) error {
	for len(a.waiting[i]) > 0 {
		p := a.waiting[i][0]
		payloads, err := p.finish(ctx)
		if err != nil {
			return err
		}
		a.waiting[i] = a.waiting[i][1:]
		for _, b := range payloads {
			a.prepared[i] = append(a.prepared[i], snapshot.Transaction{Checkpoint: p.id, Attempt: a.number, Payload: b})
		}
	}
	return nil
}

// checkpoint takes one. Unless it is to complete, it stops somewhere on the way,
// and the next one has its transactions too.
func (s *sinkRun[T]) checkpoint(ctx context.Context, complete bool) (done bool, err error) {
	a := s.attempt
	s.lastID++
	id, positions := s.lastID, a.written
	if err := a.prepare(id); err != nil {
		return false, err
	}
	for _, i := range s.rand.Perm(subtasks) {
		if !complete && s.rand.IntN(2) == 0 {
			return false, nil
		}
		err := a.finish(ctx, i)
		if errors.Is(err, errFlaky) {
			return false, nil // declined: the checkpoint fails and the job goes on
		}
		if err != nil {
			return false, err
		}
	}
	if !complete {
		return false, nil
	}
	s.complete = completed{id: id, positions: positions}
	for i, txns := range a.prepared {
		s.complete.txns[i] = append([]snapshot.Transaction(nil), txns...)
	}
	return true, nil
}

// commit commits the newest complete checkpoint, sometimes twice and sometimes
// also by another machine at the same time.
func (s *sinkRun[T]) commit(ctx context.Context) error {
	machines := []TransactionalSink[T]{s.attempt.sink, s.config.New()}
	for range 1 + s.rand.IntN(2) {
		errs := make(chan error, len(machines)*subtasks)
		n := 0
		for _, m := range machines[:1+s.rand.IntN(2)] {
			for i, txns := range s.complete.txns {
				n++
				go func() {
					errs <- retry(func() error { return m.Commit(ctx, s.attempt.env[i], txns) })
				}()
			}
		}
		var all error
		for range n {
			all = errors.Join(all, <-errs)
		}
		if all != nil {
			return fmt.Errorf("commit checkpoint %d: %w", s.complete.id, all)
		}
	}
	s.visible, s.complete.confirmed = s.complete.positions, true
	return nil
}

// forget tells the sink that the commit is confirmed, if it is.
func (s *sinkRun[T]) forget(ctx context.Context) error {
	if !s.complete.confirmed {
		return nil
	}
	for i, txns := range s.complete.txns {
		if err := retry(func() error { return s.attempt.sink.Forget(ctx, s.attempt.env[i], txns) }); err != nil {
			return fmt.Errorf("forget checkpoint %d: %w", s.complete.id, err)
		}
		s.attempt.forgotten(i, s.complete.id)
	}
	return nil
}

func (a *sinkAttempt[T]) forgotten(i int, id dataflow.CheckpointID) {
	var keep []snapshot.Transaction
	for _, txn := range a.prepared[i] {
		if txn.Checkpoint > id {
			keep = append(keep, txn)
		}
	}
	a.prepared[i] = keep
}

// crash ends the attempt, or leaves it behind as a zombie that goes on for a
// while, and starts the next.
func (s *sinkRun[T]) crash(ctx context.Context) error {
	old := s.attempt
	if err := s.start(ctx); err != nil {
		return err
	}
	if s.zombies {
		if err := old.haunt(ctx, s.config.Record, s.rand.IntN(40), s.lastID); err != nil {
			return err
		}
	}
	for _, w := range old.writers {
		if err := w.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	return nil
}

// haunt lets an ended attempt stage output for a checkpoint of its own time.
func (a *sinkAttempt[T]) haunt(ctx context.Context, record func(subtask, n int) T, n int, id dataflow.CheckpointID) error {
	for i := range subtasks {
		if err := a.write(record, i, n); err != nil {
			return err
		}
	}
	if err := a.prepare(id); err != nil {
		return err
	}
	for i := range subtasks {
		if err := retry(func() error { return a.finish(ctx, i) }); err != nil {
			return err
		}
	}
	return nil
}

// look compares what a reader sees with what it may see: all that was
// committed, and nothing that no complete checkpoint holds.
func (s *sinkRun[T]) look(ctx context.Context, exact bool) error {
	for i := range subtasks {
		got, err := s.config.Read(ctx, s.bucket, s.attempt.env[i], i)
		if err != nil {
			return fmt.Errorf("read subtask %d: %w", i, err)
		}
		if len(got) < s.visible[i] || len(got) > s.complete.positions[i] || exact && len(got) != s.complete.positions[i] {
			return fmt.Errorf("subtask %d: a reader sees %d records; %d are committed and %d in checkpoint %d",
				i, len(got), s.visible[i], s.complete.positions[i], s.complete.id)
		}
		for n, v := range got {
			if want := s.config.Record(i, n); !reflect.DeepEqual(v, want) {
				return fmt.Errorf("subtask %d: record %d is %+v, want %+v", i, n, v, want)
			}
		}
	}
	return nil
}

// end finishes the run as a job that comes to its end does, and looks at
// everything once more.
func (s *sinkRun[T]) end(ctx context.Context) error {
	for done := false; !done; {
		var err error
		if done, err = s.checkpoint(ctx, true); err != nil {
			return err
		}
	}
	if err := errors.Join(s.commit(ctx), s.forget(ctx)); err != nil {
		return err
	}
	for _, w := range s.attempt.writers {
		if err := w.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	if err := s.look(ctx, true); err != nil {
		return err
	}
	left, err := s.config.Leftovers(ctx, s.bucket)
	if err == nil && len(left) > 0 && !s.zombies {
		err = fmt.Errorf("left over: %v", left)
	}
	return err
}
