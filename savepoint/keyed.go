package savepoint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/savepoint/rowfile"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/lsm"
	"github.com/cairnstream/cairn/state/memory"
)

// keyed writes the keyed state of an operator: of one subtask after the other.
func (w *writer) keyed(ctx context.Context, o *operator, folder string) error {
	stems := map[string]*stem{}
	for _, p := range o.parts {
		if p.Keyed == nil {
			continue
		}
		h := &handle{w: w, uid: o.uid, from: *p.Keyed, folder: folder, stems: stems}
		segments, err := h.write(ctx)
		if err != nil {
			return fmt.Errorf("key groups %d to %d: %w", p.Keyed.GroupLo, p.Keyed.GroupHi, err)
		}
		k := *p.Keyed
		k.Segments, k.Backend = segments, ""
		p.Keyed = &k
	}
	return nil
}

// stem counts the files of a state.
type stem struct {
	name  string
	files int
}

// handle is the keyed state of one subtask, on its way into files.
type handle struct {
	w        *writer
	uid      dataflow.UID
	from     snapshot.Keyed
	folder   string
	stems    map[string]*stem
	segments []snapshot.Segment
}

// scratch is a store to restore into.
type scratch interface {
	state.Store
	changelog.Loader
}

// write restores the part into a scratch store and writes that state by state.
func (h *handle) write(ctx context.Context) ([]snapshot.Segment, error) {
	if len(h.from.Segments) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp(h.w.cfg.TempDir, "cairn-savepoint-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	store, err := h.open(dir)
	if err != nil {
		return nil, err
	}
	defer store.Close() // scratch
	target := changelog.Target{Handles: []snapshot.Keyed{h.from}, GroupLo: h.from.GroupLo, GroupHi: h.from.GroupHi, Into: store}
	if _, err := changelog.RestoreAll(ctx, changelog.RestoreConfig{Bucket: h.w.cfg.Bucket}, []changelog.Target{target}); err != nil {
		return nil, err
	}
	for _, s := range h.from.States {
		if s.Name == "" { // nobody uses the handle
			continue
		}
		if err := h.state(ctx, store, s); err != nil {
			return nil, fmt.Errorf("state %q: %w", s.Name, err)
		}
	}
	return h.segments, nil
}

// storeShare is the part of the memory that a scratch store may take.
const storeShare = 2

// open opens a store that takes what the checkpoint has: on disk, if it is large or consists
// of the files of such a store.
func (h *handle) open(dir string) (scratch, error) {
	files := false
	for _, s := range h.from.Segments {
		files = files || s.Kind == snapshot.SegmentFile
	}
	lo, hi, most := h.from.GroupLo, h.from.GroupHi, h.w.cfg.MemoryBytes/storeShare
	if !files && h.from.Bytes <= most/storeShare { // a table takes more than what is in it
		return opened(memory.Open(memory.Config{GroupLo: lo, GroupHi: hi}))
	}
	return opened(lsm.Open(lsm.Config{GroupLo: lo, GroupHi: hi, Dir: filepath.Join(dir, "store"), MemoryBytes: max(most, lsm.DefaultMemoryBytes/4)}))
}

// opened avoids a scratch that is not nil and holds nothing.
func opened[S scratch](s S, err error) (scratch, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// state writes one state of the store.
func (h *handle) state(ctx context.Context, store scratch, s snapshot.State) error {
	number, err := store.Register(state.Definition{
		Name: s.Name, Kind: s.Kind, Schema: s.Schema, SubSize: state.Variable, ValueSize: state.Variable, TTL: s.TTL,
	})
	if err != nil {
		return err
	}
	for _, part := range h.slices() {
		rows, err := collect(store, number, part.lo, part.hi)
		if err != nil {
			return err
		}
		if err := h.files(ctx, s, rows); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sliceShare is the part of the memory that the entries of a slice may take, and fileShare
// that of a file before it is compressed: there are some of them, and each has its columns
// beside it.
const (
	sliceShare = 8
	fileShare  = 16
)

// groupRange is a range of key groups, both ends included.
type groupRange struct{ lo, hi int }

// slices divides the key groups by the size of all states together.
func (h *handle) slices() (parts []groupRange) {
	lo, hi := h.from.GroupLo, h.from.GroupHi
	groups := int64(hi - lo + 1)
	step := groups
	if limit := h.w.cfg.MemoryBytes / sliceShare; h.from.Bytes > limit {
		step = max(1, groups*limit/h.from.Bytes)
	}
	for ; lo <= hi; lo += int(step) {
		parts = append(parts, groupRange{lo, min(hi, lo+int(step)-1)})
	}
	return parts
}

// files writes rows as files of about the size that they should have.
func (h *handle) files(ctx context.Context, s snapshot.State, r *rows) error {
	limit := h.w.cfg.MemoryBytes / fileShare
	for from := 0; from < len(r.places); {
		to, size := from, int64(0)
		for to < len(r.places) && size < limit {
			size += r.places[to].size()
			to++
		}
		if err := h.file(ctx, s, r, from, to); err != nil {
			return err
		}
		h.w.tell(size)
		from = to
	}
	return nil
}

// file writes the rows from and up to, but without, to.
func (h *handle) file(ctx context.Context, s snapshot.State, r *rows, from, to int) error {
	w, err := rowfile.NewWriter(h.uid, h.from.KeySchema, s)
	if err != nil {
		return err
	}
	for i := from; i < to; i++ {
		if err := w.Add(r.at(i)); err != nil {
			return err
		}
	}
	data, err := w.Finish()
	if err != nil {
		return err
	}
	f := h.w.put(ctx, checkpointstore.FolderFile{
		Name: h.next(s.Name), Operator: h.uid, State: s.Name, Kind: s.Kind, Rows: int64(to - from),
		GroupLo: int(r.places[from].group), GroupHi: int(r.places[to-1].group),
	}, data)
	h.segments = append(h.segments, snapshot.Segment{
		Ref:  objectstore.Ref{Key: f.Name, Length: f.Size, CRC32C: f.CRC32C},
		Kind: snapshot.SegmentParquet, Name: s.Name, Base: true, GroupLo: f.GroupLo, GroupHi: f.GroupHi,
	})
	return nil
}

// next is the name of the next file of a state.
func (h *handle) next(state string) string {
	s := h.stems[state]
	if s == nil {
		s = &stem{name: h.w.names.stem(h.folder, state)}
		h.stems[state] = s
	}
	s.files++
	return fmt.Sprintf("%s-%d.parquet", s.name, s.files)
}
