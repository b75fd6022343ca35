package codec

// Type is a schema as a tree, for those who build something of its shape: columns, for
// example. It says what Dyn.Decode returns.
type Type struct {
	Kind TypeKind
	// Name is the schema's word for a basic type: int8, string, bytes, time.
	Name   string
	Fields []TypeField // of a struct, in order
	Key    *Type       // of a map
	Elem   *Type       // of an array, slice, pointer or map
	Length int         // of an array
}

// TypeField is a field of a struct.
type TypeField struct {
	Name string
	Type *Type
}

// TypeKind is what sort of type it is.
type TypeKind int

// The kinds of types.
const (
	TypeBasic TypeKind = iota
	TypeStruct
	TypeArray
	TypeSlice
	TypePointer
	TypeMap
)

// Type is the type of the values.
func (y *Dyn) Type() *Type { return typeOf(y.schema.root) }

func typeOf(s *shape) *Type {
	if s == nil {
		return nil
	}
	kinds := map[kind]TypeKind{kStruct: TypeStruct, kArray: TypeArray, kSlice: TypeSlice, kPointer: TypePointer, kMap: TypeMap}
	t := &Type{Kind: kinds[s.kind], Key: typeOf(s.key), Elem: typeOf(s.elem), Length: s.length}
	if t.Kind == TypeBasic {
		t.Name = basicNames[s.kind]
	}
	for _, f := range s.fields {
		t.Fields = append(t.Fields, TypeField{f.name, typeOf(f.shape)})
	}
	return t
}
