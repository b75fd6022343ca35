package rowfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// rowsAtOnce is how many rows are turned into columns together: enough for the
// encoders, and few enough for their values to stay in a core's cache.
const rowsAtOnce = 256

// file is a Parquet file that is being written to memory.
type file struct {
	out  bytes.Buffer
	w    *parquet.GenericWriter[any]
	rows rows
	open int // rows in rows
	n    int
}

// newFile begins a file. Its rows come sorted by the column, if that is not empty.
func newFile(l *layout, sorted string, facts map[string]string) *file {
	f := &file{rows: make(rows, l.leaves)}
	options := []parquet.WriterOption{
		l.schema, parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(true), parquet.CreatedBy("cairn", "savepoint", "1"),
	}
	if sorted != "" {
		options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending(sorted))))
	}
	for k, v := range facts {
		options = append(options, parquet.KeyValueMetadata("cairn."+k, v))
	}
	f.w = parquet.NewGenericWriter[any](&f.out, options...)
	return f
}

// next counts a row whose values have been put.
func (f *file) next() error {
	f.n++
	if f.open++; f.open < rowsAtOnce {
		return nil
	}
	return f.flush()
}

func (f *file) flush() error {
	if f.open == 0 {
		return nil // a column writer takes no empty slice
	}
	for i, c := range f.w.ColumnWriters() {
		if _, err := c.WriteRowValues(f.rows[i]); err != nil {
			return err
		}
		f.rows[i] = f.rows[i][:0]
	}
	f.open = 0
	return nil
}

func (f *file) finish() ([]byte, error) {
	if err := f.flush(); err != nil {
		return nil, err
	}
	if err := f.w.Close(); err != nil {
		return nil, err
	}
	return f.out.Bytes(), nil
}

// Writer writes the entries of one keyed state. It is for one goroutine.
type Writer struct {
	layout *entryLayout
	state  snapshot.State
	file   *file
	// arena keeps the bytes of the rows that are not in columns yet.
	arena []byte
}

// NewWriter begins a file of a state's entries. An empty keySchema, or one of the state, leaves
// out the typed columns. A schema that does not parse is an error that names it.
func NewWriter(uid dataflow.UID, keySchema string, s snapshot.State) (*Writer, error) {
	l, err := newEntryLayout(keySchema, s)
	if err != nil {
		return nil, fmt.Errorf("state %q: %w", s.Name, err)
	}
	facts := map[string]string{"operator": string(uid), "state": s.Name, "kind": s.Kind, "schema": s.Schema, "key_schema": keySchema}
	return &Writer{layout: l, state: s, file: newFile(l.layout, colGroup, facts)}, nil
}

// Add adds an entry; they come in order of their key groups. It keeps none of the slices.
// Bytes that do not decode by the schemas are state.ErrCorrupt.
func (w *Writer) Add(e state.Entry) error {
	if err := w.add(w.file.rows, e); err != nil {
		return fmt.Errorf("state %q: key 0x%x: %w", w.state.Name, e.Key, err)
	}
	if err := w.file.next(); err != nil {
		return fmt.Errorf("state %q: %w", w.state.Name, err)
	}
	if w.file.open == 0 {
		w.arena = w.arena[:0]
	}
	return nil
}

// Rows is how many entries were added.
func (w *Writer) Rows() int { return w.file.n }

// Finish returns the file. The writer must not be used afterwards.
func (w *Writer) Finish() ([]byte, error) {
	data, err := w.file.finish()
	if err != nil {
		return nil, fmt.Errorf("state %q: %w", w.state.Name, err)
	}
	return data, nil
}

func (w *Writer) add(to rows, e state.Entry) error {
	l := w.layout
	l.group.put(to, int64(e.Group), 0)
	l.rawKey.put(to, w.keep(e.Key), 0)
	l.rawSub.put(to, w.keep(e.Sub), 0)
	l.rawValue.put(to, w.keep(e.Value), 0)
	if l.key != nil {
		if err := whole(l.key, to, e.Key, "key"); err != nil {
			return err
		}
	}
	if l.timers {
		return w.addTimer(to, e.Sub)
	}
	if l.value == nil {
		return nil
	}
	return w.addTyped(to, e)
}

// addTyped adds the typed columns of sub-key and value.
func (w *Writer) addTyped(to rows, e state.Entry) (err error) {
	l := w.layout
	rest := e.Sub
	for _, s := range l.subs {
		if rest, err = s.put(to, rest); err != nil {
			return fmt.Errorf("sub-key 0x%x: %w: %w", e.Sub, state.ErrCorrupt, err)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("sub-key 0x%x: %w: %d bytes too many", e.Sub, state.ErrCorrupt, len(rest))
	}
	value := e.Value
	if l.ttl {
		at, rest, ok := state.Stamp(value)
		if !ok {
			return fmt.Errorf("value 0x%x: %w: no time in front", value, state.ErrCorrupt)
		}
		l.used.put(to, at, 0)
		value = rest
	}
	return whole(l.value, to, value, "value")
}

func (w *Writer) addTimer(to rows, sub []byte) error {
	at, tag, ok := state.SplitTimer(sub)
	if !ok {
		return fmt.Errorf("%w: 0x%x is no timer", state.ErrCorrupt, sub)
	}
	w.layout.time.put(to, at, 0)
	w.layout.tag.put(to, w.keep(tag), 0)
	return nil
}

// keep copies bytes until the row is in its columns.
func (w *Writer) keep(b []byte) []byte {
	at := len(w.arena)
	w.arena = append(w.arena, b...)
	return w.arena[at:len(w.arena):len(w.arena)]
}

// errRest is wrapped for bytes behind a value.
var errRest = errors.New("bytes are left over")

// whole puts a value that takes all of b.
func whole(t *typed, to rows, b []byte, what string) error {
	rest, err := t.put(to, b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d", errRest, len(rest))
	}
	if err != nil {
		return fmt.Errorf("%s 0x%x: %w: %w", what, b, state.ErrCorrupt, err)
	}
	return nil
}

// number is an integer as a fact of a file.
func number(n int) string { return strconv.Itoa(n) }
