package changelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// object reads a whole object and checks it.
func (v *verifier) object(ctx context.Context, o *verified) error {
	data, err := v.cfg.Bucket.Get(ctx, o.key, 0, -1)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		v.problem(o.key, "", &ObjectError{o.key, err})
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", o.key, err)
	}
	segments, err := o.check(data)
	if err != nil {
		v.problem(o.key, "", damaged(o.key, err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Bytes += int64(len(data))
	v.report.Segments += segments
	if v.cfg.Progress != nil {
		v.cfg.Progress(v.report.Bytes, v.total)
	}
	return nil
}

// check holds the object's bytes against the metadata and against themselves, and
// tells how many segments there are.
func (o *verified) check(data []byte) (segments int, err error) {
	if o.sum == (snapshot.Sum{}) {
		return 0, errors.New("the metadata has no checksum of it")
	}
	if int64(len(data)) != o.sum.Size {
		return 0, fmt.Errorf("it has %d bytes, want %d", len(data), o.sum.Size)
	}
	if sum := objectstore.CRC32C(data); sum != o.sum.CRC32C {
		err = fmt.Errorf("CRC32C %08x, want %08x", sum, o.sum.CRC32C)
		if _, where := readIndex(o.key, data); where != nil {
			err = fmt.Errorf("%w: %w", err, where)
		}
		return 0, err
	}
	index, err := readIndex(o.key, data)
	if err != nil {
		return 0, err
	}
	for _, in := range index {
		if err := checkSegment(in.Segment, data); err != nil {
			return len(index), fmt.Errorf("segment at %d, of %s: %w", in.Segment.Ref.Offset, in.Log, err)
		}
	}
	for _, r := range o.refs {
		if err := r.check(index); err != nil {
			return len(index), fmt.Errorf("operator %q: %w", r.uid, err)
		}
	}
	return len(index), nil
}

// checkSegment decodes all of a segment.
func checkSegment(s snapshot.Segment, data []byte) error {
	f, err := decodeSegment(data[s.Ref.Offset : s.Ref.Offset+s.Ref.Length])
	if err != nil {
		return err
	}
	switch f.content {
	case contentFile:
		return nil
	case contentInFlight:
		return readBlocks(f.body, func([]byte) error { return nil })
	case contentRecords:
		return readBlocks(f.body, func(block []byte) error {
			return state.ReadRecords(block, func(r state.Records, group int, _ []byte) error {
				_, err := f.definition(r.Handle)
				return cmp.Or(err, checkGroup(s, group))
			})
		})
	}
	return checkEntries(s, f)
}

func checkEntries(s snapshot.Segment, f frame) error {
	count := uint64(0)
	for body := f.body; len(body) > 0; count++ {
		e, n, err := state.ReadEntry(body)
		if err != nil {
			return err
		}
		if err := checkGroup(s, e.Group); err != nil {
			return err
		}
		if _, err := f.definition(e.Handle); err != nil {
			return err
		}
		body = body[n:]
	}
	if count != f.entries {
		return fmt.Errorf("%w: %d entries, its header says %d", state.ErrCorrupt, count, f.entries)
	}
	return nil
}

func checkGroup(s snapshot.Segment, group int) error {
	if group < s.GroupLo || group > s.GroupHi {
		return fmt.Errorf("%w: key group %d in a segment of %d to %d", state.ErrCorrupt, group, s.GroupLo, s.GroupHi)
	}
	return nil
}

// check finds the reference in the object's index.
func (r *reference) check(index []Indexed) error {
	want := r.segment
	for _, in := range index {
		s := in.Segment
		if s.Ref != want.Ref {
			continue
		}
		switch {
		case s.Kind != want.Kind || s.Name != want.Name || s.Base != want.Base:
			return fmt.Errorf("segment at %d is of another kind than its reference", s.Ref.Offset)
		case want.GroupLo < s.GroupLo || want.GroupHi > s.GroupHi:
			return fmt.Errorf("segment at %d holds key groups %d to %d, its reference wants %d to %d",
				s.Ref.Offset, s.GroupLo, s.GroupHi, want.GroupLo, want.GroupHi)
		case !s.Base && (want.From < s.From || want.To > s.To):
			return fmt.Errorf("segment at %d holds positions %d to %d, its reference wants %d to %d",
				s.Ref.Offset, s.From, s.To, want.From, want.To)
		}
		return nil
	}
	return fmt.Errorf("there is no segment at %d of %d bytes with CRC32C %08x", want.Ref.Offset, want.Ref.Length, want.Ref.CRC32C)
}
