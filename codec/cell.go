package codec

import (
	"time"
	"unsafe"
)

// cell holds one value of a basic type, for those who read bytes without
// knowing their type.
type cell struct {
	word  uint64 // booleans, integers and floats, as memory
	text  string
	bytes []byte
	at    time.Time
}

// memory is where a value of kind k lies.
func (c *cell) memory(k kind) unsafe.Pointer {
	switch k {
	case kString:
		return unsafe.Pointer(&c.text)
	case kBytes:
		return unsafe.Pointer(&c.bytes)
	case kTime:
		return unsafe.Pointer(&c.at)
	}
	return unsafe.Pointer(&c.word)
}

// decode takes a basic value off the front.
func (c *cell) decode(d *decoder, s *shape) error { return d.value(s.leaf, c.memory(s.kind)) }

// append writes it.
func (c *cell) append(dst []byte, s *shape) []byte {
	return appendValue(s.leaf, dst, c.memory(s.kind))
}

// signed is the value of a signed integer's kind.
func (c *cell) signed(k kind) int64 {
	p := c.memory(k)
	switch k {
	case kInt8:
		return int64(*(*int8)(p))
	case kInt16:
		return int64(*(*int16)(p))
	case kInt32:
		return int64(*(*int32)(p))
	}
	return *(*int64)(p)
}

// unsigned is the value of an unsigned integer's kind.
func (c *cell) unsigned(k kind) uint64 {
	p := c.memory(k)
	switch k {
	case kUint8:
		return uint64(*(*uint8)(p))
	case kUint16:
		return uint64(*(*uint16)(p))
	case kUint32:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

// float is the value of a float's kind.
func (c *cell) float(k kind) float64 {
	if k == kFloat32 {
		return float64(*(*float32)(c.memory(k)))
	}
	return *(*float64)(c.memory(k))
}

// set makes the cell an integer of kind k; the caller has checked that it fits.
func (c *cell) set(k kind, bits uint64) {
	p := c.memory(k)
	switch k {
	case kInt8, kUint8, kBool:
		*(*uint8)(p) = uint8(bits)
	case kInt16, kUint16:
		*(*uint16)(p) = uint16(bits)
	case kInt32, kUint32:
		*(*uint32)(p) = uint32(bits)
	default:
		*(*uint64)(p) = bits
	}
}

func (c *cell) setFloat(k kind, f float64) {
	if k == kFloat32 {
		*(*float32)(c.memory(k)) = float32(f)
		return
	}
	*(*float64)(c.memory(k)) = f
}

func isSigned(k kind) bool   { return k >= kInt8 && k <= kInt64 }
func isUnsigned(k kind) bool { return k >= kUint8 && k <= kUint64 }
func isFloat(k kind) bool    { return k == kFloat32 || k == kFloat64 }

// bits is the width of a number's kind.
func (k kind) bits() int {
	switch k {
	case kInt8, kUint8:
		return 8
	case kInt16, kUint16:
		return 16
	case kInt32, kUint32, kFloat32:
		return 32
	}
	return 64
}

// widens tells whether every value of kind from is one of kind to.
func widens(from, to kind) bool {
	switch {
	case from == to:
		return true
	case isSigned(from):
		return isSigned(to) && from.bits() <= to.bits()
	case isUnsigned(from):
		return isUnsigned(to) && from.bits() <= to.bits() || isSigned(to) && from.bits() < to.bits()
	case isFloat(from):
		return isFloat(to) && from.bits() <= to.bits()
	}
	return false
}

// widen turns the cell's value of one kind into another that widens says it fits.
func (c *cell) widen(from, to kind) {
	switch {
	case from == to:
	case isSigned(from):
		c.set(to, uint64(c.signed(from)))
	case isUnsigned(from):
		c.set(to, c.unsigned(from))
	case isFloat(from):
		c.setFloat(to, c.float(from))
	}
}
