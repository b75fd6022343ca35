package codec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// kind is what a step of a plan does.
type kind uint8

const (
	kBool kind = iota
	kInt8
	kInt16
	kInt32
	kInt64
	kUint8
	kUint16
	kUint32
	kUint64
	kFloat32
	kFloat64
	kString
	kBytes
	kTime
	kStruct
	kArray
	kSlice
	kPointer
	kMap
	// The ordered forms of the above.
	kOrdered // + the plain kind
)

// plan is how one type is encoded, at an offset in the struct that holds it.
type plan struct {
	kind   kind
	offset uintptr // in the enclosing struct
	fields []plan  // kStruct
	elem   *plan   // kArray, kSlice, kPointer, kMap
	key    *plan   // kMap
	size   uintptr // of an element: kArray, kSlice
	length int     // kArray
	min    int     // bytes that an encoding has at least
	rtype  reflect.Type
	typ    string // as Go prints it, for errors
	schema string
}

// planner plans one type; path is the types that it is inside of.
type planner struct {
	mode  mode
	path  []reflect.Type
	inKey int // how many map keys we are inside of
}

var timeType = reflect.TypeFor[time.Time]()

// int and uint are 64 bits wide wherever Cairn runs; this does not compile elsewhere.
var _ [strconv.IntSize - 64]struct{}

// basic are the types whose encoding their Go kind decides.
var basic = map[reflect.Kind]struct {
	kind   kind
	min    int
	schema string
}{
	reflect.Bool:    {kBool, 1, "bool"},
	reflect.Int:     {kInt64, 1, "int64"},
	reflect.Int8:    {kInt8, 1, "int8"},
	reflect.Int16:   {kInt16, 1, "int16"},
	reflect.Int32:   {kInt32, 1, "int32"},
	reflect.Int64:   {kInt64, 1, "int64"},
	reflect.Uint:    {kUint64, 1, "uint64"},
	reflect.Uint8:   {kUint8, 1, "uint8"},
	reflect.Uint16:  {kUint16, 1, "uint16"},
	reflect.Uint32:  {kUint32, 1, "uint32"},
	reflect.Uint64:  {kUint64, 1, "uint64"},
	reflect.Float32: {kFloat32, 4, "float32"},
	reflect.Float64: {kFloat64, 8, "float64"},
	reflect.String:  {kString, 1, "string"},
}

// plan plans t. where is the way to it from the type that was asked for, for
// errors.
func (p *planner) plan(t reflect.Type, where string) (*plan, error) {
	pl := &plan{rtype: t, typ: t.String()}
	if b, ok := basic[t.Kind()]; ok {
		pl.kind, pl.min, pl.schema = b.kind, b.min, b.schema
		return p.ordered(pl), nil
	}
	if t == timeType {
		pl.kind, pl.min, pl.schema = kTime, 2, "time"
		return p.ordered(pl), nil
	}
	for _, outer := range p.path {
		if outer == t {
			return nil, fmt.Errorf("%s: %w: %s contains itself", where, ErrUnsupported, t)
		}
	}
	p.path = append(p.path, t)
	defer func() { p.path = p.path[:len(p.path)-1] }()
	if err := p.composite(pl, t, where); err != nil {
		return nil, err
	}
	return p.ordered(pl), nil
}

// ordered turns pl into its ordered form, in that mode.
func (p *planner) ordered(pl *plan) *plan {
	if !p.mode.ordered {
		return pl
	}
	switch pl.kind {
	case kBool, kUint8, kStruct, kArray: // are ordered as they are
	default:
		pl.kind += kOrdered
	}
	pl.min = orderedMin(pl)
	return pl
}

func (p *planner) composite(pl *plan, t reflect.Type, where string) error {
	switch t.Kind() {
	case reflect.Struct:
		return p.structure(pl, t, where)
	case reflect.Array:
		return p.array(pl, t, where)
	case reflect.Slice:
		return p.slice(pl, t, where)
	}
	if !p.mode.ordered {
		switch t.Kind() {
		case reflect.Pointer:
			return p.pointer(pl, t, where)
		case reflect.Map:
			return p.mapping(pl, t, where)
		}
		return fmt.Errorf("%s: %w: %s", where, ErrUnsupported, t)
	}
	return fmt.Errorf("%s: %w: %s has no order", where, ErrUnsupported, t)
}

func (p *planner) structure(pl *plan, t reflect.Type, where string) error {
	pl.kind = kStruct
	var s strings.Builder
	for i := range t.NumField() {
		f := t.Field(i)
		at := where + "." + f.Name
		if !f.IsExported() {
			return fmt.Errorf("%s: %w: the field is not exported", at, ErrUnsupported)
		}
		fp, err := p.plan(f.Type, at)
		if err != nil {
			return err
		}
		fp.offset = f.Offset
		pl.fields = append(pl.fields, *fp)
		pl.min += fp.min
		fmt.Fprintf(&s, ",%s:%s", f.Name, fp.schema)
	}
	pl.schema = "{" + strings.TrimPrefix(s.String(), ",") + "}"
	return nil
}

func (p *planner) array(pl *plan, t reflect.Type, where string) (err error) {
	pl.kind, pl.length, pl.size = kArray, t.Len(), t.Elem().Size()
	if pl.elem, err = p.plan(t.Elem(), where+"[]"); err != nil {
		return err
	}
	pl.min = pl.length * pl.elem.min
	pl.schema = fmt.Sprintf("[%d]%s", pl.length, pl.elem.schema)
	return nil
}

func (p *planner) slice(pl *plan, t reflect.Type, where string) (err error) {
	if t.Elem().Kind() == reflect.Uint8 {
		pl.kind, pl.min, pl.schema = kBytes, 1, "bytes"
		return nil
	}
	if p.mode.ordered {
		return fmt.Errorf("%s: %w: %s has no order", where, ErrUnsupported, t)
	}
	pl.kind, pl.min, pl.size = kSlice, 1, t.Elem().Size()
	if pl.elem, err = p.plan(t.Elem(), where+"[]"); err != nil {
		return err
	}
	if pl.elem.min == 0 { // a length could then promise any number of them
		return fmt.Errorf("%s: %w: elements of %s encode to nothing", where, ErrUnsupported, t)
	}
	pl.schema = "[]" + pl.elem.schema
	return nil
}

func (p *planner) pointer(pl *plan, t reflect.Type, where string) (err error) {
	if p.inKey > 0 { // its identity, which is what a map compares, would be lost
		return fmt.Errorf("%s: %w: %s in a map's key", where, ErrUnsupported, t)
	}
	pl.kind, pl.min = kPointer, 1
	if pl.elem, err = p.plan(t.Elem(), where); err != nil {
		return err
	}
	pl.schema = "*" + pl.elem.schema
	return nil
}

func (p *planner) mapping(pl *plan, t reflect.Type, where string) (err error) {
	pl.kind, pl.min = kMap, 1
	p.inKey++
	pl.key, err = p.plan(t.Key(), where+"[key]")
	p.inKey--
	if err != nil {
		return err
	}
	if pl.elem, err = p.plan(t.Elem(), where+"[]"); err != nil {
		return err
	}
	if pl.key.min == 0 {
		return fmt.Errorf("%s: %w: keys of %s encode to nothing", where, ErrUnsupported, t)
	}
	pl.schema = "map[" + pl.key.schema + "]" + pl.elem.schema
	return nil
}
