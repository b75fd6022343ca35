package task

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/wire"
)

// TestClassOf: only what another attempt would meet again has a class.
func TestClassOf(t *testing.T) {
	gone := &changelog.ObjectError{Key: "c/7.0", Err: objectstore.ErrNotFound}
	const none, object, program = wire.FailureClass_FAILURE_CLASS_UNSPECIFIED, wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT, wire.FailureClass_FAILURE_CLASS_PROGRAM
	for _, c := range []struct {
		err   error
		class wire.FailureClass
		key   string
	}{
		{errors.New("out of memory"), none, ""},
		{fmt.Errorf("source: read input: %w", objectstore.ErrNotFound), none, ""},
		{&changelog.ObjectError{Key: "c/7.0", Err: errors.New("timeout")}, none, ""},
		{fmt.Errorf("open attempt 2: %w", errors.Join(fmt.Errorf("restore: %w", gone), nil)), object, "c/7.0"},
		{&engine.OperatorError{UID: "sum", Err: gone}, object, "c/7.0"},
		{fmt.Errorf("x: %w", &metadataError{"c/meta", fmt.Errorf("%w: SHA-256", objectstore.ErrCorrupt)}), object, "c/meta"},
		{&metadataError{"c/meta", errors.New("timeout")}, none, ""},
		{&engine.OperatorError{UID: "sum", Err: fmt.Errorf("state %q: %w", "total", state.ErrIncompatible)}, program, ""},
		{fmt.Errorf("restore checkpoint 3: %w", engine.ErrUnknownUID), program, ""},
	} {
		if class, key := classOf(c.err); class != c.class || key != c.key {
			t.Errorf("%v: got %v %q, want %v %q", c.err, class, key, c.class, c.key)
		}
	}
}
