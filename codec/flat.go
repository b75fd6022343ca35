package codec

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"
)

// Fixed returns the codec of a type whose values all have the same size:
// booleans, integers and floats, arrays and structs of these. Numbers are written
// with their full width, little-endian, without padding. It is for values that
// change in place and for keys. Other types are ErrUnsupported.
func Fixed[T any]() (*Flat[T], error) {
	p, err := planOf(reflect.TypeFor[T](), mode{form: fixed})
	if err != nil {
		return nil, err
	}
	bools, copied := boolsOf(p, 0, nil)
	copied = copied && littleEndian && p.fixedSize == int(p.rtype.Size()) && len(bools) <= boolsMax
	return &Flat[T]{plan: p, size: p.fixedSize, copied: copied, bools: bools}, nil
}

// boolsMax is how many booleans are checked one by one; with more of them a
// value is decoded step by step, which checks them too.
const boolsMax = 64

// littleEndian tells whether numbers lie in memory as the fixed form has them.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Flat is the codec of T in the fixed form: see Fixed. Where T's memory has no
// padding and the machine is little-endian, encoding is copying.
type Flat[T any] struct {
	plan   *plan
	size   int
	copied bool  // an encoding is T's memory
	bools  []int // offsets of booleans, which must be 0 or 1; of copied ones
}

var _ Codec[int] = (*Flat[int])(nil)

// Append appends v's encoding to dst; see Codec. v does not escape.
func (c *Flat[T]) Append(dst []byte, v *T) []byte {
	if c.copied {
		return append(dst, unsafe.Slice((*byte)(unsafe.Pointer(v)), c.size)...)
	}
	return appendValue(c.plan, dst, unsafe.Pointer(v))
}

// Decode overwrites *v with the value at the front of src; see Codec.
func (c *Flat[T]) Decode(src []byte, v *T) (int, error) {
	if !c.copied {
		return c.decodeSteps(src, v)
	}
	if len(src) < c.size || !c.boolsValid(src) {
		return 0, fmt.Errorf("decode %s: %w", c.plan.typ, ErrCorrupt)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(v)), c.size), src)
	return c.size, nil
}

func (c *Flat[T]) decodeSteps(src []byte, v *T) (int, error) {
	d := decoder{src: src}
	if err := d.value(c.plan, unsafe.Pointer(v)); err != nil {
		return 0, fmt.Errorf("decode %s: %w", c.plan.typ, err)
	}
	return d.pos, nil
}

// boolsValid tells whether the booleans in an encoding are 0 or 1: others would
// not be values of Go.
func (c *Flat[T]) boolsValid(b []byte) bool {
	for _, at := range c.bools {
		if b[at] > 1 {
			return false
		}
	}
	return true
}

// View returns b, an encoding, as the value that it is, in place: changing one
// changes the other. ok is false, and v nil, if it can't be: T's memory has
// padding, b does not lie as T must, has another length, or is no valid encoding.
// The caller keeps b alive and uses v only as long as nobody else uses b.
func (c *Flat[T]) View(b []byte) (v *T, ok bool) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	if !c.copied || len(b) != c.size || uintptr(p)%unsafe.Alignof(*v) != 0 || !c.boolsValid(b) {
		return nil, false
	}
	if c.size == 0 {
		return new(T), true
	}
	return (*T)(p), true
}

// Size is the length of every encoding in bytes.
func (c *Flat[T]) Size() int { return c.size }

// Schema describes the encoding; see Codec.
func (c *Flat[T]) Schema() string { return c.plan.schema }

// Lineage is Schema with former names; see Codec.
func (c *Flat[T]) Lineage() string { return c.plan.lineage }

// boolsOf appends the offsets of the booleans in a value at offset at; flat
// tells whether the value's memory is its encoding, apart from byte order.
func boolsOf(p *plan, at int, bools []int) (all []int, flat bool) {
	switch p.kind {
	case kBool:
		return append(bools, at), true
	case kStruct:
		next := 0
		for i := range p.fields {
			f := &p.fields[i]
			if int(f.offset) != next {
				return bools, false
			}
			if bools, flat = boolsOf(f, at+next, bools); !flat {
				return bools, false
			}
			next += f.fixedSize
		}
		return bools, next == int(p.rtype.Size())
	case kArray:
		if int(p.size) != p.elem.fixedSize {
			return bools, false
		}
		flat = true
		for i := 0; i < p.length && flat && len(bools) <= boolsMax; i++ {
			before := len(bools)
			if bools, flat = boolsOf(p.elem, at+i*p.elem.fixedSize, bools); len(bools) == before {
				break // no element has any
			}
		}
		return bools, flat
	}
	return bools, true
}
