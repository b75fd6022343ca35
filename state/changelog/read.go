package changelog

import (
	"context"
	"fmt"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

const (
	// readBytes is about the largest read: it bounds a restore's memory.
	readBytes = 16 << 20
	// readGap is how many bytes between two segments are read and dropped
	// rather than asking twice: what an object store sends in the time that it
	// takes to answer.
	readGap = 1 << 20
)

// read is one GET: a range of an object that holds the segments, which are in
// the order in which they are applied.
type read struct {
	key      string
	from, to int64
	segments []snapshot.Segment
}

// wanted is how many bytes of the read's segments there are.
func (r *read) wanted() (n int64) {
	for _, s := range r.segments {
		n += s.Ref.Length
	}
	return n
}

// planReads joins the segments of all lists into reads. A list's own order is
// kept; lists hold different key groups, so that their orders are free against
// each other, and are chosen to read each object once.
func planReads(lists [][]snapshot.Segment) []read {
	var reads []read
	for {
		i := nextList(lists, reads)
		if i < 0 {
			return reads
		}
		s := lists[i][0]
		lists[i] = lists[i][1:]
		if n := len(reads); n > 0 && reads[n-1].fits(s) {
			reads[n-1].add(s)
			continue
		}
		reads = append(reads, read{
			key: s.Ref.Key, from: s.Ref.Offset, to: s.Ref.Offset + s.Ref.Length,
			segments: []snapshot.Segment{s},
		})
	}
}

// nextList returns a list whose next segment fits the last read, or else the
// first that is not empty; -1 if all are.
func nextList(lists [][]snapshot.Segment, reads []read) int {
	first := -1
	for i, l := range lists {
		if len(l) == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		if n := len(reads); n > 0 && reads[n-1].fits(l[0]) {
			return i
		}
	}
	return first
}

func (r *read) fits(s snapshot.Segment) bool {
	from, to := s.Ref.Offset, s.Ref.Offset+s.Ref.Length
	return s.Ref.Key == r.key && from <= r.to+readGap && to >= r.from-readGap &&
		max(to, r.to)-min(from, r.from) <= readBytes
}

func (r *read) add(s snapshot.Segment) {
	r.from, r.to = min(r.from, s.Ref.Offset), max(r.to, s.Ref.Offset+s.Ref.Length)
	r.segments = append(r.segments, s)
}

// fetch reads the range, checks each segment and decodes it.
func (r *read) fetch(ctx context.Context, b objectstore.Bucket) ([]frame, error) {
	data, err := b.Get(ctx, r.key, r.from, r.to-r.from)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.key, err)
	}
	frames := make([]frame, len(r.segments))
	for i, s := range r.segments {
		ref := s.Ref
		ref.Offset -= r.from
		if err := checkRef(data, ref); err != nil {
			return nil, fmt.Errorf("object %s: %w: %w", r.key, objectstore.ErrCorrupt, err)
		}
		frames[i], err = decodeSegment(data[ref.Offset : ref.Offset+ref.Length])
		if err != nil {
			return nil, fmt.Errorf("object %s at %d: %w: %w", r.key, s.Ref.Offset, objectstore.ErrCorrupt, err)
		}
	}
	return frames, nil
}
