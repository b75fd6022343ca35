package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Schema is what Codec.Schema or Codec.Lineage says, taken apart:
//
//	schema = ["ordered " | "fixed "] type
//	type   = basic | "{" [field {"," field}] "}" | "[" n "]" type
//	       | "[]" type | "*" type | "map[" type "]" type
//	field  = name {"|" former name} ":" type
//	basic  = bool | int8 .. int64 | uint8 .. uint64 | float32 | float64 | string | bytes | time
type Schema struct {
	form form
	root *shape
}

// shape is one type of a schema.
type shape struct {
	kind   kind    // a plain one
	fields []field // kStruct
	elem   *shape  // kArray, kSlice, kPointer, kMap
	key    *shape  // kMap
	length int     // kArray
	count  int     // kArray, kStruct: of elements in all arrays within each other
	leaf   *plan   // of a basic type, in the schema's form
	min    int     // bytes that an encoding has at least
}

// field is a field of a struct.
type field struct {
	name   string
	former []string // the newest first
	shape  *shape
}

// ErrSchema is returned by ParseSchema, and by what takes schemas, for text that
// is none. The message says where it goes wrong.
var ErrSchema = errors.New("not a schema")

// ParseSchema takes a schema apart.
func ParseSchema(text string) (*Schema, error) {
	s := &Schema{}
	rest := text
	for _, f := range []form{ordered, fixed} {
		if after, ok := strings.CutPrefix(text, f.prefix()); ok {
			s.form, rest = f, after
		}
	}
	p := schemaParser{text: rest, form: s.form}
	root, err := p.shape(0)
	if err == nil && p.pos != len(rest) {
		err = p.wrong("nothing more")
	}
	if err != nil {
		return nil, fmt.Errorf("schema %q: %w", text, err)
	}
	s.root = root
	return s, nil
}

// String is the schema's text, without former names.
func (s *Schema) String() string { return s.form.prefix() + s.root.String() }

func (s *shape) String() string {
	switch s.kind {
	case kStruct:
		var fields []string
		for _, f := range s.fields {
			fields = append(fields, f.name+":"+f.shape.String())
		}
		return "{" + strings.Join(fields, ",") + "}"
	case kArray:
		return fmt.Sprintf("[%d]%v", s.length, s.elem)
	case kSlice:
		return "[]" + s.elem.String()
	case kPointer:
		return "*" + s.elem.String()
	case kMap:
		return fmt.Sprintf("map[%v]%v", s.key, s.elem)
	}
	return basicNames[s.kind]
}

// basicNames are the words for basic types, by kind.
var basicNames = func() map[kind]string {
	names := map[kind]string{kBytes: "bytes", kTime: "time"}
	for _, b := range basic {
		names[b.kind] = b.schema
	}
	return names
}()

var basicKinds = func() map[string]kind {
	kinds := map[string]kind{}
	for k, name := range basicNames {
		kinds[name] = k
	}
	return kinds
}()

// schemaDepthMax bounds how deep a schema may nest: types of programs are far
// from it, and the parser's stack is safe.
const schemaDepthMax = 100

// schemaLengthMax bounds the length of an array in a schema, and the size of all
// arrays within each other.
const schemaLengthMax = 1 << 24

type schemaParser struct {
	text string
	pos  int
	form form
}

func (p *schemaParser) wrong(want string) error {
	return fmt.Errorf("%w: at byte %d: want %s", ErrSchema, p.pos, want)
}

// take skips word if it comes next.
func (p *schemaParser) take(word string) bool {
	if !strings.HasPrefix(p.text[p.pos:], word) {
		return false
	}
	p.pos += len(word)
	return true
}

func (p *schemaParser) shape(depth int) (*shape, error) {
	if depth > schemaDepthMax {
		return nil, p.wrong("a type that is not nested so deep")
	}
	switch {
	case p.take("{"):
		return p.structure(depth)
	case p.take("map["):
		return p.mapping(depth)
	case p.take("[]"):
		return p.list(kSlice, depth)
	case p.take("*"):
		return p.list(kPointer, depth)
	case p.take("["):
		return p.array(depth)
	}
	return p.basic()
}

func (p *schemaParser) basic() (*shape, error) {
	name := p.word()
	k, ok := basicKinds[name]
	in, fits := k.in(p.form)
	if !ok || !fits {
		p.pos -= len(name)
		return nil, p.wrong("a type")
	}
	leaf := &plan{kind: in, typ: name}
	leaf.min = max(1, sizeOf(leaf, in), orderedMin[in])
	if k == kTime {
		leaf.min = max(2, leaf.min)
	}
	return &shape{kind: k, leaf: leaf, min: leaf.min}, nil
}

// word takes letters, digits and underscores.
func (p *schemaParser) word() string {
	rest := p.text[p.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !inName(r) })
	if end < 0 {
		end = len(rest)
	}
	p.pos += end
	return rest[:end]
}

func inName(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func isName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !inName(r) }) < 0
}

func (p *schemaParser) structure(depth int) (*shape, error) {
	s := &shape{kind: kStruct}
	for !p.take("}") {
		if len(s.fields) > 0 && !p.take(",") {
			return nil, p.wrong(`"," or "}"`)
		}
		f, err := p.field(depth)
		if err != nil {
			return nil, err
		}
		s.fields = append(s.fields, f)
		s.min += f.shape.min
		s.count += f.shape.count
	}
	return s, nil
}

func (p *schemaParser) field(depth int) (f field, err error) {
	if f.name = p.word(); f.name == "" {
		return f, p.wrong("a field's name")
	}
	for p.take("|") {
		f.former = append(f.former, p.word())
	}
	if !p.take(":") {
		return f, p.wrong(`":"`)
	}
	f.shape, err = p.shape(depth + 1)
	return f, err
}

func (p *schemaParser) array(depth int) (*shape, error) {
	digits := p.word()
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > schemaLengthMax || !p.take("]") {
		return nil, p.wrong("an array's length")
	}
	s, err := p.list(kArray, depth)
	if err != nil {
		return nil, err
	}
	s.length, s.min = n, n*s.elem.min
	if s.count = n * max(1, s.elem.count); s.count > schemaLengthMax {
		return nil, p.wrong("a smaller array")
	}
	return s, nil
}

// list parses what has elements.
func (p *schemaParser) list(k kind, depth int) (*shape, error) {
	if k != kArray && p.form != compact {
		return nil, p.wrong("a type with that form")
	}
	elem, err := p.shape(depth + 1)
	if err != nil {
		return nil, err
	}
	if k == kSlice && elem.min == 0 {
		return nil, p.wrong("elements that encode to something")
	}
	return &shape{kind: k, elem: elem, min: 1}, nil
}

func (p *schemaParser) mapping(depth int) (*shape, error) {
	if p.form != compact {
		return nil, p.wrong("a type with that form")
	}
	key, err := p.shape(depth + 1)
	if err != nil {
		return nil, err
	}
	if key.min == 0 || !p.take("]") {
		return nil, p.wrong(`a key that encodes to something, and "]"`)
	}
	elem, err := p.shape(depth + 1)
	if err != nil {
		return nil, err
	}
	return &shape{kind: kMap, key: key, elem: elem, min: 1}, nil
}
