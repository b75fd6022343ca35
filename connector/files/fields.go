package files

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is a field of the row type that takes a column.
type field struct {
	index  int
	column string
	must   bool // the file must have the column, since a tag names it
	typ    reflect.Type
}

// fieldsOf lists the exported fields of T by the names in a tag; "-" leaves a
// field out, and one without the tag goes by its own name.
func fieldsOf[T any](tag string) ([]field, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: rows are %v and should be a struct", ErrFormat, t)
	}
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		out = append(out, field{index: i, column: name, must: name != "", typ: f.Type})
		if name == "" {
			out[len(out)-1].column = f.Name
		}
	}
	return out, nil
}

// find returns the index of the field's column among names, or -1.
func (f field) find(names []string) (int, error) {
	for i, n := range names {
		if n == f.column || !f.must && strings.EqualFold(n, f.column) {
			return i, nil
		}
	}
	if f.must {
		return -1, fmt.Errorf("%w: no column %q; there are %s", ErrFormat, f.column, strings.Join(names, ", "))
	}
	return -1, nil
}

// setText parses text into a value. Empty text is the zero value.
type setText func(v reflect.Value, text string) error

// parserOf returns the parser for a type, as CSV needs it.
func parserOf(t reflect.Type) (setText, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerParser(t)
	case t == reflect.TypeFor[time.Time]():
		return parseTime, nil
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return func(v reflect.Value, text string) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		}, nil
	}
	parse, ok := kindParsers[t.Kind()]
	if !ok {
		return nil, fmt.Errorf("%w: a column can not be read into a %v", ErrFormat, t)
	}
	return parse, nil
}

// pointerParser leaves nil where the text is empty.
func pointerParser(t reflect.Type) (setText, error) {
	parse, err := parserOf(t.Elem())
	if err != nil {
		return nil, err
	}
	return func(v reflect.Value, text string) error {
		p := reflect.New(t.Elem())
		if err := parse(p.Elem(), text); err != nil {
			return err
		}
		v.Set(p)
		return nil
	}, nil
}

// timeLayouts are tried in turn.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", time.DateOnly}

func parseTime(v reflect.Value, text string) error {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			v.Set(reflect.ValueOf(t))
			return nil
		}
	}
	return fmt.Errorf("%q is not a time such as 2006-01-02 15:04:05 or 2006-01-02T15:04:05Z", text)
}

// notA says in a person's words why strconv could not parse text; nil for nil.
func notA(what string, v reflect.Value, text string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%.100q does not fit in %v", text, v.Type().Kind())
	}
	return fmt.Errorf("%.100q is not %s", text, what)
}

func parseInt(v reflect.Value, text string) error {
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	v.SetInt(n)
	return notA("an integer", v, text, err)
}

func parseUint(v reflect.Value, text string) error {
	n, err := strconv.ParseUint(text, 10, v.Type().Bits())
	v.SetUint(n)
	return notA("an integer of zero or more", v, text, err)
}

func parseFloat(v reflect.Value, text string) error {
	x, err := strconv.ParseFloat(text, v.Type().Bits())
	v.SetFloat(x)
	return notA("a number", v, text, err)
}

func parseBool(v reflect.Value, text string) error {
	b, err := strconv.ParseBool(text)
	v.SetBool(b)
	return notA("true or false", v, text, err)
}

func parseString(v reflect.Value, text string) error {
	v.SetString(text)
	return nil
}

var kindParsers = map[reflect.Kind]setText{
	reflect.Bool: parseBool, reflect.String: parseString,
	reflect.Int: parseInt, reflect.Int8: parseInt, reflect.Int16: parseInt, reflect.Int32: parseInt, reflect.Int64: parseInt,
	reflect.Uint: parseUint, reflect.Uint8: parseUint, reflect.Uint16: parseUint, reflect.Uint32: parseUint, reflect.Uint64: parseUint,
	reflect.Float32: parseFloat, reflect.Float64: parseFloat,
}
