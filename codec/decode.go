package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// decoder takes values off the front of src.
type decoder struct {
	src   []byte
	pos   int
	alias bool // strings and byte slices point into src
}

// value decodes into the value at v, which has pl's type.
func (d *decoder) value(pl *plan, v unsafe.Pointer) error {
	switch pl.kind {
	case kInt64:
		return d.varint((*int64)(v))
	case kUint64:
		return d.uvarint((*uint64)(v))
	case kFloat64:
		if len(d.src)-d.pos < 8 {
			return ErrCorrupt
		}
		*(*uint64)(v) = binary.LittleEndian.Uint64(d.src[d.pos:])
		d.pos += 8
		return nil
	case kString:
		n, err := d.length()
		if err != nil {
			return err
		}
		*(*string)(v) = d.text(d.take(n))
		return nil
	case kStruct:
		for i := range pl.fields {
			f := &pl.fields[i]
			if err := d.value(f, unsafe.Add(v, f.offset)); err != nil {
				return err
			}
		}
		return nil
	}
	if pl.kind >= kOrdered {
		return d.ordered(pl, v)
	}
	return d.rare(pl, v)
}

// rare has the kinds that value has no room for.
func (d *decoder) rare(pl *plan, v unsafe.Pointer) error {
	switch pl.kind {
	case kBool:
		return d.bool((*bool)(v))
	case kInt8, kUint8:
		return d.fixed(1, func(b []byte) { *(*byte)(v) = b[0] })
	case kInt16:
		return decodeInt(d, (*int16)(v))
	case kInt32:
		return decodeInt(d, (*int32)(v))
	case kUint16:
		return decodeUint(d, (*uint16)(v))
	case kUint32:
		return decodeUint(d, (*uint32)(v))
	case kFixed16:
		return d.fixed(2, func(b []byte) { *(*uint16)(v) = binary.LittleEndian.Uint16(b) })
	case kFloat32:
		return d.fixed(4, func(b []byte) { *(*uint32)(v) = binary.LittleEndian.Uint32(b) })
	case kBytes:
		return d.byteSlice((*[]byte)(v))
	case kTime:
		return d.time((*time.Time)(v))
	case kArray:
		return d.elems(pl, v, pl.length)
	case kSlice:
		return d.slice(pl, v)
	case kPointer:
		return d.pointer(pl, v)
	case kMap:
		return d.mapping(pl, v)
	}
	panic("codec: plan of unknown kind")
}

func (d *decoder) varint(v *int64) error {
	x, n := binary.Varint(d.src[d.pos:])
	if n <= 0 {
		return ErrCorrupt
	}
	d.pos += n
	*v = x
	return nil
}

func (d *decoder) uvarint(v *uint64) error {
	x, n := binary.Uvarint(d.src[d.pos:])
	if n <= 0 {
		return ErrCorrupt
	}
	d.pos += n
	*v = x
	return nil
}

func decodeInt[I int16 | int32](d *decoder, v *I) error {
	var x int64
	if err := d.varint(&x); err != nil {
		return err
	}
	if *v = I(x); int64(*v) != x {
		return ErrCorrupt
	}
	return nil
}

func decodeUint[U uint16 | uint32](d *decoder, v *U) error {
	var x uint64
	if err := d.uvarint(&x); err != nil {
		return err
	}
	if *v = U(x); uint64(*v) != x {
		return ErrCorrupt
	}
	return nil
}

// take returns the next n bytes; the caller has checked that they are there.
func (d *decoder) take(n int) []byte {
	b := d.src[d.pos : d.pos+n : d.pos+n]
	d.pos += n
	return b
}

// fixed calls f with the next n bytes.
func (d *decoder) fixed(n int, f func(b []byte)) error {
	if len(d.src)-d.pos < n {
		return ErrCorrupt
	}
	f(d.take(n))
	return nil
}

// length reads the number of bytes that follow.
func (d *decoder) length() (int, error) {
	var n uint64
	if err := d.uvarint(&n); err != nil {
		return 0, err
	}
	if n > uint64(len(d.src)-d.pos) {
		return 0, ErrCorrupt
	}
	return int(n), nil
}

// count reads the length of a slice or map whose elements take at least min
// bytes each, which bounds it by what is left of src.
func (d *decoder) count(min int) (n int, isNil bool, err error) {
	var x uint64
	if err := d.uvarint(&x); err != nil || x == 0 {
		return 0, true, err
	}
	if x--; x > uint64(len(d.src)-d.pos)/uint64(min) {
		return 0, false, ErrCorrupt
	}
	return int(x), false, nil
}

func (d *decoder) text(b []byte) string {
	if d.alias {
		return unsafe.String(unsafe.SliceData(b), len(b))
	}
	return string(b)
}

func (d *decoder) bool(v *bool) error {
	if d.pos >= len(d.src) || d.src[d.pos] > 1 {
		return ErrCorrupt
	}
	*v = d.take(1)[0] == 1
	return nil
}

func (d *decoder) byteSlice(v *[]byte) error {
	n, isNil, err := d.count(1)
	if err != nil || isNil {
		*v = nil
		return err
	}
	if *v = d.take(n); !d.alias {
		*v = append(make([]byte, 0, n), *v...)
	}
	return nil
}

func (d *decoder) time(v *time.Time) error {
	var sec int64
	var nsec uint64
	if err := d.varint(&sec); err != nil {
		return err
	}
	if err := d.uvarint(&nsec); err != nil {
		return err
	}
	return setTime(v, sec, nsec)
}

func setTime(v *time.Time, sec int64, nsec uint64) error {
	if nsec >= 1e9 {
		return ErrCorrupt
	}
	*v = time.Unix(sec, int64(nsec)).UTC()
	return nil
}

func (d *decoder) elems(pl *plan, first unsafe.Pointer, n int) error {
	for i := range n {
		if err := d.value(pl.elem, unsafe.Add(first, uintptr(i)*pl.size)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) slice(pl *plan, v unsafe.Pointer) error {
	n, isNil, err := d.count(pl.elem.min)
	if err != nil {
		return err
	}
	s := reflect.NewAt(pl.rtype, v).Elem()
	if isNil {
		s.SetZero()
		return nil
	}
	s.Set(reflect.MakeSlice(pl.rtype, n, n))
	return d.elems(pl, s.UnsafePointer(), n)
}

func (d *decoder) pointer(pl *plan, v unsafe.Pointer) error {
	var set bool
	if err := d.bool(&set); err != nil {
		return err
	}
	if !set {
		*(*unsafe.Pointer)(v) = nil
		return nil
	}
	p := reflect.New(pl.elem.rtype)
	*(*unsafe.Pointer)(v) = p.UnsafePointer()
	return d.value(pl.elem, p.UnsafePointer())
}

func (d *decoder) mapping(pl *plan, v unsafe.Pointer) error {
	n, isNil, err := d.count(pl.key.min + pl.elem.min)
	if err != nil {
		return err
	}
	m := reflect.NewAt(pl.rtype, v).Elem()
	if isNil {
		m.SetZero()
		return nil
	}
	m.Set(reflect.MakeMapWithSize(pl.rtype, n))
	for range n {
		key, value := reflect.New(pl.key.rtype), reflect.New(pl.elem.rtype)
		if err := d.value(pl.key, key.UnsafePointer()); err != nil {
			return err
		}
		if err := d.value(pl.elem, value.UnsafePointer()); err != nil {
			return err
		}
		m.SetMapIndex(key.Elem(), value.Elem())
	}
	return nil
}

// ordered decodes what appendOrdered wrote.
func (d *decoder) ordered(pl *plan, v unsafe.Pointer) error {
	switch pl.kind - kOrdered {
	case kInt8:
		return d.fixed(1, func(b []byte) { *(*byte)(v) = b[0] ^ 0x80 })
	case kInt16:
		return d.fixed(2, func(b []byte) { *(*uint16)(v) = binary.BigEndian.Uint16(b) ^ (1 << 15) })
	case kInt32:
		return d.fixed(4, func(b []byte) { *(*uint32)(v) = binary.BigEndian.Uint32(b) ^ (1 << 31) })
	case kInt64:
		return d.fixed(8, func(b []byte) { *(*uint64)(v) = binary.BigEndian.Uint64(b) ^ (1 << 63) })
	case kUint16:
		return d.fixed(2, func(b []byte) { *(*uint16)(v) = binary.BigEndian.Uint16(b) })
	case kUint32:
		return d.fixed(4, func(b []byte) { *(*uint32)(v) = binary.BigEndian.Uint32(b) })
	case kUint64:
		return d.fixed(8, func(b []byte) { *(*uint64)(v) = binary.BigEndian.Uint64(b) })
	case kFloat32:
		return d.fixed(4, func(b []byte) { *(*float32)(v) = plainFloat32(binary.BigEndian.Uint32(b)) })
	case kFloat64:
		return d.fixed(8, func(b []byte) { *(*float64)(v) = plainFloat64(binary.BigEndian.Uint64(b)) })
	case kString:
		b, err := d.escaped()
		*(*string)(v) = unsafe.String(unsafe.SliceData(b), len(b))
		return err
	case kBytes:
		b, err := d.escaped()
		*(*[]byte)(v) = b
		return err
	case kTime:
		var err error
		short := d.fixed(12, func(b []byte) {
			sec := int64(binary.BigEndian.Uint64(b) ^ (1 << 63))
			err = setTime((*time.Time)(v), sec, uint64(binary.BigEndian.Uint32(b[8:])))
		})
		if short != nil {
			return short
		}
		return err
	}
	panic("codec: ordered plan of unknown kind")
}

// escaped returns the next ordered string in fresh memory.
func (d *decoder) escaped() ([]byte, error) {
	var out []byte
	for d.pos+1 < len(d.src) {
		b := d.src[d.pos]
		if b != 0 {
			out = append(out, b)
			d.pos++
			continue
		}
		next := d.src[d.pos+1]
		d.pos += 2
		switch next {
		case endOfString:
			return out, nil
		case escapedZero:
			out = append(out, 0)
		default:
			return nil, ErrCorrupt
		}
	}
	return nil, ErrCorrupt
}

func plainFloat64(b uint64) float64 {
	if b>>63 == 1 {
		return math.Float64frombits(b &^ (1 << 63))
	}
	return math.Float64frombits(^b)
}

func plainFloat32(b uint32) float32 {
	if b>>31 == 1 {
		return math.Float32frombits(b &^ (1 << 31))
	}
	return math.Float32frombits(^b)
}
