package rowfile

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

// The kinds of operator state, as state/inspect has them.
const (
	KindSplit     = "split list"
	KindUnion     = "union list"
	KindBroadcast = "broadcast state"
)

// Items is operator state of one name.
type Items struct {
	UID    dataflow.UID
	Name   string
	Kind   string
	Schema string // of the items; empty if nobody noted it
	// Subtasks are the items of each subtask, in order. Of broadcast state there is one,
	// whose items are keys and values by turns.
	Subtasks [][][]byte
}

// EncodeItems returns the file of an operator state.
func EncodeItems(items Items) (data []byte, rows int, err error) {
	f, err := encodeItems(items)
	if err == nil {
		data, err = f.finish()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s %q: %w", items.Kind, items.Name, err)
	}
	return data, f.n, nil
}

func encodeItems(items Items) (*file, error) {
	names := []string{"item"}
	if items.Kind == KindBroadcast {
		names = []string{"key", "value"}
	}
	types, err := itemTypes(items.Schema, len(names))
	if err != nil {
		return nil, err
	}
	subtask, position := basicColumn("int32"), basicColumn("int32")
	roots := map[string]*column{"subtask": subtask, "position": position}
	var raws []*column
	for i, name := range names {
		raws = append(raws, rawColumn())
		roots[name+"_bytes"] = raws[i]
		if types != nil {
			roots[name] = types[i].column
		}
	}
	facts := map[string]string{"operator": string(items.UID), "state": items.Name, "kind": items.Kind, "schema": items.Schema, "subtasks": number(len(items.Subtasks))}
	f := newFile(newLayout("items", roots), "", facts)
	for s, list := range items.Subtasks {
		if len(list)%len(names) != 0 {
			return nil, fmt.Errorf("%w: a key without a value", state.ErrCorrupt)
		}
		at := int64(0)
		for row := range slices.Chunk(list, len(names)) {
			subtask.put(f.rows, int64(s), 0)
			position.put(f.rows, at, 0)
			if err := putItem(f.rows, row, raws, types); err != nil {
				return nil, err
			}
			if err := f.next(); err != nil {
				return nil, err
			}
			at++
		}
	}
	return f, nil
}

// putItem adds the parts of an item.
func putItem(to rows, row [][]byte, raws []*column, types []*typed) error {
	for i, b := range row {
		raws[i].put(to, b, 0)
		if types == nil {
			continue
		}
		if err := whole(types[i], to, b, "item"); err != nil {
			return err
		}
	}
	return nil
}

// itemTypes are the typed columns of the parts of an item; nil without a schema.
func itemTypes(text string, parts int) ([]*typed, error) {
	if text == "" {
		return nil, nil
	}
	schema, err := state.ParseSchema(text)
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(schema.Subs), schema.Value)
	if len(all) != parts {
		return nil, fmt.Errorf("schema %q has %d parts, want %d", text, len(all), parts)
	}
	var types []*typed
	for _, s := range all {
		t, err := typedOf(s)
		if err != nil {
			return nil, err
		}
		types = append(types, t)
	}
	return types, nil
}
