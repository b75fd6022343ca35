package changelog

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Loader is the store that a Restore fills; memory.Store is one.
type Loader interface {
	Register(d state.Definition) (state.Handle, error)
	// Load sets or deletes an entry without logging it.
	Load(e state.Entry) error
}

// Restore reads the state of key groups groupLo to groupHi of one operator back
// from the handles of a checkpoint: of all of the operator's subtasks, or of
// those that hold any of these groups. The parallelism may differ from the
// checkpoint's.
//
// It returns the segments that it used, narrowed to the range: what the log of
// the new store inherits. progress, if not nil, is told how many of the bytes to
// read are done. An object that does not match its reference, or does not
// decode, gives an error that names it and is objectstore.ErrCorrupt; the store
// is of no use then.
func Restore(ctx context.Context, b objectstore.Bucket, handles []snapshot.Keyed, groupLo, groupHi int,
	into Loader, progress func(done, total int64)) ([]snapshot.Segment, error) {
	lists, inherited := narrow(handles, groupLo, groupHi)
	reads := planReads(lists)
	r := restorer{bucket: b, into: into, progress: progress}
	for _, rd := range reads {
		r.total += rd.wanted()
	}
	if err := r.run(ctx, reads); err != nil {
		return nil, fmt.Errorf("restore key groups %d to %d: %w", groupLo, groupHi, err)
	}
	return inherited, nil
}

// narrow returns, for each handle, its segments cut down to the range, in
// order; and all of them in one list.
func narrow(handles []snapshot.Keyed, lo, hi int) (lists [][]snapshot.Segment, all []snapshot.Segment) {
	for _, k := range handles {
		var list []snapshot.Segment
		for _, s := range k.Segments {
			s.GroupLo, s.GroupHi = max(s.GroupLo, k.GroupLo, lo), min(s.GroupHi, k.GroupHi, hi)
			if s.GroupLo <= s.GroupHi {
				list = append(list, s)
			}
		}
		lists = append(lists, list)
		all = append(all, list...)
	}
	return lists, all
}

// readsMax is how many reads may be under way or wait to be applied: enough to
// hide the latency of an object store, at most readBytes each.
const readsMax = 8

// restorer carries out reads: many at once, applied in order.
type restorer struct {
	bucket   objectstore.Bucket
	into     Loader
	progress func(done, total int64)

	done, total int64
}

func (r *restorer) run(ctx context.Context, reads []read) error {
	g, ctx := errgroup.WithContext(ctx)
	results := make([]chan []frame, len(reads))
	for i := range results {
		results[i] = make(chan []frame, 1)
	}
	room := make(chan struct{}, readsMax)
	g.Go(func() error { // starts the reads, in order
		for i := range reads {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			g.Go(func() error {
				frames, err := reads[i].fetch(ctx, r.bucket)
				if err == nil {
					results[i] <- frames
				}
				return err
			})
		}
		return nil
	})
	g.Go(func() error { // applies them, in order
		for i := range reads {
			select {
			case frames := <-results[i]:
				if err := r.apply(&reads[i], frames); err != nil {
					return err
				}
				<-room
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return g.Wait()
}

// apply loads the frames of a read into the store.
func (r *restorer) apply(rd *read, frames []frame) error {
	for i, f := range frames {
		if err := r.load(rd.segments[i], f); err != nil {
			return fmt.Errorf("object %s at %d: %w", rd.key, rd.segments[i].Ref.Offset, err)
		}
	}
	if r.done += rd.wanted(); r.progress != nil {
		r.progress(r.done, r.total)
	}
	return nil
}

// load applies those entries of a segment that lie in its narrowed range.
func (r *restorer) load(s snapshot.Segment, f frame) error {
	handles := make(map[state.Handle]state.Handle, len(f.defs))
	for _, d := range f.defs {
		h, err := r.into.Register(state.Definition{Name: d.name, Kind: d.kind, Schema: d.schema, SubSize: state.Variable, ValueSize: state.Variable})
		if err != nil {
			return err
		}
		handles[d.handle] = h
	}
	from, to := s.From, s.To
	if s.Base {
		from, to = 0, math.MaxUint64
	}
	body := f.body
	for position := f.from + 1; len(body) > 0; position++ {
		e, n, err := state.ReadEntry(body)
		if err != nil {
			return fmt.Errorf("%w: %w", objectstore.ErrCorrupt, err)
		}
		body = body[n:]
		if position <= from || position > to || e.Group < s.GroupLo || e.Group > s.GroupHi {
			continue
		}
		h, ok := handles[e.Handle]
		if !ok {
			return fmt.Errorf("%w: entry of undefined state %d", objectstore.ErrCorrupt, e.Handle)
		}
		e.Handle = h
		if err := r.into.Load(e); err != nil {
			return err
		}
	}
	return nil
}
