// Package codec turns Go values into compact bytes and back: what keyed state
// keeps and what crosses the network between subtasks.
//
// A codec is planned once per type, by reflection, and then works without it:
// a plan is a tree of small steps with field offsets. Supported are booleans,
// integers, floats, strings, byte slices, arrays, slices, maps, pointers,
// time.Time (as an instant: it comes back in UTC), structs of these, and types
// named after them. A struct with an
// unexported field is refused, since its value would silently lose a part; so
// are interfaces, channels, functions, complex numbers and recursive types.
//
// The bytes depend on the value alone (maps are written in ascending order of
// their encoded keys), so equal values have equal bytes. They carry no type;
// Schema says what they mean, and whoever stores them stores it beside them.
package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

var (
	// ErrUnsupported is returned by For, Aliasing and Ordered for a type that
	// can not be encoded; the message names the type and the field.
	ErrUnsupported = errors.New("type can not be encoded")
	// ErrCorrupt is returned by Decode for bytes that Append did not write.
	ErrCorrupt = errors.New("bytes do not decode")
)

// Codec encodes values of one type. All methods may be called at once.
type Codec[T any] interface {
	// Append appends v's encoding to dst. It allocates only to grow dst, and
	// for maps. v escapes, so callers on a hot path keep it in a field.
	Append(dst []byte, v *T) []byte
	// Decode overwrites *v with the value at the front of src and returns the
	// number of bytes that it took. No memory that *v referred to is reused.
	// Bytes that do not decode give an error that is ErrCorrupt, never a
	// panic, and leave *v in any state. Memory is proportional to len(src).
	Decode(src []byte, v *T) (n int, err error)
	// Schema describes the encoding. Codecs with equal schemas read each
	// other's bytes.
	Schema() string
}

// For returns the codec of T. What it decodes is a copy and shares no memory
// with src.
func For[T any]() (Codec[T], error) { return lookup[T](mode{}) }

// Aliasing returns the codec of T whose decoded strings and byte slices point
// into src. It is for callers that own src and never change or reuse it while
// a decoded value lives; such as a received batch.
func Aliasing[T any]() (Codec[T], error) { return lookup[T](mode{alias: true}) }

// Ordered returns a codec of T whose encodings compare, byte by byte, as the
// values do: numbers and instants by size, strings and byte slices
// lexicographically, structs and arrays by their first difference. Slices other
// than of bytes, maps and pointers are refused. It is for keys that are read in
// order, and a little larger than For's.
func Ordered[T any]() (Codec[T], error) { return lookup[T](mode{ordered: true}) }

// mode says which of a type's codecs is meant.
type mode struct{ alias, ordered bool }

type cacheKey struct {
	t reflect.Type
	m mode
}

// plans holds the *plan of each cacheKey that was asked for.
var plans sync.Map

func lookup[T any](m mode) (Codec[T], error) {
	t := reflect.TypeFor[T]()
	k := cacheKey{t, m}
	if p, ok := plans.Load(k); ok {
		return &planned[T]{plan: p.(*plan), mode: m}, nil
	}
	p, err := (&planner{mode: m}).plan(t, t.String())
	if err != nil {
		return nil, err
	}
	if m.ordered {
		p.schema = "ordered " + p.schema
	}
	plans.Store(k, p)
	return &planned[T]{plan: p, mode: m}, nil
}

// planned is the codec of T that follows a plan.
type planned[T any] struct {
	plan *plan
	mode mode
}

func (c *planned[T]) Append(dst []byte, v *T) []byte {
	return appendValue(c.plan, dst, unsafe.Pointer(v))
}

func (c *planned[T]) Decode(src []byte, v *T) (int, error) {
	d := decoder{src: src, alias: c.mode.alias}
	if err := d.value(c.plan, unsafe.Pointer(v)); err != nil {
		return 0, fmt.Errorf("decode %s: %w", c.plan.typ, err)
	}
	return d.pos, nil
}

func (c *planned[T]) Schema() string { return c.plan.schema }
