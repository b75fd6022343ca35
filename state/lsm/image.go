package lsm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// ErrClosed is returned by an image whose store was closed before it was complete.
var ErrClosed = errors.New("the store was closed")

// holder is a log that knows which files it has: it need not be given them again.
type holder interface {
	// HasFile reports whether the log has a FileBlock of this name, from an image of
	// its own or an inherited one, that a handle names or will name. It may be called by
	// any goroutine.
	HasFile(name string) bool
}

// images is what a store remembers of its images. The goroutines that write them
// use it, one at a time.
type images struct {
	mu sync.Mutex
	// known are files that were read once, by name.
	known map[string]manifestFile
	// named are the files of the newest images, of which copies are kept.
	named [][]string
}

// imagesNamed is of how many images copies of files are kept: the newest may be in
// no checkpoint yet.
const imagesNamed = 2

// image is a state.Image: what was unwritten at its position, and the database as it
// is some time later.
type image struct {
	s        *Store
	dir      string
	manifest manifest
	views    []*table.View // by handle
	files    bool          // there is something in the database
	seq      uint64        // all batches up to this one must be in it
}

// image freezes the tables.
func (s *Store) image(entries, bytes int64) *image {
	i := &image{
		s: s, dir: s.folder.next("image"), seq: s.writer.seq(),
		manifest: manifest{
			Version: manifestVersion, Database: s.id, GroupLo: s.cfg.GroupLo, GroupHi: s.cfg.GroupHi,
			Entries: entries, Bytes: bytes,
		},
	}
	for _, st := range s.states {
		i.views = append(i.views, st.table.Freeze())
		i.files = i.files || st.below
		i.manifest.States = append(i.manifest.States, manifestState{st.Name, st.Kind, st.Schema, st.TTL})
	}
	return i
}

// Fuzzy implements state.Image.
func (i *image) Fuzzy() bool { return i.files }

// Close implements state.Image.
func (i *image) Close() {
	for _, v := range i.views {
		v.Close()
	}
	_ = os.RemoveAll(i.dir)
}

// Write implements state.Image. What is in memory goes to a local file first, so
// that an upload that takes long holds up no memory.
func (i *image) Write(ctx context.Context, yield func(state.Block) error) error {
	if err := i.write(ctx, yield); err != nil {
		return fmt.Errorf("image of key groups %d to %d: %w", i.manifest.GroupLo, i.manifest.GroupHi, err)
	}
	return nil
}

func (i *image) write(ctx context.Context, yield func(state.Block) error) (err error) {
	if err := os.Mkdir(i.dir, 0o755); errors.Is(err, fs.ErrNotExist) {
		return ErrClosed // and the store's folder is gone
	} else if err != nil {
		return err
	}
	spill, err := i.spill(ctx)
	if spill != nil {
		defer func() { err = errors.Join(err, spill.file.Close()) }()
	}
	if err != nil {
		return err
	}
	if i.files {
		if err := i.writeFiles(ctx, yield); err != nil {
			return err
		}
	}
	return spill.yield(yield)
}

// spilled are blocks of entries in a local file.
type spilled struct {
	file   *os.File
	out    *bufio.Writer
	blocks []state.Block // without data
	sizes  []int
	open   state.Block
	data   []byte
}

// imageBlockBytes is about the size of a block of entries: a good read from an
// object store.
const imageBlockBytes = 1 << 20

// spill writes the unwritten entries of all states to a file.
func (i *image) spill(ctx context.Context) (*spilled, error) {
	file, err := os.Create(filepath.Join(i.dir, "unwritten"))
	if err != nil {
		return nil, err
	}
	sp := &spilled{file: file, out: bufio.NewWriterSize(file, 256<<10)}
	for group := i.manifest.GroupLo; group <= i.manifest.GroupHi; group++ {
		if err := ctx.Err(); err != nil {
			return sp, context.Cause(ctx)
		}
		for h, v := range i.views {
			for item := range v.Group(group) {
				if item.Flags&unwritten != 0 {
					sp.add(state.Handle(h), item)
				}
			}
			v.Done(group)
		}
		if len(sp.data) >= imageBlockBytes {
			if err := sp.cut(); err != nil {
				return sp, err
			}
		}
	}
	return sp, errors.Join(sp.cut(), sp.out.Flush())
}

// add adds an entry. One that was deleted is told of if the database may have it.
func (s *spilled) add(h state.Handle, e table.Item) {
	deleted := e.Flags&absent != 0
	if deleted && e.Flags&below == 0 {
		return
	}
	if s.open.Entries++; s.open.Entries == 1 {
		s.open.GroupLo = e.Group
	}
	s.open.GroupHi = e.Group
	s.data = state.AppendEntry(s.data, state.Entry{
		Handle: h, Deleted: deleted, Group: e.Group, Key: e.Key, Sub: e.Sub, Value: e.Value,
	})
}

// cut ends a block.
func (s *spilled) cut() error {
	if s.open.Entries == 0 {
		return nil
	}
	_, err := s.out.Write(s.data)
	s.blocks, s.sizes = append(s.blocks, s.open), append(s.sizes, len(s.data))
	s.open, s.data = state.Block{}, s.data[:0]
	return err
}

// yield reads the blocks back.
func (s *spilled) yield(yield func(state.Block) error) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for n, b := range s.blocks {
		b.Data = make([]byte, s.sizes[n])
		if _, err := io.ReadFull(s.file, b.Data); err != nil {
			return err
		}
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles takes a checkpoint of the database and yields its files.
func (i *image) writeFiles(ctx context.Context, yield func(state.Block) error) error {
	dir := filepath.Join(i.dir, "db")
	if err := i.checkpoint(dir); err != nil {
		return fmt.Errorf("checkpoint of the database: %w", err)
	}
	names := make([]string, len(i.manifest.Files))
	for n := range i.manifest.Files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		f := &i.manifest.Files[n]
		if err := i.writeFile(dir, f, yield); err != nil {
			return fmt.Errorf("file %s: %w", f.Name, err)
		}
		names[n] = f.Name
	}
	data, err := cbor.Marshal(&i.manifest)
	if err != nil {
		return err
	}
	err = yield(state.Block{
		GroupLo: i.manifest.GroupLo, GroupHi: i.manifest.GroupHi, Format: state.FileBlock,
		Name: i.manifest.Database + "/" + manifestPrefix + newID(), Data: data,
	})
	if err == nil {
		i.s.images.written(i.s, i.manifest.Files, names)
	}
	return err
}

// checkpoint makes dir a database of its own, with links to the files of the
// store's.
func (i *image) checkpoint(dir string) error {
	s := i.s
	s.disk.mu.RLock()
	defer s.disk.mu.RUnlock()
	if s.disk.closed {
		return ErrClosed
	}
	if err := s.writer.waitFor(i.seq); err != nil {
		return err
	}
	if err := s.disk.db.Flush(); err != nil {
		return err
	}
	if err := s.disk.db.Checkpoint(dir); err != nil {
		return err
	}
	return i.manifest.readFolder(dir, s.cfg.Shared)
}

// writeFile yields a sorted table, with its content unless the log has it.
func (i *image) writeFile(dir string, f *manifestFile, yield func(state.Block) error) error {
	b := state.Block{GroupLo: f.GroupLo, GroupHi: f.GroupHi, Format: state.FileBlock, Name: f.Name}
	path := filepath.Join(dir, f.File)
	known, ok := i.s.images.find(f.Name)
	log, knows := i.s.cfg.Log.(holder)
	if ok && known.Size == f.Size && knows && log.HasFile(f.Name) {
		f.CRC32C = known.CRC32C
	} else {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b.Data, f.CRC32C = data, crc32.Checksum(data, castagnoli)
	}
	keepCopy(i.s.folder.copies(), f.Name, path)
	return yield(b)
}

func (i *images) find(name string) (manifestFile, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, ok := i.known[name]
	return f, ok
}

// written remembers the files of a complete image, and forgets those of old ones.
func (i *images) written(s *Store, files []manifestFile, names []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known = make(map[string]manifestFile, len(files))
	for _, f := range files {
		i.known[f.Name] = f
	}
	dir := s.folder.copies()
	s.cfg.Shared.keep(dir, names)
	if i.named = append(i.named, names); len(i.named) > imagesNamed {
		s.cfg.Shared.drop(dir, i.named[0])
		i.named = i.named[1:]
	}
	s.cfg.Shared.sweep(dir)
}
