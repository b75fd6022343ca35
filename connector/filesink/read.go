package filesink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// Part is a committed part.
type Part struct {
	Key        string
	Subtask    int
	Checkpoint dataflow.CheckpointID
	N          int // among the subtask's parts in the checkpoint, from 0
	Size       int64
}

// Parts lists the committed parts of a sink: subtask by subtask, each in the
// order in which it wrote them.
func Parts(ctx context.Context, b objectstore.Bucket, job dataflow.JobID, uid dataflow.UID) ([]Part, error) {
	var parts []Part
	err := b.List(ctx, finalPrefix(job, uid), func(o objectstore.Info) error {
		if p, ok := parseFinal(o.Key); ok {
			parts = append(parts, Part{Key: o.Key, Subtask: p.subtask, Checkpoint: p.checkpoint, N: p.n, Size: o.Size})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list parts of %s in %s: %w", uid, b.URL(), err)
	}
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.Subtask, b.Subtask), cmp.Compare(a.Checkpoint, b.Checkpoint), cmp.Compare(a.N, b.N))
	})
	return parts, nil
}

// ReadCommitted calls f with the content of each of Parts, in their order.
func ReadCommitted(ctx context.Context, b objectstore.Bucket, job dataflow.JobID, uid dataflow.UID, f func(Part, io.Reader) error) error {
	parts, err := Parts(ctx, b, job, uid)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := read(ctx, b, p, f); err != nil {
			return fmt.Errorf("read %s: %w", p.Key, err)
		}
	}
	return nil
}

func read(ctx context.Context, b objectstore.Bucket, p Part, f func(Part, io.Reader) error) error {
	r, err := b.Reader(ctx, p.Key)
	if err != nil {
		return err
	}
	return errors.Join(f(p, r), r.Close())
}
