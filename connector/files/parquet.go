package files

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// Parquet is a source of Parquet files with flat columns. T is a struct; a field
// takes the column that its tag parquet names, or else the one of its own name;
// parquet:"-" takes none. Fields may be booleans, numbers, strings, []byte,
// time.Time (of a timestamp or date column; in an int64 it has the column's own
// unit), and pointers to these, which are nil for null; null is the zero value
// elsewhere. Row groups are decoded one at a time, only the columns that T has,
// and once for all splits of a file that are at about the same place.
func Parquet[T any](location string) *Source[T] {
	return &Source[T]{Location: location, format: openParquet[T]}
}

// parquetFile is an open Parquet file and how its columns go into T.
type parquetFile[T any] struct {
	groups  []parquet.RowGroup
	starts  []int64 // number of each group's first row, and the file's rows
	columns []parquetColumn
	number  func(*T, int64)
}

func openParquet[T any](s *Source[T], f *file, d splitData, from place) (cursor[T], error) {
	p, err := newParquetFile(s, f)
	if err != nil {
		return nil, err
	}
	row := from.row
	if r := row % d.Stride; r != d.Index { // only at the beginning
		row += (d.Index - r + d.Stride) % d.Stride
	}
	return &parquetCursor[T]{file: p, shared: &s.shared, name: d.String(), row: row, stride: d.Stride}, nil
}

func newParquetFile[T any](s *Source[T], f *file) (p *parquetFile[T], err error) {
	defer corrupt(&err)
	if f.now != f.size {
		return nil, fmt.Errorf("%w: it had %d bytes and has %d", ErrChanged, f.size, f.now)
	}
	pf, err := parquet.OpenFile(f.at, f.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(bufferBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: not a whole Parquet file: %w", ErrFormat, err)
	}
	p = &parquetFile[T]{groups: pf.RowGroups(), number: s.Number}
	var rows int64
	for _, g := range p.groups {
		p.starts = append(p.starts, rows)
		rows += g.NumRows()
	}
	p.starts = append(p.starts, rows)
	fields, err := fieldsOf[T]("parquet")
	if err != nil {
		return nil, err
	}
	p.columns, err = planColumns(pf.Schema(), fields)
	return p, err
}

// corrupt turns a panic of the decoder, which some corrupt files cause, into
// an error.
func corrupt(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: corrupt: %v", ErrFormat, p)
	}
}

// group decodes row group i.
func (p *parquetFile[T]) group(i int) (rows []T, err error) {
	defer corrupt(&err)
	rows = make([]T, p.groups[i].NumRows())
	into := reflect.ValueOf(rows)
	chunks := p.groups[i].ColumnChunks()
	for _, c := range p.columns {
		if err := c.read(chunks[c.leaf].Pages(), into); err != nil {
			return nil, fmt.Errorf("row group %d: column %q: %w: %w", i, c.name, ErrFormat, err)
		}
	}
	if p.number != nil {
		for k := range rows {
			p.number(&rows[k], p.starts[i]+int64(k))
		}
	}
	return rows, nil
}

// valuesAtOnce is how many values of a column are decoded into memory at a time.
const valuesAtOnce = 1024

// read decodes a column chunk into the fields of rows.
func (c *parquetColumn) read(pages parquet.Pages, rows reflect.Value) (err error) {
	defer func() { err = errors.Join(err, pages.Close()) }()
	set, values, at := c.setter(), make([]parquet.Value, valuesAtOnce), 0
	for {
		page, err := pages.ReadPage()
		if err == io.EOF && at == rows.Len() {
			return nil
		}
		if err == io.EOF {
			return fmt.Errorf("%d values for %d rows", at, rows.Len())
		}
		if err != nil {
			return err
		}
		if at, err = c.readPage(page, rows, at, values, set); err != nil {
			return err
		}
	}
}

func (c *parquetColumn) readPage(page parquet.Page, rows reflect.Value, at int, values []parquet.Value, set setValue) (int, error) {
	defer parquet.Release(page)
	for r := page.Values(); ; {
		n, err := r.ReadValues(values)
		if at+n > rows.Len() {
			return at, fmt.Errorf("more than %d values", rows.Len())
		}
		for _, v := range values[:n] {
			if !v.IsNull() {
				set(rows.Index(at).Field(c.field), v)
			}
			at++
		}
		if err == io.EOF {
			return at, nil
		}
		if err != nil {
			return at, err
		}
	}
}

// parquetCursor walks over every stride-th row.
type parquetCursor[T any] struct {
	file   *parquetFile[T]
	shared *shared[T]
	name   string
	row    int64 // the next one
	stride int64

	group int
	rows  []T // of group; nil if it is not decoded
}

func (c *parquetCursor[T]) next() (*T, error) {
	if c.row >= c.file.starts[len(c.file.groups)] {
		c.rows = nil
		return nil, io.EOF
	}
	if c.rows == nil || c.row >= c.file.starts[c.group+1] {
		for c.row >= c.file.starts[c.group+1] {
			c.group++
		}
		rows, err := c.shared.block(blockKey{c.name, c.group}, func() ([]T, error) { return c.file.group(c.group) })
		if err != nil {
			return nil, err
		}
		c.rows = rows
	}
	row := &c.rows[c.row-c.file.starts[c.group]]
	c.row += c.stride
	return row, nil
}

func (c *parquetCursor[T]) place() place { return place{row: c.row} }
