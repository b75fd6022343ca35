package changelog

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// target is a store that is being restored.
type target struct {
	name   string
	into   Loader
	lo, hi int

	// newest is what the checkpoint says of each state, by name. Segments in front
	// may have it in another schema.
	newest map[string]definition

	// mu is held alone by who registers states or loads entries, and together by
	// those who load records.
	mu     sync.RWMutex
	states map[definition]*registered // by what segments say, without handles

	// images counts the images in files that have been loaded, or begun.
	images int

	// groups keeps the records of one key group from being loaded at once.
	groups []sync.Mutex

	batch batch
	live  int64 // about how many entries there will be
}

// registered is a state as segments have it, and what the store makes of it.
type registered struct {
	handle state.Handle
	// convert makes values of the newest schema of those in the segment; nil if
	// that is the newest.
	convert func(dst, value []byte) ([]byte, error)
	value   []byte // scratch
}

func newTarget(t Target) *target {
	out := &target{
		name: t.Name, into: t.Into, lo: t.GroupLo, hi: t.GroupHi, newest: newestOf(t.Handles),
		states: map[definition]*registered{}, groups: make([]sync.Mutex, max(0, t.GroupHi-t.GroupLo+1)),
	}
	out.batch.into = t.Into
	out.live = live(t.Handles, t.GroupLo, t.GroupHi)
	out.batch.many, _ = t.Into.(BatchLoader)
	return out
}

// alone calls f while nothing else is loaded.
func (t *target) alone(f func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f()
}

// load loads what the segment has for its range and tells how many entries
// that was.
func (t *target) load(s snapshot.Segment, f frame) (int64, error) {
	if f.content == contentRecords {
		return t.loadRecords(s, f)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loadEntriesLocked(s, f)
}

// loadRecords loads those runs of records that lie in the segment's narrowed
// range of key groups.
func (t *target) loadRecords(s snapshot.Segment, f frame) (loaded int64, err error) {
	handles := f.handles()
	var failed error // of the store, not of the object
	run := func(r state.Records, group int, data []byte) error {
		if group < s.GroupLo || group > s.GroupHi {
			return nil
		}
		own := handles.find(r.Handle)
		if own == nil {
			own, failed = t.meet(handles, s.Ref.Key, f, r)
		}
		if failed == nil {
			failed = t.loadRun(own, r, group, data)
		}
		loaded += int64(len(data) / r.Size())
		return failed
	}
	err = readBlocks(f.body, func(block []byte) error { return state.ReadRecords(block, run) })
	if err != nil && failed == nil {
		err = damaged(s.Ref.Key, err)
	}
	return loaded, err
}

// loadRun loads a run of records, one by one if they have to be converted.
func (t *target) loadRun(own *registered, r state.Records, group int, data []byte) error {
	if own.convert != nil {
		return t.alone(func() error { return t.loadRunLocked(own, r, group, data) })
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	m := &t.groups[group-t.lo]
	m.Lock()
	defer m.Unlock()
	r.Handle = own.handle
	return t.into.LoadRecords(r, group, data)
}

func (t *target) loadRunLocked(own *registered, r state.Records, group int, data []byte) error {
	for ; len(data) > 0; data = data[r.Size():] {
		e := state.Entry{
			Group: group, Key: data[:r.KeySize], Sub: data[r.KeySize : r.KeySize+r.SubSize], Value: data[r.KeySize+r.SubSize : r.Size()],
		}
		if err := t.loadLocked(own, e); err != nil {
			return err
		}
	}
	return nil
}

// meet finds out about a state that a segment's records are of.
func (t *target) meet(handles handles, key string, f frame, r state.Records) (own *registered, err error) {
	err = t.alone(func() error {
		own, err = t.meetLocked(handles, key, f, r.Handle, r.SubSize, r.ValueSize)
		return err
	})
	return own, err
}

// meetLocked finds out about one of the states of a segment.
func (t *target) meetLocked(handles handles, key string, f frame, h state.Handle, subSize, valueSize int) (*registered, error) {
	d, err := f.definition(h)
	if err != nil {
		return nil, damaged(key, err)
	}
	own, err := t.registerLocked(d, subSize, valueSize)
	if err == nil {
		handles[h] = own
	}
	return own, err
}

// registerLocked tells the store of a state in its newest schema. A state that the
// checkpoint says nothing of is taken as the segment has it.
func (t *target) registerLocked(d definition, subSize, valueSize int) (*registered, error) {
	d.handle = 0 // is the segment's own
	if known := t.states[d]; known != nil {
		return known, nil
	}
	stored := state.Definition{Name: d.name, Kind: d.kind, Schema: d.schema, SubSize: subSize, ValueSize: valueSize}
	own := &registered{}
	var err error
	if newest, ok := t.newest[d.name]; ok && newest != d {
		now := state.Definition{Name: d.name, Kind: newest.kind, Schema: newest.schema, SubSize: subSize, ValueSize: state.Variable}
		if own.convert, err = state.Migration(stored, now); err != nil {
			return nil, err
		}
		stored = now
	}
	if own.handle, err = t.into.Register(stored); err != nil {
		return nil, fmt.Errorf("state %q: %w", d.name, err)
	}
	if t.batch.many != nil && len(t.states) == 0 && len(t.newest) == 1 {
		t.batch.many.Expect(own.handle, t.live)
	}
	t.states[d] = own
	return own, nil
}

// settleLocked precedes an image in files. Before a second one of the store, it brings
// all states to their newest schemas: the next image may have older ones.
func (t *target) settleLocked() error {
	if t.images++; t.images == 1 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.newest)) {
		if _, err := t.registerLocked(t.newest[name], state.Variable, state.Variable); err != nil {
			return err
		}
	}
	return nil
}

// handles are a segment's handles as the store knows them; nil is one that it has
// not been told of.
type handles []*registered

// handles makes the table for the segment's handles.
func (f *frame) handles() handles {
	size := 0
	for _, d := range f.defs {
		size = max(size, int(d.handle)+1)
	}
	return make(handles, size)
}

func (h handles) find(i state.Handle) *registered {
	if int(i) < len(h) {
		return h[i]
	}
	return nil
}

// definition finds the definition of one of the segment's handles. A handle may
// have been defined again: the last one counts.
func (f *frame) definition(h state.Handle) (definition, error) {
	for i := len(f.defs) - 1; i >= 0; i-- {
		if f.defs[i].handle == h {
			return f.defs[i], nil
		}
	}
	return definition{}, fmt.Errorf("entry of undefined state %d: %w", h, state.ErrCorrupt)
}
