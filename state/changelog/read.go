package changelog

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// ObjectError is returned when an object of a checkpoint is missing
// (objectstore.ErrNotFound) or damaged (objectstore.ErrCorrupt): no retry
// helps, and every checkpoint that needs the object can't be restored.
type ObjectError struct {
	Key string
	Err error
}

// Error implements error.
func (e *ObjectError) Error() string { return fmt.Sprintf("object %s: %v", e.Key, e.Err) }

// Unwrap returns what is wrong with the object.
func (e *ObjectError) Unwrap() error { return e.Err }

// damaged is the error of an object whose bytes are not what they should be.
func damaged(key string, err error) error {
	if !errors.Is(err, objectstore.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", objectstore.ErrCorrupt, err)
	}
	return &ObjectError{key, err}
}

// source is where objects are read from: copies on this machine first.
type source struct {
	bucket objectstore.Bucket
	local  Copies // may be nil
	prefix string // before the keys, in the bucket
}

// get reads a range, into buf if that has room. A range that the object does not have
// says that it was cut short.
func (s *source) get(ctx context.Context, key string, from, to int64, buf []byte) ([]byte, error) {
	key = s.prefix + key
	data, err := objectstore.GetInto(ctx, s.bucket, key, from, to-from, buf)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, objectstore.ErrRange):
		return nil, damaged(key, err)
	case errors.Is(err, objectstore.ErrNotFound):
		return nil, &ObjectError{key, err}
	}
	return nil, fmt.Errorf("read %s: %w", key, err)
}

// raw is a segment as it lies in its object, not verified if it is remote.
type raw struct {
	data  []byte
	local bool
}

// fetch reads the read's parts: those that have no local copy with one GET. buf is memory for
// all of them, or nil.
func (r *read) fetch(ctx context.Context, src *source, buf []byte) ([]raw, error) {
	out := make([]raw, len(r.parts))
	from, to := r.to, r.from
	some := src.local != nil && r.copies(src.local, out, buf)
	for i, p := range r.parts {
		if ref := p.segment.Ref; !out[i].local {
			from, to = min(from, ref.Offset), max(to, ref.Offset+ref.Length)
		}
	}
	if from >= to {
		return out, nil
	}
	if some {
		buf = nil // what is verified in it must not be overwritten
	}
	data, err := src.get(ctx, r.key, from, to, buf)
	if err != nil {
		return nil, err
	}
	for i, p := range r.parts {
		if !out[i].local {
			at := p.segment.Ref.Offset - from
			out[i].data = data[at : at+p.segment.Ref.Length]
		}
	}
	return out, nil
}

// copies reads those parts that have a local copy, side by side into buf, and reports whether any
// has.
func (r *read) copies(local Copies, out []raw, buf []byte) (some bool) {
	for i, p := range r.parts {
		data, ok := local.Read(p.segment.Ref, buf)
		if !ok {
			continue
		}
		out[i], some = raw{data, true}, true
		if cap(buf) >= len(data) {
			buf = buf[len(data):cap(buf)]
		}
	}
	return some
}

// compressed reports whether the decoded segment has memory of its own.
func (x raw) compressed() bool { return x.data[0]&3 != 0 }

// decode checks a segment and decodes it. scratch is the memory for its body, if
// that fits; the frame may lie in it, or in the segment.
func (x raw) decode(s snapshot.Segment, scratch []byte) (frame, error) {
	if !x.local {
		if err := s.Ref.Verify(x.data); err != nil {
			return frame{}, damaged(s.Ref.Key, err)
		}
	}
	f, err := decodeInto(scratch, x.data)
	if err != nil {
		return frame{}, damaged(s.Ref.Key, fmt.Errorf("segment at %d: %w", s.Ref.Offset, err))
	}
	return f, nil
}
