package codec

import (
	"fmt"
	"strings"
	"testing"
)

// schemaOf writes a type as a schema does.
func schemaOf(t *Type) string {
	switch t.Kind {
	case TypeStruct:
		var fields []string
		for _, f := range t.Fields {
			fields = append(fields, f.Name+":"+schemaOf(f.Type))
		}
		return "{" + strings.Join(fields, ",") + "}"
	case TypeArray:
		return fmt.Sprintf("[%d]%s", t.Length, schemaOf(t.Elem))
	case TypeSlice:
		return "[]" + schemaOf(t.Elem)
	case TypePointer:
		return "*" + schemaOf(t.Elem)
	case TypeMap:
		return fmt.Sprintf("map[%s]%s", schemaOf(t.Key), schemaOf(t.Elem))
	}
	return t.Name
}

// TestTypeSaysAllOfASchema: written again it is the same text.
func TestTypeSaysAllOfASchema(t *testing.T) {
	for _, schema := range []string{
		"int64", "bool", "bytes", "time", "string", "float32", "uint8",
		"{}", "{A:int8,B:{C:[]string,D:*time}}", "[3]uint16", "map[string][]map[int32]*{X:float64}",
	} {
		d, err := Dynamic(schema)
		if err != nil {
			t.Fatal(err)
		}
		if got := schemaOf(d.Type()); got != schema {
			t.Errorf("%s is told as %s", schema, got)
		}
	}
}
