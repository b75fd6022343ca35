package enginetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// Source reads slices: one split for each, and at most Chunk records at a time.
type Source[T any] struct {
	Slices [][]T
	Chunk  int // 0: as many as are asked for
	// Hold, if set, is asked before each read; while it is true nothing is due.
	Hold func(split, position int) bool
}

// Splits implements connector.Source.
func (s *Source[T]) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	var splits []connector.Split
	for i := range s.Slices {
		splits = append(splits, connector.Split{ID: fmt.Sprintf("slice-%d", i), Data: []byte{byte(i)}})
	}
	return splits, nil
}

// Open implements connector.Source.
func (s *Source[T]) Open(_ context.Context, _ connector.Env, split connector.Split, position []byte) (connector.Reader[T], error) {
	r := &reader[T]{s: s, split: int(split.Data[0])}
	if position != nil {
		r.pos = int(binary.BigEndian.Uint64(position))
	}
	return r, nil
}

type reader[T any] struct {
	s          *Source[T]
	split, pos int
}

func (r *reader[T]) Next(_ context.Context, limit int, out *connector.Records[T]) (time.Duration, error) {
	if r.s.Hold != nil && r.s.Hold(r.split, r.pos) {
		return time.Millisecond, nil
	}
	if r.s.Chunk > 0 {
		limit = min(limit, r.s.Chunk)
	}
	rest := r.s.Slices[r.split][r.pos:]
	n := min(limit, len(rest))
	for _, v := range rest[:n] {
		out.Values = append(out.Values, v)
		out.Times = append(out.Times, connector.NoTime)
	}
	r.pos += n
	if n == len(rest) {
		return 0, io.EOF
	}
	return 0, nil
}

func (r *reader[T]) Position() []byte { return binary.BigEndian.AppendUint64(nil, uint64(r.pos)) }

func (r *reader[T]) Close() error { return nil }

var _ connector.Source[int] = (*Source[int])(nil)
