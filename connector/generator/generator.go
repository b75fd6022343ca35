// Package generator is a source that makes its records up: the n-th record is
// a function of n, so that a run can be repeated, checked and compared.
//
//	clicks := &generator.Source[Click]{
//		Make:  func(n int64, r *rand.Rand) Click { return Click{User: r.Int64N(1000), At: n} },
//		Rate:  50_000,
//		Width: 8,
//	}
//
// The records are dealt to a fixed number of splits, which does not depend on
// the parallelism: a job that is restored with more subtasks reads the same.
package generator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// Source makes records of type T.
type Source[T any] struct {
	// Make returns record n, counted from 0. r is seeded by Seed and n, so that
	// a record depends on nothing else. Make is called by many goroutines.
	Make func(n int64, r *rand.Rand) T
	// Time is record n's event time in Unix milliseconds. Default: none.
	Time func(n int64) int64
	// Seed chooses among different streams of records.
	Seed uint64
	// Count ends the source after so many records. 0: never.
	Count int64
	// Rate is how many records a second all splits make together. 0: as fast as
	// they can. A split that could not keep up does not catch up by more than
	// catchUp at once.
	Rate float64
	// Width is the number of splits; split i makes the records i, i+Width, and
	// so on. It bounds the useful parallelism. Default 1.
	Width int
}

// catchUp bounds the burst after a pause, such as backpressure or a recovery.
const catchUp = 100 * time.Millisecond

// Splits lists the splits.
func (s *Source[T]) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	if s.Make == nil {
		return nil, errors.New("generator: no Make")
	}
	n := max(s.Width, 1)
	out := make([]connector.Split, n)
	for i := range out {
		out[i].ID = strconv.Itoa(i)
		out[i].Data = encode(int64(i), int64(n))
	}
	return out, nil
}

// encode makes bytes of non-negative numbers.
func encode(numbers ...int64) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// decode reads as many numbers as encode wrote.
func decode(b []byte, numbers ...*int64) error {
	rest := b
	for _, n := range numbers {
		v, k := binary.Uvarint(rest)
		if k <= 0 {
			return fmt.Errorf("%d numbers expected in %x", len(numbers), b)
		}
		*n, rest = int64(v), rest[k:]
	}
	return nil
}

// Open starts making the records of a split after a position.
func (s *Source[T]) Open(_ context.Context, _ connector.Env, split connector.Split, position []byte) (connector.Reader[T], error) {
	r := &reader[T]{source: s}
	if err := decode(split.Data, &r.next, &r.stride); err != nil {
		return nil, fmt.Errorf("generator: split %q: %w", split.ID, err)
	}
	if position != nil {
		if err := decode(position, &r.next); err != nil {
			return nil, fmt.Errorf("generator: position in split %q: %w", split.ID, err)
		}
	}
	if s.Rate > 0 {
		r.gap = time.Duration(float64(time.Second) / s.Rate * float64(r.stride))
	}
	r.rand = rand.New(&r.pcg)
	return r, nil
}

// reader makes the records of a split.
type reader[T any] struct {
	source *Source[T]
	next   int64 // number of the next record
	stride int64
	pcg    rand.PCG
	rand   *rand.Rand

	gap time.Duration // between two records; 0 without a rate
	due time.Time     // of the next record; zero before the first

	behind bool // the last Next could not give all that was due
}

// Next makes the records that are due.
func (r *reader[T]) Next(_ context.Context, most int, out *connector.Records[T]) (time.Duration, error) {
	n, wait := r.allowed(most)
	for range n {
		if r.source.Count > 0 && r.next >= r.source.Count {
			return 0, io.EOF
		}
		r.pcg.Seed(r.source.Seed, uint64(r.next))
		out.Values = append(out.Values, r.source.Make(r.next, r.rand))
		out.Times = append(out.Times, r.time())
		r.next += r.stride
	}
	return wait, nil
}

func (r *reader[T]) time() int64 {
	if r.source.Time == nil {
		return connector.NoTime
	}
	return r.source.Time(r.next)
}

// allowed is how many records the rate allows now, and how long to wait if it
// is none.
func (r *reader[T]) allowed(most int) (n int, wait time.Duration) {
	if r.gap == 0 {
		return most, 0
	}
	now := time.Now()
	if r.due.IsZero() {
		r.due = now
	}
	if late := now.Add(-catchUp); r.due.Before(late) {
		r.due = late
	}
	for n < most && !r.due.After(now) {
		n++
		r.due = r.due.Add(r.gap)
	}
	if n == 0 {
		wait = r.due.Sub(now)
	}
	r.behind = !r.due.After(now)
	return n, wait
}

// Backlog tells whether records are due that there was no room for. Without a rate
// none ever is.
func (r *reader[T]) Backlog() bool { return r.behind }

// Position is the number of the next record.
func (r *reader[T]) Position() []byte { return encode(r.next) }

// Close has nothing to do.
func (r *reader[T]) Close() error { return nil }

var (
	_ connector.Source[int] = (*Source[int])(nil)
	_ connector.Backlogger  = (*reader[int])(nil)
)
