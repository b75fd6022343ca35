package changelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// VerifyConfig says which checkpoint to verify.
type VerifyConfig struct {
	Bucket objectstore.Bucket
	// Processes is what the checkpoint's metadata says.
	Processes []snapshot.Process
	// Open opens an empty store to replay one handle into. nil: nothing is
	// replayed.
	Open func(uid dataflow.UID, k snapshot.Keyed) (Scratch, error)
	// Progress, if not nil, is told how many of the objects' bytes are checked.
	// Calls come one at a time.
	Progress func(done, total int64)
}

// Scratch is a store that a verification replays into and throws away.
type Scratch interface {
	Loader
	Size() (entries, bytes int64)
	Close() error
}

// Report is what a verification found.
type Report struct {
	Objects  int
	Bytes    int64 // of the objects
	Segments int
	Entries  int64         // that were replayed, not counting those in files
	Replay   time.Duration // what a restore would take of it
	Elapsed  time.Duration
	Problems []Problem // by object
}

// Restorable reports whether nothing is wrong.
func (r *Report) Restorable() bool { return len(r.Problems) == 0 }

// Problem is one thing that keeps a checkpoint from being restored, or from
// being known to be whole.
type Problem struct {
	Object string       // the object that it is about, if it is about one
	UID    dataflow.UID // the operator, if it is about one
	Err    error
}

// Verify reads all of every object that a checkpoint names, and finds every
// byte of them that is not what was written: against size and CRC32C in the
// metadata, and the object's own header, index and checksums. It holds every
// reference against the object's index, and then replays each handle, of
// those whose objects are whole, and counts what came out.
//
// The error is for what is no verdict: ctx has ended, the bucket does not answer,
// or a scratch store can't be opened.
func Verify(ctx context.Context, cfg VerifyConfig) (*Report, error) {
	v := &verifier{cfg: cfg, objects: map[string]*verified{}}
	began := time.Now()
	v.list()
	if err := v.check(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v.report.Objects = len(v.objects)
	if cfg.Open != nil {
		if err := v.replay(ctx); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.UID, b.UID))
	})
	v.report.Elapsed = time.Since(began)
	return &v.report, nil
}

// verified is an object to verify.
type verified struct {
	key  string
	sum  snapshot.Sum
	refs []reference
	bad  bool
}

// reference is a segment that a handle names.
type reference struct {
	uid     dataflow.UID
	segment snapshot.Segment
}

type verifier struct {
	cfg     VerifyConfig
	objects map[string]*verified

	mu     sync.Mutex // protects what follows, while objects are checked
	report Report
	total  int64
}

func (v *verifier) problem(object string, uid dataflow.UID, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Problems = append(v.report.Problems, Problem{object, uid, err})
	if o := v.objects[object]; o != nil {
		o.bad = true
	}
}

// list gathers the objects, and what refers to them.
func (v *verifier) list() {
	for _, p := range v.cfg.Processes {
		v.listObjects(&p)
	}
	for _, p := range v.cfg.Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				if o.Keyed != nil {
					v.listReferences(o.UID, o.Keyed)
				}
			}
			v.listInFlight(&s)
		}
	}
}

func (v *verifier) listObjects(p *snapshot.Process) {
	i := 0
	for _, r := range p.Objects {
		for n := r.Lo; n <= r.Hi; n++ {
			o := &verified{key: objectKey(r.Prefix, n)}
			if i < len(p.Sums) {
				o.sum = p.Sums[i]
			}
			i++
			if known := v.objects[o.key]; known != nil {
				if known.sum != o.sum {
					v.problem(o.key, "", fmt.Errorf("the metadata has two checksums for it: %+v and %+v", known.sum, o.sum))
				}
				continue
			}
			v.objects[o.key] = o
			v.total += o.sum.Size
		}
	}
	if i != len(p.Sums) {
		v.problem("", "", fmt.Errorf("process %s: %d checksums for %d objects", p.Process, len(p.Sums), i))
	}
}

func (v *verifier) listReferences(uid dataflow.UID, k *snapshot.Keyed) {
	for _, s := range k.Segments {
		o := v.objects[s.Ref.Key]
		if o == nil {
			v.problem(s.Ref.Key, uid, errors.New("it is referred to, but not among the checkpoint's objects"))
			continue
		}
		o.refs = append(o.refs, reference{uid, s})
	}
}

// listInFlight lists what was in flight to or from a subtask.
func (v *verifier) listInFlight(s *snapshot.Subtask) {
	var segments []snapshot.Segment
	for _, f := range s.InFlight {
		segments = append(segments, snapshot.Segment{Ref: f.Ref, Kind: snapshot.SegmentInFlight})
	}
	if len(segments) > 0 {
		v.listReferences(s.Operators[0].UID, &snapshot.Keyed{Segments: segments})
	}
}

// verifying is how many objects are in memory at once at most, and verifyingBytes
// how much memory they may take.
const (
	verifying      = 8
	verifyingBytes = 128 << 20
)

// check checks all objects, several at a time.
func (v *verifier) check(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(verifying)
	room := semaphore.NewWeighted(verifyingBytes)
	for _, key := range v.keys() {
		o := v.objects[key]
		size := min(max(o.sum.Size, 1), verifyingBytes)
		if room.Acquire(inner, size) != nil {
			break // inner has ended: Wait tells why
		}
		group.Go(func() error {
			defer room.Release(size)
			return v.object(inner, o)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (v *verifier) keys() []string {
	var keys []string
	for key := range v.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// replay restores each handle whose objects are whole.
func (v *verifier) replay(ctx context.Context) error {
	for _, p := range v.cfg.Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				if o.Keyed == nil || !v.whole(o.Keyed) {
					continue
				}
				if err := v.replayHandle(ctx, o.UID, *o.Keyed); err != nil {
					return fmt.Errorf("operator %q, key groups %d to %d: %w", o.UID, o.Keyed.GroupLo, o.Keyed.GroupHi, err)
				}
			}
		}
	}
	return nil
}

// whole reports whether the handle's objects are.
func (v *verifier) whole(k *snapshot.Keyed) bool {
	return !slices.ContainsFunc(k.Segments, func(s snapshot.Segment) bool {
		o := v.objects[s.Ref.Key]
		return o == nil || o.bad
	})
}

func (v *verifier) replayHandle(ctx context.Context, uid dataflow.UID, k snapshot.Keyed) (err error) {
	scratch, err := v.cfg.Open(uid, k)
	if err != nil {
		return fmt.Errorf("open a scratch store: %w", err)
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	began := time.Now()
	done, err := RestoreAll(ctx, RestoreConfig{Bucket: v.cfg.Bucket},
		[]Target{{Handles: []snapshot.Keyed{k}, GroupLo: k.GroupLo, GroupHi: k.GroupHi, Into: scratch}})
	v.report.Replay += time.Since(began)
	var damage *ObjectError
	switch {
	case errors.As(err, &damage):
		v.problem(damage.Key, uid, err)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		v.problem("", uid, err)
		return nil
	}
	v.report.Entries += done.Entries
	if c, ok := scratch.(state.Counter); ok {
		if err := c.Count(); err != nil {
			v.problem("", uid, fmt.Errorf("key groups %d to %d: %w", k.GroupLo, k.GroupHi, err))
			return nil
		}
	}
	if entries, _ := scratch.Size(); entries != k.Entries && !k.Estimated {
		v.problem("", uid, fmt.Errorf("key groups %d to %d: replay gives %d entries, the checkpoint has %d",
			k.GroupLo, k.GroupHi, entries, k.Entries))
	}
	return nil
}
