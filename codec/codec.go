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
// There are three forms. For's is compact; Ordered's bytes compare as the values
// do; Fixed's always has the same size, and often is the value's memory, so that
// state can be changed in place.
//
// The bytes depend on the value alone (maps are written in ascending order of
// their encoded keys), so equal values have equal bytes. They carry no type;
// Schema says what they mean, and whoever stores them stores it beside them.
// With it, bytes can be read without the type (Dynamic) and turned into those of
// a later version of it (Transcoder): fields come and go, grow wider, and are
// renamed with a tag:
//
//	type Order struct {
//		Price int64 `cairn:"was=Cost"`
//	}
package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

var (
	// ErrUnsupported is returned by For, Aliasing, Ordered and Fixed for a type
	// that can not be encoded; the message names the type and the field.
	ErrUnsupported = errors.New("type can not be encoded")
	// ErrCorrupt is returned by Decode for bytes that Append did not write.
	ErrCorrupt = errors.New("bytes do not decode")
	// ErrIncompatible is returned by Transcoder for schemas of which the one can
	// not become the other; the message names the field.
	ErrIncompatible = errors.New("types are incompatible")
)

// Variable is the Size of a codec whose encodings differ in length.
const Variable = -1

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
	// Size is the length of every encoding in bytes, or Variable.
	Size() int
	// Schema describes the encoding. Codecs with equal schemas read each
	// other's bytes.
	Schema() string
	// Lineage is Schema with the former names of renamed fields, as Transcoder
	// takes it for its target: {Price|Cost:int64}.
	Lineage() string
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
func Ordered[T any]() (Codec[T], error) { return lookup[T](mode{form: ordered}) }

// keySizeMax is up to which size a key is better fixed than compact: a backend
// keeps short keys of one size inline, and longer ones are mostly zeros.
const keySizeMax = 16

// Key returns the codec for keys of type T: the fixed form if that is short, else
// For's. Equal keys have equal bytes.
func Key[T any]() (Codec[T], error) {
	if c, err := Fixed[T](); err == nil && c.Size() <= keySizeMax {
		return c, nil
	}
	return For[T]()
}

// mode says which of a type's codecs is meant.
type mode struct {
	alias bool
	form  form
}

type cacheKey struct {
	t reflect.Type
	m mode
}

// plans holds the *plan of each cacheKey that was asked for.
var plans sync.Map

func lookup[T any](m mode) (Codec[T], error) {
	p, err := planOf(reflect.TypeFor[T](), m)
	if err != nil {
		return nil, err
	}
	return &planned[T]{plan: p, mode: m}, nil
}

func planOf(t reflect.Type, m mode) (*plan, error) {
	k := cacheKey{t, m}
	if p, ok := plans.Load(k); ok {
		return p.(*plan), nil
	}
	p, err := (&planner{mode: m}).plan(t, t.String())
	if err != nil {
		return nil, err
	}
	p.schema, p.lineage = m.form.prefix()+p.schema, m.form.prefix()+p.lineage
	plans.Store(k, p)
	return p, nil
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

func (c *planned[T]) Size() int       { return c.plan.fixedSize }
func (c *planned[T]) Schema() string  { return c.plan.schema }
func (c *planned[T]) Lineage() string { return c.plan.lineage }
