package rowfile

import (
	"encoding/json"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/codec"
)

// column is a type as Parquet has it: a leaf, or a tree of columns. Its leaves are numbered
// when the whole file's are known.
type column struct {
	node     parquet.Node
	optional bool                    // nil is null
	leaf     func(any) parquet.Value // nil of a tree
	number   int                     // of a leaf
	fields   []namedColumn           // of a struct
	list     *listColumn             // of an array, slice or map

	def, rep int // levels of a value that is there
}

type namedColumn struct {
	name string
	*column
}

// listColumn is what repeats: an element, or the key and value of a map's entry.
type listColumn struct {
	parts    []*column
	def, rep int // levels of an element
}

// columnOf returns the column of values that codec.Dyn decodes by the type. A type that
// Parquet has no column for, such as a pointer to a pointer, is text: JSON.
func columnOf(t *codec.Type) *column {
	switch t.Kind {
	case codec.TypeStruct:
		return structColumn(t)
	case codec.TypePointer:
		return pointerColumn(t)
	case codec.TypeArray, codec.TypeSlice:
		return sliceColumn(t)
	case codec.TypeMap:
		return mapColumn(t)
	}
	return basicColumn(t.Name)
}

func structColumn(t *codec.Type) *column {
	if len(t.Fields) == 0 {
		return jsonColumn()
	}
	c, group := &column{}, parquet.Group{}
	for _, f := range t.Fields {
		sub := columnOf(f.Type)
		c.fields = append(c.fields, namedColumn{f.Name, sub})
		group[f.Name] = sub.node
	}
	c.node = group
	return c
}

func pointerColumn(t *codec.Type) *column {
	c := columnOf(t.Elem)
	if c.optional {
		return jsonColumn()
	}
	c.optional, c.node = true, parquet.Optional(c.node)
	return c
}

func sliceColumn(t *codec.Type) *column {
	elem := columnOf(t.Elem)
	c := &column{node: parquet.List(elem.node), list: &listColumn{parts: []*column{elem}}}
	if t.Kind == codec.TypeSlice {
		c.optional, c.node = true, parquet.Optional(c.node)
	}
	return c
}

func mapColumn(t *codec.Type) *column {
	key, value := columnOf(t.Key), columnOf(t.Elem)
	if key.optional {
		return jsonColumn()
	}
	return &column{
		node: parquet.Optional(parquet.Map(key.node, value.node)), optional: true, list: &listColumn{parts: []*column{key, value}},
	}
}

// jsonColumn is for what has no columns: a value's JSON, and null for nil.
func jsonColumn() *column {
	return &column{node: parquet.Optional(parquet.String()), optional: true, leaf: func(v any) parquet.Value {
		text, err := json.Marshal(v)
		if err != nil { // what Dyn decodes marshals
			panic(err)
		}
		return parquet.ByteArrayValue(text)
	}}
}

// basicColumn is a leaf of a basic type, by its name in schemas.
func basicColumn(name string) *column {
	c := &column{}
	signed := func(bits int, of func(int64) parquet.Value) {
		c.node, c.leaf = parquet.Int(bits), func(v any) parquet.Value { return of(v.(int64)) }
	}
	unsigned := func(bits int) {
		c.node = parquet.Uint(bits)
		c.leaf = func(v any) parquet.Value { return parquet.Int32Value(int32(uint32(v.(uint64)))) }
	}
	narrow := func(n int64) parquet.Value { return parquet.Int32Value(int32(n)) }
	switch name {
	case "bool":
		c.node, c.leaf = parquet.Leaf(parquet.BooleanType), func(v any) parquet.Value { return parquet.BooleanValue(v.(bool)) }
	case "int8":
		signed(8, narrow)
	case "int16":
		signed(16, narrow)
	case "int32":
		signed(32, narrow)
	case "int64":
		signed(64, parquet.Int64Value)
	case "uint8":
		unsigned(8)
	case "uint16":
		unsigned(16)
	case "uint32":
		unsigned(32)
	case "uint64":
		c.node, c.leaf = parquet.Uint(64), func(v any) parquet.Value { return parquet.Int64Value(int64(v.(uint64))) }
	case "float32":
		c.node = parquet.Leaf(parquet.FloatType)
		c.leaf = func(v any) parquet.Value { return parquet.FloatValue(float32(v.(codec.Float))) }
	case "float64":
		c.node = parquet.Leaf(parquet.DoubleType)
		c.leaf = func(v any) parquet.Value { return parquet.DoubleValue(float64(v.(codec.Float))) }
	case "string":
		c.node, c.leaf = parquet.String(), func(v any) parquet.Value { return parquet.ByteArrayValue([]byte(v.(string))) }
	case "bytes":
		c.node, c.optional = parquet.Optional(parquet.Leaf(parquet.ByteArrayType)), true
		c.leaf = func(v any) parquet.Value { return parquet.ByteArrayValue(v.(codec.Bytes)) }
	case "time":
		return timeColumn()
	default:
		return jsonColumn()
	}
	return c
}

// timeColumn is an instant in microseconds: those of year 1 are in range, as they are not in
// nanoseconds. What is out of range anyway is null.
func timeColumn() *column {
	first, last := time.UnixMicro(math.MinInt64), time.UnixMicro(math.MaxInt64)
	return &column{node: parquet.Optional(parquet.Timestamp(parquet.Microsecond)), optional: true, leaf: func(v any) parquet.Value {
		at := v.(time.Time)
		if at.Before(first) || at.After(last) {
			return parquet.NullValue()
		}
		return parquet.Int64Value(at.UnixMicro())
	}}
}

// level sets the levels of the column and of those below it.
func (c *column) level(def, rep int) {
	if c.optional {
		def++
	}
	c.def, c.rep = def, rep
	for _, f := range c.fields {
		f.level(def, rep)
	}
	if l := c.list; l != nil {
		l.def, l.rep = def+1, rep+1
		for _, p := range l.parts {
			p.level(l.def, l.rep)
		}
	}
}

// rows collects the values of rows, by leaf.
type rows [][]parquet.Value

func (r rows) add(number int, v parquet.Value, rep, def int) {
	r[number] = append(r[number], v.Level(rep, def, number))
}

// put adds a value to the leaves. rep is its repetition level.
func (c *column) put(to rows, v any, rep int) {
	if v == nil && c.optional {
		c.null(to, rep, c.def-1)
		return
	}
	switch {
	case c.leaf != nil:
		x := c.leaf(v)
		if x.IsNull() {
			to.add(c.number, x, rep, c.def-1)
			return
		}
		to.add(c.number, x, rep, c.def)
	case c.list != nil:
		c.putList(to, v, rep)
	default:
		for i, f := range v.(codec.Record) {
			c.fields[i].put(to, f.Value, rep)
		}
	}
}

func (c *column) putList(to rows, v any, rep int) {
	n := 0
	each := func(values ...any) {
		if n > 0 {
			rep = c.list.rep
		}
		for i, p := range c.list.parts {
			p.put(to, values[i], rep)
		}
		n++
	}
	switch list := v.(type) {
	case codec.List:
		for _, x := range list {
			each(x)
		}
	case codec.Map:
		for _, e := range list {
			each(e.Key, e.Value)
		}
	}
	if n == 0 {
		for _, p := range c.list.parts {
			p.null(to, rep, c.def)
		}
	}
}

// null adds to all leaves that there is nothing from the level on.
func (c *column) null(to rows, rep, def int) {
	switch {
	case c.leaf != nil:
		to.add(c.number, parquet.NullValue(), rep, def)
	case c.list != nil:
		for _, p := range c.list.parts {
			p.null(to, rep, def)
		}
	default:
		for _, f := range c.fields {
			f.null(to, rep, def)
		}
	}
}
