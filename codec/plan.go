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
	kFixed16 // two bytes as they are
	// The ordered forms of the above.
	kOrdered // + the plain kind
)

// The fixed forms of numbers: their bits, little-endian, as floats have them in
// every form but the ordered one.
const (
	kFixed8  = kUint8
	kFixed32 = kFloat32
	kFixed64 = kFloat64
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

	fixedSize       int    // of every encoding, or Variable
	schema, lineage string // see Codec
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
		pl.kind, pl.min, pl.schema, pl.lineage = b.kind, b.min, b.schema, b.schema
		return p.inForm(pl, where)
	}
	if t == timeType {
		pl.kind, pl.min, pl.schema, pl.lineage = kTime, 2, "time", "time"
		return p.inForm(pl, where)
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
	return p.inForm(pl, where)
}

// inForm turns pl into the form that the mode asks for.
func (p *planner) inForm(pl *plan, where string) (*plan, error) {
	k, ok := pl.kind.in(p.mode.form)
	if !ok {
		return nil, fmt.Errorf("%s: %w: %s %s", where, ErrUnsupported, pl.typ, p.mode.form.lack())
	}
	pl.kind, pl.fixedSize = k, sizeOf(pl, k)
	if p.mode.form != compact {
		pl.min = max(pl.fixedSize, pl.min, orderedMin[k])
	}
	return pl, nil
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
	if p.mode.form != compact {
		return fmt.Errorf("%s: %w: %s %s", where, ErrUnsupported, t, p.mode.form.lack())
	}
	switch t.Kind() {
	case reflect.Pointer:
		return p.pointer(pl, t, where)
	case reflect.Map:
		return p.mapping(pl, t, where)
	}
	return fmt.Errorf("%s: %w: %s", where, ErrUnsupported, t)
}

func (p *planner) structure(pl *plan, t reflect.Type, where string) error {
	pl.kind = kStruct
	var schemas, lineages []string
	names, err := formerNames(t, where)
	if err != nil {
		return err
	}
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
		schemas = append(schemas, f.Name+":"+fp.schema)
		lineages = append(lineages, strings.Join(append([]string{f.Name}, names[f.Name]...), "|")+":"+fp.lineage)
	}
	pl.schema = "{" + strings.Join(schemas, ",") + "}"
	pl.lineage = "{" + strings.Join(lineages, ",") + "}"
	return nil
}

func (p *planner) array(pl *plan, t reflect.Type, where string) (err error) {
	pl.kind, pl.length, pl.size = kArray, t.Len(), t.Elem().Size()
	if pl.elem, err = p.plan(t.Elem(), where+"[]"); err != nil {
		return err
	}
	pl.min = pl.length * pl.elem.min
	size := fmt.Sprintf("[%d]", pl.length)
	pl.schema, pl.lineage = size+pl.elem.schema, size+pl.elem.lineage
	return nil
}

func (p *planner) slice(pl *plan, t reflect.Type, where string) (err error) {
	if t.Elem().Kind() == reflect.Uint8 {
		pl.kind, pl.min, pl.schema, pl.lineage = kBytes, 1, "bytes", "bytes"
		return nil
	}
	if p.mode.form != compact {
		return fmt.Errorf("%s: %w: %s %s", where, ErrUnsupported, t, p.mode.form.lack())
	}
	pl.kind, pl.min, pl.size = kSlice, 1, t.Elem().Size()
	if pl.elem, err = p.plan(t.Elem(), where+"[]"); err != nil {
		return err
	}
	if pl.elem.min == 0 { // a length could then promise any number of them
		return fmt.Errorf("%s: %w: elements of %s encode to nothing", where, ErrUnsupported, t)
	}
	pl.schema, pl.lineage = "[]"+pl.elem.schema, "[]"+pl.elem.lineage
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
	pl.schema, pl.lineage = "*"+pl.elem.schema, "*"+pl.elem.lineage
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
	pl.lineage = "map[" + pl.key.lineage + "]" + pl.elem.lineage
	return nil
}
