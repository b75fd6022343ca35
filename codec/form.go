package codec

// form says how the basic types are written.
type form uint8

const (
	compact form = iota
	ordered
	fixed
)

// prefix is what a schema begins with.
func (f form) prefix() string { return [...]string{"", "ordered ", "fixed "}[f] }

// lack is why a form refuses a type.
func (f form) lack() string {
	if f == fixed {
		return "has no fixed size"
	}
	return "has no order"
}

// in is the kind that writes k, a plain one, in a form; ok is false if it has none.
func (k kind) in(f form) (kind, bool) {
	switch {
	case f == compact, k == kBool, k == kStruct, k == kArray:
		return k, true
	case f == ordered && k == kUint8:
		return k, true
	case f == ordered:
		return k + kOrdered, k <= kTime
	}
	switch k {
	case kInt8, kUint8:
		return kFixed8, true
	case kInt16, kUint16:
		return kFixed16, true
	case kInt32, kUint32, kFloat32:
		return kFixed32, true
	case kInt64, kUint64, kFloat64:
		return kFixed64, true
	}
	return k, false
}

// orderedMin is the least length of the ordered forms of the basic types.
var orderedMin = map[kind]int{
	kOrdered + kInt8: 1, kOrdered + kInt16: 2, kOrdered + kInt32: 4, kOrdered + kInt64: 8,
	kOrdered + kUint16: 2, kOrdered + kUint32: 4, kOrdered + kUint64: 8,
	kOrdered + kFloat32: 4, kOrdered + kFloat64: 8, kOrdered + kString: 2, kOrdered + kBytes: 2, kOrdered + kTime: 12,
}

// sizeOf is the length of every encoding of a value of pl that is written as k,
// or Variable.
func sizeOf(pl *plan, k kind) int {
	switch k {
	case kBool, kInt8, kUint8:
		return 1
	case kFixed16:
		return 2
	case kFixed32:
		return 4
	case kFixed64:
		return 8
	case kArray:
		if pl.elem.fixedSize == Variable && pl.length > 0 {
			return Variable
		}
		return pl.length * max(pl.elem.fixedSize, 0)
	case kStruct:
		sum := 0
		for i := range pl.fields {
			if pl.fields[i].fixedSize == Variable {
				return Variable
			}
			sum += pl.fields[i].fixedSize
		}
		return sum
	case kOrdered + kString, kOrdered + kBytes:
		return Variable
	}
	if k >= kOrdered {
		return orderedMin[k]
	}
	return Variable
}
