package lsm

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// Store keeps the keyed state of one operator in one subtask in memory and on
// local disk. One goroutine uses it.
type Store struct {
	cfg    Config
	own    *Shared // if nobody gave one
	folder *folder
	id     string // of the database, in the names of its files

	states []*stored // by handle
	byName map[string]state.Handle
	key    table.Key
	value  []byte // scratch: what Put was given

	disk   disk
	writer *writer
	reader reader
	evict  evictor
	bound  int64 // of the tables' memory

	block    []byte // scratch: encoded changes
	size     size
	position uint64
	load     loading
	images   images
	err      error // the first
}

var (
	_ state.Store      = (*Store)(nil)
	_ state.Prefetcher = (*Store)(nil)
	_ state.Counter    = (*Store)(nil)
)

// stored is a state of the store.
type stored struct {
	state.Definition
	handle state.Handle
	table  *table.Table
	order  *order // nil until the first Scan
	sweep  sweeper
	// below says that Pebble may hold entries of the state: what is not in
	// the table must be looked for.
	below bool
	// relog says that all entries have changed, by a Register with another schema.
	relog bool
}

// disk is the database.
type disk struct {
	// mu lets Close and a restore wait for an image that reads the database. Only
	// these two write-lock it.
	mu     sync.RWMutex
	db     *pebble.DB
	closed bool
}

// handlesMax is what a key in Pebble has room for.
const handlesMax = 1 << 16

// Open makes an empty store in cfg.Dir, which may hold what a crash left.
func Open(cfg Config) (*Store, error) {
	cfg.MemoryBytes = cmp.Or(cfg.MemoryBytes, DefaultMemoryBytes)
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open lsm state: %w", err)
	}
	s := &Store{cfg: cfg, id: newID(), byName: map[string]state.Handle{}, bound: cfg.cacheBytes()}
	if cfg.Shared == nil {
		s.own = NewShared(cfg.MemoryBytes / 4)
		s.cfg.Shared = s.own
	}
	if err := s.open(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open lsm state in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if s.folder, err = openFolder(s.cfg.Dir); err != nil {
		return err
	}
	s.writer = newWriter()
	if s.disk.db, err = s.openDB(s.folder.database()); err != nil {
		return err
	}
	s.writer.db = s.disk.db
	go s.writer.run()
	return nil
}

func (s *Store) openDB(dir string) (*pebble.DB, error) {
	o := options(s.cfg.Shared, s.cfg.memtable(), cmp.Or(s.cfg.fileBytes, targetFileBytes))
	o.EventListener = listen(s.writer)
	return pebble.Open(dir, o)
}

// Register implements state.Store.
func (s *Store) Register(d state.Definition) (state.Handle, error) {
	if h, ok := s.byName[d.Name]; ok {
		return h, s.registerAgain(s.states[h], d)
	}
	if len(s.states) == handlesMax {
		return 0, fmt.Errorf("state %q: more than %d states", d.Name, handlesMax)
	}
	h := state.Handle(len(s.states))
	s.states = append(s.states, &stored{Definition: d, handle: h, table: s.newTable(d)})
	s.byName[d.Name] = h
	s.define(h)
	return h, nil
}

func (s *Store) newTable(d state.Definition) *table.Table {
	return table.New(table.Config{
		GroupLo: s.cfg.GroupLo, GroupHi: s.cfg.GroupHi,
		KeySize: state.Variable, SubSize: d.SubSize, ValueSize: d.ValueSize,
	})
}

func (s *Store) define(h state.Handle) {
	if s.cfg.Log != nil {
		s.cfg.Log.Define(h, s.states[h].Definition)
	}
}

// SetKey implements state.Store.
func (s *Store) SetKey(group int, key []byte) {
	s.loaded()
	s.key = table.MakeKey(group, key)
}

// Key implements state.Store.
func (s *Store) Key() (group int, key []byte) { return s.key.Group, s.key.Bytes }

// Get implements state.Store.
func (s *Store) Get(h state.Handle, sub []byte) (value []byte, ok bool, err error) {
	st := s.states[h]
	r, found, err := s.find(st, sub)
	if !found || err != nil {
		return nil, false, err
	}
	flags := st.table.Flags(r)
	if flags&absent != 0 {
		return nil, false, nil
	}
	if flags&used == 0 {
		r = st.table.SetFlags(r, flags|used)
	}
	return st.table.Value(r), true, nil
}

// find returns the current key's entry in the table, where it brings it if
// it is elsewhere.
func (s *Store) find(st *stored, sub []byte) (table.Ref, bool, error) {
	r, ok := st.table.Find(&s.key, sub)
	if ok || !st.below || s.load.on {
		return r, ok, s.err
	}
	if err := s.read(st, sub); err != nil {
		return 0, false, err
	}
	r, ok = st.table.Find(&s.key, sub)
	return r, ok, nil
}

// Put implements state.Store. value may be what Get returned.
func (s *Store) Put(h state.Handle, sub, value []byte) error {
	s.value = append(s.value[:0], value...) // making room may move what value points to
	into, _, err := s.Update(h, sub, len(value))
	copy(into, s.value)
	return err
}

// Update implements state.Store.
func (s *Store) Update(h state.Handle, sub []byte, size int) (value []byte, existed bool, err error) {
	st := s.states[h]
	r, found, err := s.find(st, sub)
	if err != nil {
		return nil, false, err
	}
	if !found {
		return s.add(st, sub, size, unwritten|used), false, nil
	}
	value, existed = s.change(st, r, sub, size)
	return value, existed, nil
}

// Delete implements state.Store. The entry stays, marked, until it is written
// back.
func (s *Store) Delete(h state.Handle, sub []byte) error {
	st := s.states[h]
	r, found, err := s.find(st, sub)
	if found && err == nil {
		s.remove(st, r, sub)
	}
	return err
}

// logBlockBytes is about how much EndBatch hands to the log at once: small
// enough for the log to slow it down in the middle of a large batch.
const logBlockBytes = 64 << 10

// EndBatch implements state.Store.
func (s *Store) EndBatch() error {
	s.loaded()
	for _, st := range s.states {
		if st.relog {
			s.logAll(st)
		}
		s.logChanges(st)
		st.table.EndBatch()
	}
	s.reader.close() // what is dropped now must be read anew
	s.makeRoom()
	if s.err == nil {
		s.fail(s.writer.failure())
	}
	return s.err
}

// logChanges appends the state's changed entries to the log.
func (s *Store) logChanges(st *stored) {
	n, t := 0, st.table
	for r, ok := t.NextChanged(); ok; r, ok = t.NextChanged() {
		e := t.Item(r)
		s.block = state.AppendEntry(s.block, state.Entry{
			Handle: st.handle, Deleted: e.Flags&absent != 0, Group: e.Group, Key: e.Key, Sub: e.Sub, Value: e.Value,
		})
		if n++; len(s.block) >= logBlockBytes {
			s.append(n)
			n = 0
		}
		if e.Flags&absent != 0 && !st.below {
			t.Remove(r) // it never got further than here
		}
	}
	s.append(n)
}

// append hands n entries, which are in s.block, to the log.
func (s *Store) append(n int) {
	if n > 0 && s.cfg.Log != nil {
		s.block = s.cfg.Log.Append(s.block, n)
	}
	s.position += uint64(n)
	s.block = s.block[:0]
}

// Cut implements state.Store. If the log wants an image, it freezes the tables.
func (s *Store) Cut(dataflow.CheckpointID) state.Cut {
	s.loaded()
	entries, bytes, exact := s.size.now()
	cut := state.Cut{Position: s.position, Entries: entries, Bytes: bytes, Estimated: !exact}
	if s.cfg.Log != nil && s.err == nil && s.cfg.Log.WantsImage(bytes) {
		s.cfg.Log.Image(s.image(entries, bytes))
	}
	return cut
}

// Size implements state.Store.
func (s *Store) Size() (entries, bytes int64) {
	s.loaded()
	entries, bytes, _ = s.size.now()
	return entries, bytes
}

// Count implements state.Counter.
func (s *Store) Count() error {
	s.loaded()
	s.fail(s.size.wait())
	return s.err
}

// fail keeps the first error.
func (s *Store) fail(err error) {
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("lsm state: %w", corrupt(err))
	}
}

// corrupt marks an error of Pebble as ours.
func corrupt(err error) error {
	if pebble.IsCorruptionError(err) && !errors.Is(err, state.ErrCorrupt) {
		return fmt.Errorf("%w: %w", state.ErrCorrupt, err)
	}
	return err
}

// Close implements state.Store. It waits for an image that reads the database,
// not for one that is uploaded: that one ends with an error.
func (s *Store) Close() error {
	s.reader.close()
	s.size.stop()
	err := s.closeDB()
	s.states = nil
	if s.folder != nil {
		err = cmp.Or(err, s.folder.remove())
	}
	if s.own != nil && err == nil {
		s.own.Close()
		s.own = nil
	}
	if err != nil {
		return fmt.Errorf("close lsm state: %w", err)
	}
	return nil
}

// closeDB waits for who uses the database and closes it.
func (s *Store) closeDB() error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.disk.closed || s.disk.db == nil {
		return nil
	}
	s.disk.closed = true
	if !s.writer.stop() {
		return s.writer.failure() // Pebble would wait for the disk
	}
	return s.disk.db.Close()
}
