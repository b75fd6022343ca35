package admin

import (
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// objectsDiff is which objects two checkpoints name, and their bytes.
type objectsDiff struct {
	Shared      int   `json:"shared"`
	SharedBytes int64 `json:"shared_bytes"`
	OnlyA       int   `json:"only_a"`
	OnlyABytes  int64 `json:"only_a_bytes"`
	OnlyB       int   `json:"only_b"`
	OnlyBBytes  int64 `json:"only_b_bytes"`
}

func compareObjects(a, b []snapshot.Process) (objectsDiff, error) {
	var d objectsDiff
	old, err := objectSizes(a)
	if err != nil {
		return d, fmt.Errorf("first checkpoint: %w", err)
	}
	new, err := objectSizes(b)
	if err != nil {
		return d, fmt.Errorf("second checkpoint: %w", err)
	}
	for key, size := range old {
		if _, ok := new[key]; ok {
			d.Shared++
			d.SharedBytes += size
			continue
		}
		d.OnlyA++
		d.OnlyABytes += size
	}
	for key, size := range new {
		if _, ok := old[key]; !ok {
			d.OnlyB++
			d.OnlyBBytes += size
		}
	}
	return d, nil
}

// objectSizes are the objects of a checkpoint by name, with their sizes.
func objectSizes(processes []snapshot.Process) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, p := range processes {
		i := 0
		for _, run := range p.Objects {
			for n := run.Lo; n <= run.Hi; n++ {
				if i >= len(p.Sums) {
					return nil, fmt.Errorf("process %s: %w: %d sums for more objects", p.Process, objectstore.ErrCorrupt, len(p.Sums))
				}
				sizes[checkpointstore.ObjectKey(run, n)] = p.Sums[i].Size
				i++
			}
		}
	}
	return sizes, nil
}
