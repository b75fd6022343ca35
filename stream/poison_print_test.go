package stream

import (
	"errors"
	"testing"

	"github.com/cairnstream/cairn/engine"
)

// brittle is a record that can not even be printed as JSON.
type brittle struct{ N int }

func (brittle) MarshalJSON() ([]byte, error) { panic("no") }

// noError is an error type of which an author may return a nil pointer by mistake.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

// TestPoisonThatCanNotBePrinted: a record, or an error, that panics when it is printed is set
// aside like any other.
func TestPoisonThatCanNotBePrinted(t *testing.T) {
	if got := printed(brittle{7}); got != "{N:7}" {
		t.Errorf("printed %q", got)
	}
	for _, err := range []error{errors.New("bad"), (*noError)(nil), engine.NewPanicError("bad")} {
		if got := message(err); got == "" {
			t.Errorf("%T has no message", err)
		}
	}
}
