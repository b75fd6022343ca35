package codec

import (
	"fmt"
	"time"
)

// Dyn reads and writes encodings of a schema without the Go type. Its methods may
// be called at once.
type Dyn struct{ schema *Schema }

// Dynamic returns the Dyn of a schema.
func Dynamic(schema string) (*Dyn, error) {
	s, err := ParseSchema(schema)
	if err != nil {
		return nil, err
	}
	return &Dyn{s}, nil
}

// Decode returns the value at the front of src, to be printed, and the number
// of bytes that it took. It is a bool, int64, uint64, float64, string, Bytes or
// time.Time, a Record for a struct, a List for an array or slice, a Map, or nil for a
// nil pointer, slice, map or byte slice. All of these marshal to JSON. It shares no
// memory with src. Bytes that do not decode are ErrCorrupt.
func (y *Dyn) Decode(src []byte) (v any, n int, err error) {
	d := &decoder{src: src}
	if v, err = decodeAny(d, y.schema.root); err != nil {
		return nil, 0, fmt.Errorf("decode %v: %w", y.schema, err)
	}
	return v, d.pos, nil
}

func decodeAny(d *decoder, s *shape) (any, error) {
	switch s.kind {
	case kStruct:
		r := make(Record, 0, len(s.fields))
		for _, f := range s.fields {
			v, err := decodeAny(d, f.shape)
			if err != nil {
				return nil, err
			}
			r = append(r, RecordField{f.name, v})
		}
		return r, nil
	case kArray:
		return decodeList(d, s.elem, s.length)
	case kSlice:
		n, isNil, err := d.count(s.elem.min)
		if err != nil || isNil {
			return nil, err
		}
		return decodeList(d, s.elem, n)
	case kMap:
		return decodeMap(d, s)
	case kPointer:
		var set bool
		if err := d.bool(&set); err != nil || !set {
			return nil, err
		}
		return decodeAny(d, s.elem)
	}
	return decodeBasic(d, s)
}

func decodeList(d *decoder, elem *shape, n int) (any, error) {
	list := make(List, 0, n)
	for range n {
		v, err := decodeAny(d, elem)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func decodeMap(d *decoder, s *shape) (any, error) {
	n, isNil, err := d.count(s.key.min + s.elem.min)
	if err != nil || isNil {
		return nil, err
	}
	m := make(Map, 0, n)
	for range n {
		var e MapEntry
		if e.Key, err = decodeAny(d, s.key); err != nil {
			return nil, err
		}
		if e.Value, err = decodeAny(d, s.elem); err != nil {
			return nil, err
		}
		m = append(m, e)
	}
	return m, nil
}

func decodeBasic(d *decoder, s *shape) (any, error) {
	var c cell
	if err := c.decode(d, s); err != nil {
		return nil, err
	}
	switch k := s.kind; {
	case k == kBool:
		return c.unsigned(kUint8) == 1, nil
	case isSigned(k):
		return c.signed(k), nil
	case isUnsigned(k):
		return c.unsigned(k), nil
	case isFloat(k):
		return Float(c.float(k)), nil
	case k == kString:
		return c.text, nil
	case k == kTime:
		return c.at, nil
	case c.bytes == nil:
		return nil, nil
	}
	return Bytes(c.bytes), nil
}

// Example is a text that Encode takes, for people who gave another one.
func (y *Dyn) Example() string { return example(y.schema.root, true) }

func example(s *shape, outer bool) string {
	switch {
	case s.kind == kString && outer, s.kind == kBytes && outer:
		return "some text"
	case s.kind == kTime && outer:
		return exampleTime
	}
	return exampleJSON(s)
}

var exampleTime = time.Date(2013, 1, 31, 9, 15, 0, 0, time.UTC).Format(time.RFC3339)

func exampleJSON(s *shape) string {
	switch k := s.kind; {
	case k == kStruct:
		text := "{"
		for i, f := range s.fields {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf("%q:%s", f.name, exampleJSON(f.shape))
		}
		return text + "}"
	case k == kArray && s.length == 0:
		return "[]"
	case k == kArray && s.length == 1:
		return "[" + exampleJSON(s.elem) + "]"
	case k == kArray:
		return fmt.Sprintf("[%s,... %d of them]", exampleJSON(s.elem), s.length)
	case k == kSlice:
		return "[" + exampleJSON(s.elem) + "]"
	case k == kPointer:
		return exampleJSON(s.elem)
	case k == kMap:
		return fmt.Sprintf("[{%q:%s,%q:%s}]", "key", exampleJSON(s.key), "value", exampleJSON(s.elem))
	case k == kBool:
		return "true"
	case isFloat(k):
		return "1.5"
	case k == kString, k == kBytes:
		return `"text"`
	case k == kTime:
		return `"` + exampleTime + `"`
	}
	return "42"
}
