package filesink

import (
	"bytes"
	"encoding"
	"encoding/csv"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// CSV is a sink of comma-separated values (RFC 4180); every part begins with a
// header. T is a struct; columns are its exported fields, by the names in their
// csv tags or their own, csv:"-" leaves one out. Fields may be what files.CSV
// reads; nil is an empty column.
func CSV[T any](url string) *Sink[T] {
	columns, err := csvColumns(reflect.TypeFor[T]())
	return &Sink[T]{URL: url, format: format[T]{extension: "csv", open: func() (encoder[T], error) {
		if err != nil {
			return nil, err
		}
		e := &csvPart[T]{columns: columns}
		e.w = csv.NewWriter(&e.buf)
		return e, e.header()
	}}}
}

type csvColumn struct {
	name   string
	index  int
	format func(reflect.Value) (string, error)
}

func csvColumns(t reflect.Type) ([]csvColumn, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v as a row of CSV: not a struct", t)
	}
	var out []csvColumn
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("csv"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		to := formatterOf(f.Type)
		if to == nil {
			return nil, fmt.Errorf("%v as a row of CSV: field %s is a %v", t, f.Name, f.Type)
		}
		out = append(out, csvColumn{name, i, to})
	}
	return out, nil
}

// formatterOf returns what writes a value as a column, or nil.
func formatterOf(t reflect.Type) func(reflect.Value) (string, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerFormatter(formatterOf(t.Elem()))
	case t == reflect.TypeFor[time.Time]():
		return text(func(v reflect.Value) string { return v.Interface().(time.Time).Format(time.RFC3339Nano) })
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return func(v reflect.Value) (string, error) {
			b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			return string(b), err
		}
	}
	switch t.Kind() {
	case reflect.String:
		return text(reflect.Value.String)
	case reflect.Bool:
		return text(func(v reflect.Value) string { return strconv.FormatBool(v.Bool()) })
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return text(func(v reflect.Value) string { return strconv.FormatInt(v.Int(), 10) })
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return text(func(v reflect.Value) string { return strconv.FormatUint(v.Uint(), 10) })
	case reflect.Float32, reflect.Float64:
		return text(func(v reflect.Value) string { return strconv.FormatFloat(v.Float(), 'g', -1, t.Bits()) })
	}
	return nil
}

func text(f func(reflect.Value) string) func(reflect.Value) (string, error) {
	return func(v reflect.Value) (string, error) { return f(v), nil }
}

func pointerFormatter(elem func(reflect.Value) (string, error)) func(reflect.Value) (string, error) {
	if elem == nil {
		return nil
	}
	return func(v reflect.Value) (string, error) {
		if v.IsNil() {
			return "", nil
		}
		return elem(v.Elem())
	}
}

type csvPart[T any] struct {
	columns []csvColumn
	buf     bytes.Buffer
	w       *csv.Writer
	record  []string
}

func (e *csvPart[T]) header() error {
	for _, c := range e.columns {
		e.record = append(e.record, c.name)
	}
	return e.w.Write(e.record)
}

func (e *csvPart[T]) write(v *T) error {
	row := reflect.ValueOf(v).Elem()
	for i, c := range e.columns {
		s, err := c.format(row.Field(c.index))
		if err != nil {
			return fmt.Errorf("column %q: %w", c.name, err)
		}
		e.record[i] = s
	}
	return e.w.Write(e.record)
}

func (e *csvPart[T]) size() int { return e.buf.Len() }

func (e *csvPart[T]) finish() ([]byte, error) {
	e.w.Flush()
	return e.buf.Bytes(), e.w.Error()
}
