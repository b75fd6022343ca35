package worker

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
)

// errStaleTerm is returned for an order of a leader that has been replaced.
var errStaleTerm = errors.New("order of an older term")

// terms remembers the highest term of all orders.
type terms struct {
	mu   sync.Mutex
	term dataflow.Term
}

// highest is the highest term seen by this process.
func (t *terms) highest() dataflow.Term {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term
}

// raise takes note of a term. A lower one than the highest is an error: its
// leader has been replaced, whatever it believes.
func (t *terms) raise(term dataflow.Term) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if term < t.term {
		return fmt.Errorf("%w: %d, after %d", errStaleTerm, term, t.term)
	}
	t.term = term
	return nil
}
