package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// What Dyn.Decode returns, apart from Go's own types. All print as JSON.
type (
	// Record is a struct: its fields in order.
	Record []RecordField
	// RecordField is a field of a Record.
	RecordField struct {
		Name  string
		Value any
	}
	// List is an array or a slice.
	List []any
	// Map is a map, in the order of its encoded keys.
	Map []MapEntry
	// MapEntry is an entry of a Map.
	MapEntry struct {
		Key   any `json:"key"`
		Value any `json:"value"`
	}
	// Bytes is a byte slice: text if it can be read as such, else 0x and hex digits.
	Bytes []byte
	// Float is a float; those that JSON has no number for are text: "NaN", "+Inf".
	Float float64
)

// MarshalJSON writes an object with its fields in order.
func (r Record) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range r {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(f.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// String is r as JSON.
func (r Record) String() string { return printed(r) }

// String is l as JSON.
func (l List) String() string { return printed(l) }

// MarshalJSON writes an object if the keys are strings, else a list of entries.
func (m Map) MarshalJSON() ([]byte, error) {
	var r Record
	for _, e := range m {
		key, ok := e.Key.(string)
		if !ok {
			return marshal([]MapEntry(m))
		}
		r = append(r, RecordField{key, e.Value})
	}
	return r.MarshalJSON()
}

// String is m as JSON.
func (m Map) String() string { return printed(m) }

// MarshalJSON writes a string.
func (b Bytes) MarshalJSON() ([]byte, error) { return marshal(b.String()) }

// String is b as text, or as hex digits.
func (b Bytes) String() string {
	printable := utf8.Valid(b) && !bytes.HasPrefix(b, []byte("0x")) &&
		!bytes.ContainsFunc(b, func(r rune) bool { return !unicode.IsPrint(r) })
	if printable {
		return string(b)
	}
	return "0x" + hex.EncodeToString(b)
}

// MarshalJSON writes a number, or a string for what is none in JSON.
func (f Float) MarshalJSON() ([]byte, error) {
	if v := float64(f); math.IsNaN(v) || math.IsInf(v, 0) {
		return marshal(strconv.FormatFloat(v, 'g', -1, 64))
	}
	return marshal(float64(f))
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func printed(v any) string {
	b, err := marshal(v)
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return string(b)
}
