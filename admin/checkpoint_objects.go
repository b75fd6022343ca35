package admin

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore"
)

// neededObject is an object without which a checkpoint can't be restored.
type neededObject struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}

// neededObjects are the objects that the task processes wrote and that a
// checkpoint names, by key: together with the metadata object itself and the
// job's executable they are all that a restore reads. Processes may share some.
func neededObjects(meta *checkpointstore.Metadata) ([]neededObject, error) {
	needed := []neededObject{}
	if meta == nil {
		return needed, nil
	}
	sizes, err := objectSizes(meta.Processes)
	if err != nil {
		return nil, fmt.Errorf("objects of checkpoint %d: %w", meta.Checkpoint, err)
	}
	for key, size := range sizes {
		needed = append(needed, neededObject{key, size})
	}
	slices.SortFunc(needed, func(a, b neededObject) int { return cmp.Compare(a.Key, b.Key) })
	return needed, nil
}

// objectTable lists the objects, each on a line: a checkpoint has a few for each process.
func objectTable(w io.Writer, needed []neededObject) error {
	var rows [][]string
	for _, o := range needed {
		rows = append(rows, []string{bytesText(o.Bytes), o.Key})
	}
	return table(w, ">BYTES OBJECT", rows)
}
