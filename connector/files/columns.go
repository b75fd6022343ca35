package files

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	annotation "github.com/parquet-go/parquet-go/format"
)

// parquetColumn is a column of a file that goes into a field of the rows.
type parquetColumn struct {
	name  string
	leaf  int
	field int
	// setter makes the function that stores a value in the field. It may
	// remember values, so each reading has its own.
	setter func() setValue
}

// setValue stores a value that is not null.
type setValue func(field reflect.Value, v parquet.Value)

// planColumns matches a file's columns to the fields of the row type.
func planColumns(schema *parquet.Schema, fields []field) ([]parquetColumn, error) {
	var names []string
	for _, path := range schema.Columns() {
		names = append(names, strings.Join(path, "."))
	}
	var out []parquetColumn
	for _, f := range fields {
		i, err := f.find(names)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			continue
		}
		leaf, _ := schema.Lookup(schema.Columns()[i]...)
		if len(leaf.Path) != 1 || leaf.MaxRepetitionLevel > 0 {
			return nil, fmt.Errorf("%w: column %q is nested or repeated", ErrFormat, names[i])
		}
		setter := setterOf(f.typ, leaf.Node)
		if setter == nil {
			return nil, fmt.Errorf("%w: column %q is %v and its field %v", ErrFormat, names[i], leaf.Node.Type(), f.typ)
		}
		out = append(out, parquetColumn{name: names[i], leaf: leaf.ColumnIndex, field: f.index, setter: setter})
	}
	return out, nil
}

// setterOf returns what stores a column's values in a type, or nil if they don't fit.
func setterOf(t reflect.Type, node parquet.Node) func() setValue {
	if t.Kind() == reflect.Pointer {
		return pointerSetter(t, setterOf(t.Elem(), node))
	}
	if t == reflect.TypeFor[time.Time]() {
		return timeSetter(node)
	}
	kind := node.Type().Kind()
	switch t.Kind() {
	case reflect.Bool:
		if kind == parquet.Boolean {
			return stateless(func(f reflect.Value, v parquet.Value) { f.SetBool(v.Boolean()) })
		}
	case reflect.Int64, reflect.Int:
		return integerSetter(kind, parquet.Int64, func(f reflect.Value, n int64) { f.SetInt(n) })
	case reflect.Int32:
		return integerSetter(kind, parquet.Int32, func(f reflect.Value, n int64) { f.SetInt(n) })
	case reflect.Uint64, reflect.Uint:
		return integerSetter(kind, parquet.Int64, func(f reflect.Value, n int64) { f.SetUint(uint64(n)) })
	case reflect.Uint32:
		return integerSetter(kind, parquet.Int32, func(f reflect.Value, n int64) { f.SetUint(uint64(uint32(n))) })
	case reflect.Float64, reflect.Float32:
		return floatSetter(kind, t.Kind())
	case reflect.String:
		if kind == parquet.ByteArray || kind == parquet.FixedLenByteArray {
			return newInterner
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && (kind == parquet.ByteArray || kind == parquet.FixedLenByteArray) {
			return stateless(func(f reflect.Value, v parquet.Value) { f.SetBytes(v.Clone().ByteArray()) })
		}
	}
	return nil
}

func stateless(set setValue) func() setValue { return func() setValue { return set } }

func pointerSetter(t reflect.Type, elem func() setValue) func() setValue {
	if elem == nil {
		return nil
	}
	return func() setValue {
		set := elem()
		return func(f reflect.Value, v parquet.Value) {
			p := reflect.New(t.Elem())
			set(p.Elem(), v)
			f.Set(p)
		}
	}
}

// integerSetter stores integers of at most the field's size.
func integerSetter(kind, widest parquet.Kind, set func(reflect.Value, int64)) func() setValue {
	switch {
	case kind == parquet.Int32:
		return stateless(func(f reflect.Value, v parquet.Value) { set(f, int64(v.Int32())) })
	case kind == parquet.Int64 && widest == parquet.Int64:
		return stateless(func(f reflect.Value, v parquet.Value) { set(f, v.Int64()) })
	}
	return nil
}

func floatSetter(kind parquet.Kind, field reflect.Kind) func() setValue {
	switch {
	case kind == parquet.Float:
		return stateless(func(f reflect.Value, v parquet.Value) { f.SetFloat(float64(v.Float())) })
	case kind == parquet.Double && field == reflect.Float64:
		return stateless(func(f reflect.Value, v parquet.Value) { f.SetFloat(v.Double()) })
	}
	return nil
}

// internMax bounds the strings that one reading of a column remembers. Columns
// of names have few different ones, and a million equal strings would cost a
// million allocations.
const internMax = 4096

func newInterner() setValue {
	seen := map[string]string{}
	return func(f reflect.Value, v parquet.Value) {
		s, ok := seen[string(v.ByteArray())]
		if !ok {
			s = string(v.ByteArray())
			if len(seen) < internMax {
				seen[s] = s
			}
		}
		f.SetString(s)
	}
}

// timeSetter stores timestamps and dates in a time.Time, as UTC.
func timeSetter(node parquet.Node) func() setValue {
	at := instantOf(node.Type())
	if at == nil {
		return nil
	}
	return stateless(func(f reflect.Value, v parquet.Value) { f.Set(reflect.ValueOf(at(v).UTC())) })
}

// instantOf returns how a column's values are instants, or nil if they are not.
func instantOf(t parquet.Type) func(parquet.Value) time.Time {
	if l := t.LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *annotation.DateType:
			return date
		case *annotation.TimestampType:
			return timestamp(l.Unit.Value.Duration())
		}
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.Date:
			return date
		case deprecated.TimestampMillis:
			return timestamp(time.Millisecond)
		case deprecated.TimestampMicros:
			return timestamp(time.Microsecond)
		}
	}
	return nil
}

func date(v parquet.Value) time.Time { return time.Unix(int64(v.Int32())*24*60*60, 0) }

func timestamp(unit time.Duration) func(parquet.Value) time.Time {
	switch unit {
	case time.Millisecond:
		return func(v parquet.Value) time.Time { return time.UnixMilli(v.Int64()) }
	case time.Microsecond:
		return func(v parquet.Value) time.Time { return time.UnixMicro(v.Int64()) }
	default:
		return func(v parquet.Value) time.Time { return time.Unix(0, v.Int64()) }
	}
}
