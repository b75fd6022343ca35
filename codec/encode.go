package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// appendValue appends the value at v, which has pl's type, to dst.
//
// All of encode.go and decode.go relies on one invariant: a pointer that is
// passed along with a plan points to a live value of exactly plan.rtype, so
// that the conversions below are those that the compiler would make for a field.
func appendValue(pl *plan, dst []byte, v unsafe.Pointer) []byte {
	switch pl.kind {
	case kBool:
		if *(*bool)(v) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case kInt64:
		return binary.AppendVarint(dst, *(*int64)(v))
	case kUint64:
		return binary.AppendUvarint(dst, *(*uint64)(v))
	case kFloat64:
		return binary.LittleEndian.AppendUint64(dst, *(*uint64)(v))
	case kString:
		s := *(*string)(v)
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		return append(dst, s...)
	case kStruct:
		for i := range pl.fields {
			f := &pl.fields[i]
			dst = appendValue(f, dst, unsafe.Add(v, f.offset))
		}
		return dst
	case kInt8, kUint8:
		return append(dst, *(*byte)(v))
	case kInt32:
		return binary.AppendVarint(dst, int64(*(*int32)(v)))
	case kUint32:
		return binary.AppendUvarint(dst, uint64(*(*uint32)(v)))
	}
	if pl.kind >= kOrdered {
		return appendOrdered(pl, dst, v)
	}
	return appendRare(pl, dst, v)
}

// appendRare has the kinds that appendValue has no room for.
func appendRare(pl *plan, dst []byte, v unsafe.Pointer) []byte {
	switch pl.kind {
	case kInt16:
		return binary.AppendVarint(dst, int64(*(*int16)(v)))
	case kUint16:
		return binary.AppendUvarint(dst, uint64(*(*uint16)(v)))
	case kFixed16:
		return binary.LittleEndian.AppendUint16(dst, *(*uint16)(v))
	case kFloat32:
		return binary.LittleEndian.AppendUint32(dst, *(*uint32)(v))
	case kBytes:
		b := *(*[]byte)(v)
		return append(appendCount(dst, len(b), b == nil), b...)
	case kTime:
		t := *(*time.Time)(v)
		dst = binary.AppendVarint(dst, t.Unix())
		return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
	case kArray:
		return appendElems(pl, dst, v, pl.length)
	case kSlice:
		s := *(*[]struct{})(v) // only its length and pointer are used
		dst = appendCount(dst, len(s), s == nil)
		return appendElems(pl, dst, unsafe.Pointer(unsafe.SliceData(s)), len(s))
	case kPointer:
		p := *(*unsafe.Pointer)(v)
		if p == nil {
			return append(dst, 0)
		}
		return appendValue(pl.elem, append(dst, 1), p)
	case kMap:
		return appendMap(pl, dst, v)
	}
	panic("codec: plan of unknown kind")
}

// appendCount appends a length; zero is kept for nil.
func appendCount(dst []byte, n int, isNil bool) []byte {
	if isNil {
		return append(dst, 0)
	}
	return binary.AppendUvarint(dst, uint64(n)+1)
}

func appendElems(pl *plan, dst []byte, first unsafe.Pointer, n int) []byte {
	for i := range n {
		dst = appendValue(pl.elem, dst, unsafe.Add(first, uintptr(i)*pl.size))
	}
	return dst
}

// appendMap appends the entries in ascending order of their encoded keys.
func appendMap(pl *plan, dst []byte, v unsafe.Pointer) []byte {
	m := reflect.NewAt(pl.rtype, v).Elem()
	var w mapWriter
	key, value := reflect.New(pl.key.rtype), reflect.New(pl.elem.rtype)
	for it := m.MapRange(); it.Next(); {
		key.Elem().SetIterKey(it)
		value.Elem().SetIterValue(it)
		w.begin()
		w.buf = appendValue(pl.key, w.buf, key.UnsafePointer())
		w.endKey()
		w.buf = appendValue(pl.elem, w.buf, value.UnsafePointer())
		w.end()
	}
	return w.append(dst, m.IsNil())
}

// The ordered forms: fixed-size and big-endian, with the sign turned so that
// negative numbers come first. Strings and byte slices are followed by 0 1, and
// a 0 inside them is written as 0 255, so that a prefix comes before what it begins.

func appendOrdered(pl *plan, dst []byte, v unsafe.Pointer) []byte {
	switch pl.kind - kOrdered {
	case kInt8:
		return append(dst, *(*byte)(v)^0x80)
	case kInt16:
		return binary.BigEndian.AppendUint16(dst, *(*uint16)(v)^(1<<15))
	case kInt32:
		return binary.BigEndian.AppendUint32(dst, *(*uint32)(v)^(1<<31))
	case kInt64:
		return binary.BigEndian.AppendUint64(dst, *(*uint64)(v)^(1<<63))
	case kUint16:
		return binary.BigEndian.AppendUint16(dst, *(*uint16)(v))
	case kUint32:
		return binary.BigEndian.AppendUint32(dst, *(*uint32)(v))
	case kUint64:
		return binary.BigEndian.AppendUint64(dst, *(*uint64)(v))
	case kFloat32:
		return binary.BigEndian.AppendUint32(dst, orderedFloat32(*(*float32)(v)))
	case kFloat64:
		return binary.BigEndian.AppendUint64(dst, orderedFloat64(*(*float64)(v)))
	case kString:
		return appendEscaped(dst, *(*string)(v))
	case kBytes:
		b := *(*[]byte)(v)
		return appendEscaped(dst, unsafe.String(unsafe.SliceData(b), len(b)))
	case kTime:
		t := *(*time.Time)(v)
		dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix())^(1<<63))
		return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
	}
	panic("codec: ordered plan of unknown kind")
}

func orderedFloat64(f float64) uint64 {
	b := math.Float64bits(f)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

func orderedFloat32(f float32) uint32 {
	b := math.Float32bits(f)
	if b>>31 == 1 {
		return ^b
	}
	return b | 1<<31
}

func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, escapedZero)
		}
	}
	return append(dst, 0, endOfString)
}

// What may follow a 0 in an ordered string.
const (
	endOfString = 1
	escapedZero = 255
)
