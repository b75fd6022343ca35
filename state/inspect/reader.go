package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/lsm"
	"github.com/cairnstream/cairn/state/memory"
)

// ErrNoKeyed is returned for an operator that has no keyed state.
var ErrNoKeyed = errors.New("no keyed state")

// Reader reads keyed state from a bucket. Its methods may be called at once.
type Reader struct {
	Bucket objectstore.Bucket
	// TempDir is where scratch folders are made and removed again. Default: the system's.
	TempDir string
	// State makes it read only the entries of the state of this name. Default: all.
	State string
	// SliceBytes is about how much live state is held in memory at once; it takes
	// about three times as much memory. Default DefaultSliceBytes.
	SliceBytes int64
	// Progress, if not nil, is told how many of the bytes to read of a slice are done.
	Progress func(done, total int64)
}

// DefaultSliceBytes makes few slices, since each reads the log again, in less than
// half a gigabyte of memory.
const DefaultSliceBytes = 128 << 20

// Scratch is a store to restore into, for a look.
type Scratch interface {
	state.Store
	changelog.Loader
}

// OpenScratch opens an empty store of the kind that wrote a handle. What it needs of
// disk it takes below dir, an empty folder that the caller removes after Close.
func OpenScratch(backend string, groupLo, groupHi int, dir string) (Scratch, error) {
	var s Scratch
	var err error
	switch backend {
	case "", "memory":
		s, err = memory.Open(memory.Config{GroupLo: groupLo, GroupHi: groupHi})
	case "lsm":
		s, err = lsm.Open(lsm.Config{GroupLo: groupLo, GroupHi: groupHi, Dir: filepath.Join(dir, "store")})
	default:
		return nil, fmt.Errorf("state backend %q: this version of cairn reads memory and lsm", backend)
	}
	if err != nil {
		return nil, err // and not a Scratch that holds nothing
	}
	return s, nil
}

// view is a range of an operator's key groups in a scratch store.
type view struct {
	store  Scratch
	dir    string
	states []viewed // by name
}

// viewed is a state of a view.
type viewed struct {
	snapshot.State
	handle state.Handle
}

// open restores the key groups lo to hi of an operator.
func (r *Reader) open(ctx context.Context, o *Operator, lo, hi int) (*view, error) {
	dir, err := os.MkdirTemp(r.TempDir, "cairn-inspect-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	v := &view{dir: dir}
	if v.store, err = OpenScratch(o.Backend, lo, hi, dir); err != nil {
		return nil, errors.Join(err, v.close())
	}
	if err := r.fill(ctx, v, o, lo, hi); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

func (r *Reader) fill(ctx context.Context, v *view, o *Operator, lo, hi int) error {
	seen := recorder{Loader: v.store, states: map[string]viewed{}}
	var into changelog.Loader = &seen
	if files, ok := v.store.(changelog.FileLoader); ok {
		into = &fileRecorder{&seen, files}
	}
	if _, err := changelog.Restore(ctx, r.Bucket, o.Handles, lo, hi, into, r.Progress); err != nil {
		return err
	}
	return r.define(v, o, seen.states)
}

// define collects the states to read. One of which no entry was loaded one by one is
// registered as the checkpoint describes it.
func (r *Reader) define(v *view, o *Operator, loaded map[string]viewed) error {
	for _, s := range o.States {
		if _, ok := loaded[s.Name]; !ok {
			h, err := v.store.Register(definition(s))
			if err != nil {
				return err
			}
			loaded[s.Name] = viewed{s, h}
		}
		known := loaded[s.Name]
		known.TTL = s.TTL
		loaded[s.Name] = known
	}
	for _, s := range loaded {
		if s.Kind != kindHidden && (r.State == "" || r.State == s.Name) {
			v.states = append(v.states, s)
		}
	}
	slices.SortFunc(v.states, func(a, b viewed) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func definition(s snapshot.State) state.Definition {
	return state.Definition{Name: s.Name, Kind: s.Kind, Schema: s.Schema, SubSize: state.Variable, ValueSize: state.Variable, TTL: s.TTL}
}

func (v *view) close() error {
	var err error
	if v.store != nil {
		err = v.store.Close()
	}
	return errors.Join(err, os.RemoveAll(v.dir))
}

// recorder is a Loader that notes which states were loaded, by name: their bytes
// are in the schema with which they were registered last.
type recorder struct {
	changelog.Loader
	states map[string]viewed
}

// fileRecorder is a recorder for a store whose images are files.
type fileRecorder struct {
	*recorder
	files changelog.FileLoader
}

func (r *fileRecorder) LoadFiles(ctx context.Context, files []snapshot.Segment, lo, hi int,
	fetch func(ctx context.Context, s snapshot.Segment, path string) error) error {
	return r.files.LoadFiles(ctx, files, lo, hi, fetch)
}

// Register implements changelog.Loader.
func (r *recorder) Register(d state.Definition) (state.Handle, error) {
	h, err := r.Loader.Register(d)
	if err == nil {
		r.states[d.Name] = viewed{snapshot.State{Name: d.Name, Kind: d.Kind, Schema: d.Schema}, h}
	}
	return h, err
}
