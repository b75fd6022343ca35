package savepoint

import (
	"context"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/savepoint/rowfile"
	"github.com/cairnstream/cairn/snapshot"
)

// itemKinds are the kinds of operator state, and where a part has them.
var itemKinds = []struct {
	name string
	of   func(*snapshot.Operator) map[string][][]byte
}{
	{rowfile.KindSplit, func(p *snapshot.Operator) map[string][][]byte { return p.Lists }},
	{rowfile.KindUnion, func(p *snapshot.Operator) map[string][][]byte { return p.Unions }},
	{rowfile.KindBroadcast, func(p *snapshot.Operator) map[string][][]byte { return p.Broadcast }},
}

// items writes the operator state, which no key belongs to: one file for each name. It is
// small, and stays in the metadata object too, which a restore reads it from.
func (w *writer) items(ctx context.Context, o *operator, folder string) error {
	for _, kind := range itemKinds {
		byName := map[string]*rowfile.Items{}
		for i, p := range o.parts {
			for name, list := range kind.of(p) {
				if byName[name] == nil {
					byName[name] = &rowfile.Items{UID: o.uid, Name: name, Kind: kind.name, Schema: p.Schemas[name], Subtasks: make([][][]byte, len(o.parts))}
				}
				byName[name].Subtasks[i] = list
			}
		}
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			if err := w.itemFile(ctx, *byName[name], folder); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) itemFile(ctx context.Context, items rowfile.Items, folder string) error {
	if items.Kind == rowfile.KindBroadcast { // all subtasks have the same
		has := slices.IndexFunc(items.Subtasks, func(s [][]byte) bool { return s != nil })
		items.Subtasks = items.Subtasks[max(has, 0):][:1]
	}
	data, n, err := rowfile.EncodeItems(items)
	if err != nil {
		return err
	}
	w.put(ctx, checkpointstore.FolderFile{
		Name: w.names.stem(folder, items.Name) + "-1.parquet", Operator: items.UID, State: items.Name, Kind: items.Kind, Rows: int64(n),
	}, data)
	return nil
}
