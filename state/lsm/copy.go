package lsm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// copyOut copies the entries of key groups lo to hi out of an image of others.
func (s *Store) copyOut(ctx context.Context, m *manifest, files []snapshot.Segment, lo, hi int, fetch Fetch) (err error) {
	dir := s.folder.next("import")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.place(ctx, dir, m, files, lo, hi, fetch); err != nil {
		return err
	}
	pairs, err := s.registerAll(m)
	if err != nil {
		return err
	}
	from, err := openReadOnly(dir, s.cfg.Shared)
	if err != nil {
		return fmt.Errorf("open database: %w: %w", state.ErrCorrupt, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c := copier{s: s, from: from, dir: dir}
	if err := c.run(ctx, pairs, lo, hi); err != nil {
		return fmt.Errorf("copy entries: %w", corrupt(err))
	}
	return nil
}

// pair is a state's handle in the image and in the store.
type pair struct {
	from, to state.Handle
	// convert makes the store's values of the image's; nil if they are the same.
	convert func(dst, value []byte) ([]byte, error)
}

// registerAll registers the image's states; the pairs are in the store's order. A state
// that is here already in another schema, of a newer image, keeps that.
func (s *Store) registerAll(m *manifest) ([]pair, error) {
	var pairs []pair
	for from, d := range m.States {
		p := pair{from: state.Handle(from)}
		var err error
		if h, ok := s.byName[d.Name]; ok && s.states[h].Schema != d.Schema {
			p.to = h
			p.convert, err = state.Migration(d.definition(), s.states[h].Definition)
		} else {
			p.to, err = s.Register(d.definition())
		}
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.to, b.to) })
	return pairs, nil
}

// copier writes entries of another database as sorted tables that the store's takes
// in without a compaction.
type copier struct {
	s    *Store
	from *pebble.DB
	dir  string

	out   *sstable.Writer
	paths []string
	key   []byte
	value []byte // scratch: converted
	bytes int    // in out
}

func (c *copier) run(ctx context.Context, pairs []pair, lo, hi int) (err error) {
	it, err := c.from.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for group := lo; group <= hi; group++ {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
			break
		}
		for _, p := range pairs {
			if err = c.copyState(it, group, p); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if err = errors.Join(err, c.finish()); err != nil || len(c.paths) == 0 {
		return err
	}
	return c.s.disk.db.Ingest(ctx, c.paths)
}

// copyState copies the entries of a state in a key group.
func (c *copier) copyState(it *pebble.Iterator, group int, p pair) error {
	prefix := appendPrefix(nil, group, p.from)
	it.SetBounds(bytes.Clone(prefix), successor(nil, prefix))
	st := c.s.states[p.to]
	for ok := it.First(); ok; ok = it.Next() {
		_, _, key, sub, err := splitKey(it.Key())
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if p.convert != nil {
			if c.value, err = p.convert(c.value[:0], value); err != nil {
				return err
			}
			value = c.value
		}
		c.key = append(appendKey(c.key[:0], group, p.to, key), sub...)
		if err := c.add(value); err != nil {
			return err
		}
		st.below = true
		c.s.size.add(1, int64(len(key)+len(sub)+len(value)))
	}
	return it.Error()
}

// add writes c.key and its value.
func (c *copier) add(value []byte) error {
	if c.out == nil {
		if err := c.begin(); err != nil {
			return err
		}
	}
	if err := c.out.Set(c.key, value); err != nil {
		return err
	}
	if c.bytes += len(c.key) + len(value); c.bytes >= targetFileBytes {
		return c.finish()
	}
	return nil
}

func (c *copier) begin() error {
	path := c.s.folder.next("table")
	file, err := unsynced{vfs.Default}.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	db := c.s.disk.db
	o := options(c.s.cfg.Shared, memtableMin, targetFileBytes)
	o.EnsureDefaults()
	c.out = sstable.NewWriter(objstorageprovider.NewFileWritable(file), o.MakeWriterOptions(6, db.TableFormat()))
	c.paths, c.bytes = append(c.paths, path), 0
	return nil
}

func (c *copier) finish() error {
	if c.out == nil {
		return nil
	}
	err := c.out.Close()
	c.out = nil
	return err
}
