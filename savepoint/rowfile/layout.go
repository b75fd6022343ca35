package rowfile

import (
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// The columns that a restore reads. A file of keyed state has all of them.
const (
	colGroup = "key_group"
	colKey   = "key_bytes"
	colSub   = "sub_key_bytes"
	colValue = "value_bytes"
)

// The kinds of states whose sub-keys say more than a namespace.
const (
	kindMap    = "map"
	kindList   = "list"
	kindTimers = "timers"
)

// layout is the columns of a file.
type layout struct {
	schema *parquet.Schema
	roots  map[string]*column
	leaves int
}

// newLayout numbers the leaves of the columns.
func newLayout(name string, roots map[string]*column) *layout {
	group := parquet.Group{}
	for n, c := range roots {
		group[n] = c.node
		c.level(0, 0)
	}
	l := &layout{schema: parquet.NewSchema(name, group), roots: roots}
	l.leaves = len(l.schema.Columns())
	for n, c := range roots {
		l.number(c, n)
	}
	return l
}

// number finds the leaves by their paths.
func (l *layout) number(c *column, path ...string) {
	below := func(names ...string) []string { return append(append([]string(nil), path...), names...) }
	switch {
	case c.leaf != nil:
		leaf, ok := l.schema.Lookup(path...)
		if !ok {
			panic(fmt.Sprintf("rowfile: no column %q", path)) // the schema was made of the columns
		}
		c.number = leaf.ColumnIndex
	case c.list != nil && len(c.list.parts) == 1:
		l.number(c.list.parts[0], below("list", "element")...)
	case c.list != nil:
		l.number(c.list.parts[0], below("key_value", "key")...)
		l.number(c.list.parts[1], below("key_value", "value")...)
	default:
		for _, f := range c.fields {
			l.number(f.column, below(f.name)...)
		}
	}
}

// rawColumn holds bytes as they are.
func rawColumn() *column {
	return &column{node: parquet.Leaf(parquet.ByteArrayType), leaf: func(v any) parquet.Value { return parquet.ByteArrayValue(v.([]byte)) }}
}

// typed is a part of an entry as a column of its own.
type typed struct {
	column *column
	dyn    *codec.Dyn
}

// typedOf is the column of a schema of package codec.
func typedOf(schema string) (*typed, error) {
	d, err := codec.Dynamic(schema)
	if err != nil {
		return nil, err
	}
	return &typed{columnOf(d.Type()), d}, nil
}

// put decodes the front of b into the column and returns what follows.
func (t *typed) put(to rows, b []byte) ([]byte, error) {
	v, n, err := t.dyn.Decode(b)
	if err != nil {
		return nil, err
	}
	t.column.put(to, v, 0)
	return b[n:], nil
}

// entryLayout is the columns of a keyed state.
type entryLayout struct {
	*layout
	group, rawKey, rawSub, rawValue *column

	key    *typed // nil: nobody knows the schema
	subs   []*typed
	value  *typed
	ttl    bool
	used   *column // when the entry was used last, with a TTL
	timers bool
	time   *column // of a timer, with its tag
	tag    *column
}

// newEntryLayout chooses the columns of a state by its kind and its schemas.
func newEntryLayout(keySchema string, s snapshot.State) (*entryLayout, error) {
	l := &entryLayout{group: basicColumn("int32"), rawKey: rawColumn(), rawSub: rawColumn(), rawValue: rawColumn(), timers: s.Kind == kindTimers}
	roots := map[string]*column{colGroup: l.group, colKey: l.rawKey, colSub: l.rawSub, colValue: l.rawValue}
	var err error
	if keySchema != "" {
		if l.key, err = typedOf(keySchema); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		roots["key"] = l.key.column
	}
	switch {
	case l.timers:
		l.time, l.tag = basicColumn("int64"), rawColumn()
		l.time.node = parquet.Timestamp(parquet.Millisecond)
		roots["time"], roots["tag"] = l.time, l.tag
	case s.Schema != "":
		if err := l.describe(s, roots); err != nil {
			return nil, err
		}
	}
	l.layout = newLayout("entries", roots)
	return l, nil
}

// describe adds the columns of a state's sub-keys and value.
func (l *entryLayout) describe(s snapshot.State, roots map[string]*column) error {
	schema, err := state.ParseSchema(s.Schema)
	if err != nil {
		return err
	}
	names := subNames(s.Kind, len(schema.Subs))
	for i, text := range schema.Subs {
		sub, err := typedOf(text)
		if err != nil {
			return fmt.Errorf("sub-key: %w", err)
		}
		l.subs = append(l.subs, sub)
		roots[names[i]] = sub.column
	}
	if l.value, err = typedOf(schema.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	roots["value"] = l.value.column
	if l.ttl = schema.TTL; l.ttl {
		l.used = basicColumn("int64")
		l.used.node = parquet.Timestamp(parquet.Millisecond)
		roots["last_used"] = l.used
	}
	return nil
}

// subNames names the parts of a sub-key: a namespace, if there is one, and then what the
// kind has.
func subNames(kind string, parts int) []string {
	own := map[string]string{kindMap: "map_key", kindList: "position"}[kind]
	var names []string
	for i := range parts {
		switch {
		case own != "" && i == parts-1:
			names = append(names, own)
		case i == 0:
			names = append(names, "namespace")
		default:
			names = append(names, fmt.Sprintf("sub_key_%d", i+1))
		}
	}
	return names
}
