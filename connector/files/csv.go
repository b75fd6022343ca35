package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
)

var errBareQuote = errors.New("a quote inside of a field")

// CSV is a source of files of comma-separated values (RFC 4180) whose first
// record names the columns. T is a struct; a field takes the column that its tag
// csv names, or else the one of its own name, in any case of letters; csv:"-"
// takes none. Fields may be booleans, numbers, strings, time.Time (RFC 3339, or
// 2006-01-02 15:04:05), encoding.TextUnmarshaler, and pointers to these; an
// empty column gives the zero value or nil. A row with another number of columns
// than the header is a bad record.
func CSV[T any](location string) *Source[T] {
	return &Source[T]{Location: location, format: openCSV[T]}
}

func openCSV[T any](s *Source[T], f *file, d splitData, from place) (cursor[T], error) {
	comma := s.Comma
	if comma == 0 {
		comma = ','
	}
	r := newRecords(f, place{})
	r.quotes = true
	header, _, err := r.next()
	if err == io.EOF {
		err = fmt.Errorf("%w: no header", ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	c := &csvDecoder{comma: comma}
	if err := c.plan(header, fieldsOf[T]); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	r.at.row = 0 // the header is no row
	if from.offset > 0 {
		r.seek(from)
	}
	return newTextCursor(s, r, d, func(record []byte, row *T) error {
		return c.decode(record, reflect.ValueOf(row).Elem())
	}), nil
}

// csvDecoder turns records into structs.
type csvDecoder struct {
	comma   byte
	columns []csvColumn // as in the header; parse is nil where no field takes it
	parts   []string
}

type csvColumn struct {
	name  string
	field int
	parse setText
}

// plan matches the header's columns to the fields of the row type.
func (c *csvDecoder) plan(header []byte, fieldsOf func(tag string) ([]field, error)) error {
	fields, err := fieldsOf("csv")
	if err != nil {
		return err
	}
	if c.parts, err = splitCSV(header, c.comma, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	names := c.parts
	c.columns = make([]csvColumn, len(names))
	for i, n := range names {
		c.columns[i].name = n
	}
	for _, f := range fields {
		i, err := f.find(names)
		if err != nil {
			return err
		}
		if i < 0 {
			continue
		}
		c.columns[i].field = f.index
		if c.columns[i].parse, err = parserOf(f.typ); err != nil {
			return fmt.Errorf("column %q: %w", f.column, err)
		}
	}
	return nil
}

func (c *csvDecoder) decode(record []byte, row reflect.Value) (err error) {
	if c.parts, err = splitCSV(record, c.comma, c.parts[:0]); err != nil {
		return err
	}
	if len(c.parts) != len(c.columns) {
		return fmt.Errorf("%d columns, and the header has %d", len(c.parts), len(c.columns))
	}
	for i, col := range c.columns {
		if col.parse == nil || c.parts[i] == "" {
			continue
		}
		if err := col.parse(row.Field(col.field), c.parts[i]); err != nil {
			return fmt.Errorf("column %q: %w", col.name, err)
		}
	}
	return nil
}

// splitCSV appends copies of a record's fields to dst.
func splitCSV(record []byte, comma byte, dst []string) ([]string, error) {
	for {
		if len(record) > 0 && record[0] == '"' {
			value, rest, err := quotedField(record[1:])
			if err != nil {
				return dst, err
			}
			dst = append(dst, value)
			if len(rest) == 0 {
				return dst, nil
			}
			if rest[0] != comma {
				return dst, errBareQuote
			}
			record = rest[1:]
			continue
		}
		end := bytes.IndexByte(record, comma)
		value := record
		if end >= 0 {
			value = record[:end]
		}
		if bytes.IndexByte(value, '"') >= 0 {
			return dst, errBareQuote
		}
		dst = append(dst, string(value))
		if end < 0 {
			return dst, nil
		}
		record = record[end+1:]
	}
}

// quotedField reads a field after its first quote, up to its last.
func quotedField(b []byte) (value string, rest []byte, err error) {
	var out []byte
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return "", nil, errQuote
		}
		out = append(out, b[:i]...)
		if b = b[i+1:]; len(b) == 0 || b[0] != '"' {
			return string(out), b, nil
		}
		out, b = append(out, '"'), b[1:]
	}
}
