package changelog

import (
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// RowReader decodes a file of rows and calls use for each, in the file's order, until it
// returns an error. An entry's handle is 0, and its slices may lie in data.
type RowReader func(data []byte, use func(state.Entry) error) error

// errNoRows is returned for files of rows where nobody reads them.
var errNoRows = errors.New("it is of a canonical savepoint, which is read by package savepoint only")

// errNoState is returned for rows of a state that the checkpoint does not describe.
var errNoState = errors.New("the metadata describes no such state")

// frame checks a segment and decodes it, whatever its kind is. newest are the states
// that the checkpoint has, by name.
func (x raw) frame(s snapshot.Segment, newest map[string]definition, rows RowReader, scratch []byte) (frame, error) {
	if s.Kind != snapshot.SegmentParquet {
		return x.decode(s, scratch)
	}
	if err := s.Ref.Verify(x.data); err != nil {
		return frame{}, damaged(s.Ref.Key, err)
	}
	d, ok := newest[s.Name]
	if !ok {
		return frame{}, damaged(s.Ref.Key, errNoState)
	}
	if rows == nil {
		return frame{}, fmt.Errorf("object %s: %w", s.Ref.Key, errNoRows)
	}
	return rowFrame(s, d, x.data, rows)
}

// rowFrame makes rows look like a part of an image: those of the segment's key groups.
func rowFrame(s snapshot.Segment, d definition, data []byte, rows RowReader) (frame, error) {
	d.handle = 0
	f := frame{content: contentEntries, defs: []definition{d}}
	err := rows(data, func(e state.Entry) error {
		if e.Group >= s.GroupLo && e.Group <= s.GroupHi {
			e.Handle, e.Deleted = 0, false
			f.body = state.AppendEntry(f.body, e)
			f.entries++
		}
		return nil
	})
	if err != nil {
		return frame{}, damaged(s.Ref.Key, err)
	}
	return f, nil
}

// newestOf is what the handles say of each state, by name.
func newestOf(handles []snapshot.Keyed) map[string]definition {
	newest := map[string]definition{}
	for _, k := range handles {
		for _, s := range k.States {
			if s.Name != "" { // else nobody uses the handle
				newest[s.Name] = definition{name: s.Name, kind: s.Kind, schema: s.Schema}
			}
		}
	}
	return newest
}
