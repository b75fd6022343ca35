package controller

import (
	"context"
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// collectStrays deletes what leaders and workers wrote for a job and nothing came of:
// metadata objects that never became a checkpoint's, because the leader died before
// the entry or Apply refused it, and folders of savepoints that another try replaced
// or that were disposed of. The catalog never knew them, so nothing marks them.
//
// It is Raft that makes them garbage, not their age (I6). A LIST or two a look, for
// one job, is pace enough.
func (l *leader) collectStrays(ctx context.Context, job dataflow.JobID) error {
	for _, prefix := range []string{
		checkpointstore.MetadataPrefix(l.cluster(), job),
		fmt.Sprintf("%s/savepoints/%s/", l.cluster(), job),
	} {
		var listed []objectstore.Info
		err := l.bucket.List(ctx, prefix, func(info objectstore.Info) error {
			listed = append(listed, info)
			return nil
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		var strays []string
		for _, info := range listed { // by a state that is no older than the list
			if l.judge(info).garbage {
				strays = append(strays, info.Key)
			}
		}
		if _, err := l.store().Delete(ctx, strays); err != nil {
			return err
		}
	}
	return nil
}
