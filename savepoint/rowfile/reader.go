package rowfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/state"
)

// ErrFormat is returned for what is no file of keyed state: a restore does not guess.
var ErrFormat = errors.New("not a savepoint's file of entries")

// Each calls use for each entry of a file of keyed state, in the file's order, until it
// returns an error, which Each returns. Entries have handle 0; their slices stay
// valid. Of the columns only those with the codec's bytes are decoded. It is a
// changelog.RowReader.
func Each(data []byte, use func(state.Entry) error) (err error) {
	defer func() {
		if p := recover(); p != nil { // of the decoder, which damaged files may cause
			err = fmt.Errorf("%w: %v", ErrFormat, p)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, group := range f.RowGroups() {
		if err := eachOf(f.Schema(), group, use); err != nil {
			return err
		}
	}
	return nil
}

// eachOf calls use for the rows of a row group.
func eachOf(schema *parquet.Schema, g parquet.RowGroup, use func(state.Entry) error) error {
	chunks := map[string]parquet.ColumnChunk{}
	for _, name := range []string{colGroup, colKey, colSub, colValue} {
		leaf, ok := schema.Lookup(name)
		if !ok {
			return fmt.Errorf("%w: it has no column %s", ErrFormat, name)
		}
		chunks[name] = g.ColumnChunks()[leaf.ColumnIndex]
	}
	groups, err := readInts(chunks[colGroup])
	if err != nil {
		return fmt.Errorf("column %s: %w: %w", colGroup, ErrFormat, err)
	}
	var columns [3]byteColumn
	for i, name := range []string{colKey, colSub, colValue} {
		if err := columns[i].read(chunks[name]); err != nil {
			return fmt.Errorf("column %s: %w: %w", name, ErrFormat, err)
		}
		if len(columns[i].ends) != len(groups) {
			return fmt.Errorf("%w: %d values in column %s and %d in %s", ErrFormat, len(columns[i].ends), name, len(groups), colGroup)
		}
	}
	for i, group := range groups {
		e := state.Entry{Group: int(group), Key: columns[0].at(i), Sub: columns[1].at(i), Value: columns[2].at(i)}
		if err := use(e); err != nil {
			return err
		}
	}
	return nil
}

// byteColumn is a column of byte strings, one behind the other.
type byteColumn struct {
	bytes []byte
	ends  []int
}

func (c *byteColumn) at(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.bytes[from:c.ends[i]:c.ends[i]]
}

func (c *byteColumn) read(chunk parquet.ColumnChunk) error {
	return eachValue(chunk, parquet.ByteArray, func(v parquet.Value) {
		c.bytes = append(c.bytes, v.ByteArray()...)
		c.ends = append(c.ends, len(c.bytes))
	})
}

func readInts(chunk parquet.ColumnChunk) (all []int32, err error) {
	err = eachValue(chunk, parquet.Int32, func(v parquet.Value) { all = append(all, v.Int32()) })
	return all, err
}

// valuesAtOnce is how many values are taken out of a page at a time.
const valuesAtOnce = 1024

// errNull is returned for a column that lacks a value.
var errNull = errors.New("a value is missing")

// eachValue calls use for the values of a column of a kind.
func eachValue(chunk parquet.ColumnChunk, kind parquet.Kind, use func(parquet.Value)) (err error) {
	if k := chunk.Type().Kind(); k != kind {
		return fmt.Errorf("its type is %v, want %v", k, kind)
	}
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	values := make([]parquet.Value, valuesAtOnce)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := eachOfPage(page, values, use); err != nil {
			return err
		}
	}
}

func eachOfPage(page parquet.Page, values []parquet.Value, use func(parquet.Value)) error {
	defer parquet.Release(page)
	for r := page.Values(); ; {
		n, err := r.ReadValues(values)
		for _, v := range values[:n] {
			if v.IsNull() {
				return errNull
			}
			use(v)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
