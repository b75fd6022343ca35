package engine

import (
	"context"

	"github.com/cairnstream/cairn/savepoint/rowfile"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// foreign tells whether the restore point's objects are not this job's to name.
func (r *Restore) foreign() bool {
	return r.Copy || r.Bucket != nil || r.Prefix != "" || r.canonical()
}

// canonical tells whether it is a canonical savepoint, which no store can inherit from.
func (r *Restore) canonical() bool {
	for _, p := range r.Processes {
		for _, t := range p.Subtasks {
			for _, o := range t.Operators {
				if o.Keyed != nil && len(o.Keyed.Segments) > 0 {
					return o.Keyed.Segments[0].Kind == snapshot.SegmentParquet
				}
			}
		}
	}
	return false
}

// copyForeign copies what the stores are to be restored from into objects of this attempt, and
// returns what to restore from. The restore's progress goes on where the copy's ended.
func (b *builder) copyForeign(ctx context.Context, cfg *changelog.RestoreConfig) ([]changelog.Target, error) {
	from, tell := b.a.cfg.Restore, cfg.Progress
	copying := changelog.CopyConfig{Bucket: b.a.cfg.Bucket, Prefix: from.Prefix, Rows: rowfile.Each}
	if from.Bucket != nil {
		copying.Bucket = from.Bucket
	}
	var copied int64
	copying.Progress = func(done, total int64) {
		copied = done
		tell(changelog.Progress{Done: done, Total: 2 * total, Remote: done, Left: -1})
	}
	cfg.Progress = func(p changelog.Progress) {
		p.Done, p.Total, p.Remote = p.Done+copied, p.Total+copied, p.Remote+copied
		tell(p)
	}
	return b.a.uploader.Copy(ctx, copying, b.targets)
}
