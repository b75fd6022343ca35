package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/cairnstream/cairn/dataflow"
)

// OperatorError is an error, or a panic, in an operator's code.
type OperatorError struct {
	UID dataflow.UID
	// Key is the key of the record or timer that the code was at, printed; empty if
	// the operator's records have none.
	Key string
	Err error
}

// Error names the operator, and the key if there is one.
func (e *OperatorError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("operator %q: %v", e.UID, e.Err)
	}
	return fmt.Sprintf("operator %q: key %s: %v", e.UID, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *OperatorError) Unwrap() error { return e.Err }

// PanicError is a panic in a job's code. Stack is that of the goroutine, from the
// call that panicked on.
type PanicError struct {
	Value any
	Stack []byte
}

// Error has the panic's value and not the stack: it becomes the reason of a
// failure, in tables and in the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// NewPanicError is what a deferred function makes of a panic that it has recovered.
func NewPanicError(value any) *PanicError {
	return &PanicError{Value: value, Stack: trimStack(debug.Stack())}
}

// trimStack removes the calls that only handle the panic: those above the last call
// of panic itself. The line that names the goroutine stays.
func trimStack(stack []byte) []byte {
	head, rest, ok := bytes.Cut(stack, []byte("\n"))
	at := bytes.LastIndex(rest, []byte("\npanic("))
	if !ok || at < 0 {
		return stack
	}
	rest = rest[at+1:]
	for range 2 { // the call and where it is
		_, below, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return stack
		}
		rest = below
	}
	return append(append(append([]byte(nil), head...), '\n'), rest...)
}

// position is the operator that a subtask is in, so that an error or a panic
// can be laid at its door.
type position struct{ op *OpContext } // nil between two pieces of work

// blame lays a panic at the door of whoever is at work.
func (p *position) blame(err *PanicError) error {
	if p.op == nil {
		return err
	}
	return p.op.Blame(err)
}

// Blame makes an error of the author's code an OperatorError with the key at hand,
// unless it is one already.
func (c *OpContext) Blame(err error) error {
	if already := (*OperatorError)(nil); err == nil || errors.As(err, &already) {
		return err
	}
	e := &OperatorError{UID: c.UID, Err: err}
	if c.CurrentKey != nil {
		e.Key = c.CurrentKey()
	}
	return e
}

// AtWork tells whether the operator is the one whose code runs right now. While it
// emits, the code of operators that are chained to it may run: who recovers a panic
// asks this first.
func (c *OpContext) AtWork() bool { return c.position != nil && c.position.op == c }
