package changelog

import (
	"context"
	"errors"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Loader is a store that a restore fills; memory.Store is one. Register and Load
// are never called at once with any other method.
type Loader interface {
	// Register names a state, when its first entry comes. The sizes are fixed
	// if they come with records, else state.Variable. The same name with another
	// schema, from a later segment, converts what has been loaded.
	Register(d state.Definition) (state.Handle, error)
	// Load sets or deletes an entry without logging it. The entry's slices are
	// valid until it returns.
	Load(e state.Entry) error
	// LoadRecords adds the entries of a run of records of one key group, none of
	// which is there yet. It may be called at once for different groups.
	LoadRecords(r state.Records, group int, data []byte) error
}

// FileLoader is a Loader whose images are files; lsm.Store is one.
type FileLoader interface {
	Loader
	// LoadFiles takes key groups lo to hi of an image, before anything that came
	// after the image. files are those of its files that hold any of these
	// groups, unless an earlier restore with another parallelism has left them
	// behind; GroupLo and GroupHi of each are cut down to lo and hi. A state that the
	// store has in another schema than the image keeps it: the image's values are
	// converted. fetch copies
	// one file, verified, to path, whole or not at all; it may be called at once
	// for several.
	LoadFiles(ctx context.Context, files []snapshot.Segment, lo, hi int,
		fetch func(ctx context.Context, s snapshot.Segment, path string) error) error
}

// ErrNeedsFiles is returned when a checkpoint holds files of another backend
// than the store that is to be restored.
var ErrNeedsFiles = errors.New("the checkpoint was written by state backend lsm: " +
	"start with that backend; to change it, restart from a savepoint")

// Copies are copies of objects on this machine; a Local is.
type Copies interface {
	// Read returns the bytes that ref names, after checking them against it: in buf's memory if they
	// fit. ok is false if they are not here.
	Read(ref objectstore.Ref, buf []byte) (data []byte, ok bool)
}

// RestoreConfig says where a restore reads from.
type RestoreConfig struct {
	Bucket objectstore.Bucket
	// Prefix comes before the keys of all references, for a savepoint's folder.
	Prefix string
	// Local has copies of objects on this machine, which are read first. May be nil.
	Local Copies
	// Rows reads segments of SegmentParquet. nil: a checkpoint that has any is refused.
	Rows RowReader
	// Progress, if not nil, hears how far the restore has come. Calls come one
	// at a time, from several goroutines, and must not block.
	Progress func(Progress)
}

// Progress is how far a restore has come, in bytes of objects.
type Progress struct {
	Done, Total   int64
	Local, Remote int64         // Done, by where it was read
	Left          time.Duration // until the end, estimated; -1 if nothing is done yet
}

// Target is a store to restore, and from what: the key groups GroupLo to GroupHi
// of an operator, from the handles of all of the operator's subtasks in the
// checkpoint, or of those that hold any of these groups.
type Target struct {
	Name             string // what errors call it; may be empty
	Handles          []snapshot.Keyed
	GroupLo, GroupHi int
	Into             Loader
}

// Restored is what a restore has done.
type Restored struct {
	// Inherited is, for each target, the segments that it was restored from,
	// narrowed to its key groups: for Log.Inherit.
	Inherited [][]snapshot.Segment
	// Progress as of the end.
	Progress Progress
	Entries  int64 // that were loaded, not counting those in files
	Reads    int64 // from the bucket
}

// RestoreAll restores all stores of a process from a checkpoint. The parallelism
// may differ from the checkpoint's. Each object is read once, for all targets
// together, in few large reads, several at a time; what is read is decoded and
// loaded on all processors, and only a bounded part of it is in memory.
//
// Images are loaded first, several key groups at once, and then the changes in
// their order, several targets at once.
//
// An object that is missing, does not match its reference or does not decode
// gives an ObjectError. The stores are of no use after any error.
func RestoreAll(ctx context.Context, cfg RestoreConfig, targets []Target) (*Restored, error) {
	r := newRestorer(cfg)
	out := &Restored{Inherited: make([][]snapshot.Segment, len(targets))}
	for i, t := range targets {
		chains, inherited := narrow(i, t.Handles, t.GroupLo, t.GroupHi)
		out.Inherited[i] = inherited
		r.targets = append(r.targets, newTarget(t))
		r.chains = append(r.chains, chains...)
	}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	out.Progress, out.Entries, out.Reads = r.meter.now(), r.entries.Load(), r.reads.Load()
	return out, nil
}

// Restore restores one store with RestoreAll, and returns what its log inherits.
// progress, if not nil, is told how many of the bytes to read are done.
func Restore(ctx context.Context, b objectstore.Bucket, handles []snapshot.Keyed, groupLo, groupHi int,
	into Loader, progress func(done, total int64)) ([]snapshot.Segment, error) {
	cfg := RestoreConfig{Bucket: b}
	if progress != nil {
		cfg.Progress = func(p Progress) { progress(p.Done, p.Total) }
	}
	r, err := RestoreAll(ctx, cfg, []Target{{Handles: handles, GroupLo: groupLo, GroupHi: groupHi, Into: into}})
	if err != nil {
		return nil, err
	}
	return r.Inherited[0], nil
}
