package task

import (
	"errors"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/wire"
)

// metadataError is a restore point's metadata object that can not be read.
type metadataError struct {
	key string
	err error
}

func (e *metadataError) Error() string { return "read checkpoint metadata: " + e.err.Error() }
func (e *metadataError) Unwrap() error { return e.err }

// classOf says what the leader may expect of another attempt after err. Only what
// is certain to repeat itself has a class: a missing or damaged object of the
// restore point, with its key, and a program that does not fit its state.
func classOf(err error) (class wire.FailureClass, object string) {
	if object = damagedObject(err); object != "" {
		return wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT, object
	}
	if errors.Is(err, state.ErrIncompatible) || errors.Is(err, engine.ErrUnknownUID) {
		return wire.FailureClass_FAILURE_CLASS_PROGRAM, ""
	}
	return wire.FailureClass_FAILURE_CLASS_UNSPECIFIED, ""
}

// damagedObject is the key of the object that is missing or damaged, or "". A
// store that can not be reached damages nothing.
func damagedObject(err error) string {
	if !errors.Is(err, objectstore.ErrCorrupt) && !errors.Is(err, objectstore.ErrNotFound) {
		return ""
	}
	if m := (*metadataError)(nil); errors.As(err, &m) {
		return m.key
	}
	if o := (*changelog.ObjectError)(nil); errors.As(err, &o) {
		return o.Key
	}
	return ""
}
