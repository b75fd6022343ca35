// Package print is a sink that prints every record on a line of its own, to
// look at a stream. It knows no transactions: after a failure records are
// printed again.
package print

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
)

// To is the sink; Sink makes one for the standard output.
type To[T any] struct {
	// Prefix begins every line. Default: the operator's uid, subtask and '>',
	// such as "out/0> ".
	Prefix string
	// Out takes the lines; the subtasks' writes, of whole lines, take turns.
	Out io.Writer

	mu sync.Mutex
}

// Sink prints to the standard output of the process. In a cluster that is the
// job's log on each worker.
func Sink[T any]() *To[T] { return Writer[T](os.Stdout) }

// Writer prints to w.
func Writer[T any](w io.Writer) *To[T] { return &To[T]{Out: w} }

// Open makes the printer of a subtask.
func (s *To[T]) Open(_ context.Context, env connector.Env) (connector.Writer[T], error) {
	prefix := s.Prefix
	if prefix == "" {
		prefix = fmt.Sprintf("%s/%d> ", env.UID, env.Subtask)
	}
	return &printer[T]{to: s, prefix: prefix}, nil
}

type printer[T any] struct {
	to     *To[T]
	prefix string
	buf    bytes.Buffer
}

// Write prints the records, each as fmt's %+v shows it, with one call of the
// underlying Write.
func (p *printer[T]) Write(values []T, _ []int64) error {
	p.buf.Reset()
	for _, v := range values {
		fmt.Fprintf(&p.buf, "%s%+v\n", p.prefix, v)
	}
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	if _, err := p.to.Out.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Prepare has nothing to do: what is printed is printed.
func (p *printer[T]) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}

// Close leaves the output open: it belongs to the process.
func (p *printer[T]) Close() error { return nil }

var _ connector.Sink[int] = (*To[int])(nil)
