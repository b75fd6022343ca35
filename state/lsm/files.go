package lsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Fetch copies a file of an image, verified, to a path of the local disk.
type Fetch = func(ctx context.Context, s snapshot.Segment, path string) error

// fetchesMax is how many files are fetched at once: enough to hide the latency of an
// object store.
const fetchesMax = 8

// LoadFiles restores an image from its files, as far as they belong to the key groups
// lo to hi. It comes before the other loads of the image; several images, of
// different key groups, may be loaded one after the other.
//
// A state that is registered already gets its entries in the schema that it is
// registered with: the caller knows the newest, an image does not. An image of exactly
// the store's key groups, loaded first, is opened as it is. Of others only the
// files that hold lo to hi are fetched, and the entries copied out. A file of which
// there is a copy on this machine is not fetched.
func (s *Store) LoadFiles(ctx context.Context, files []snapshot.Segment, lo, hi int, fetch Fetch) error {
	if err := s.loadFiles(ctx, files, lo, hi, fetch); err != nil {
		return fmt.Errorf("load image for key groups %d to %d: %w", lo, hi, err)
	}
	return nil
}

func (s *Store) loadFiles(ctx context.Context, files []snapshot.Segment, lo, hi int, fetch Fetch) error {
	m, of, err := s.fetchManifest(ctx, files, fetch)
	if err != nil {
		return err
	}
	// The manifest is of all key groups that the image had. Where it was narrowed, newer
	// images hold the others: what the files have of those is old.
	lo, hi = max(lo, of.GroupLo), min(hi, of.GroupHi)
	fresh := len(s.states) == 0
	s.load.on = true
	if whole := m.GroupLo == s.cfg.GroupLo && m.GroupHi == s.cfg.GroupHi && lo == m.GroupLo && hi == m.GroupHi; whole && fresh {
		return s.adopt(ctx, m, files, fetch)
	}
	return s.copyOut(ctx, m, files, lo, hi, fetch)
}

// fetchManifest finds the file that describes the others, and reads it.
func (s *Store) fetchManifest(ctx context.Context, files []snapshot.Segment, fetch Fetch) (*manifest, snapshot.Segment, error) {
	for _, f := range files {
		if !isManifest(f.Name) {
			continue
		}
		path := s.folder.next("manifest")
		if err := fetch(ctx, f, path); err != nil {
			return nil, f, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, f, err
		}
		m, err := parseManifest(data)
		return m, f, errors.Join(wrapName(f.Name, err), os.Remove(path))
	}
	return nil, snapshot.Segment{}, fmt.Errorf("%w: none of its %d files describes the others", state.ErrCorrupt, len(files))
}

func wrapName(name string, err error) error {
	if err != nil {
		return fmt.Errorf("file %s: %w", name, err)
	}
	return nil
}

// place makes dir a database of those files of the image that hold any of the key
// groups lo to hi.
func (s *Store) place(ctx context.Context, dir string, m *manifest, files []snapshot.Segment, lo, hi int, fetch Fetch) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	segments := make(map[string]snapshot.Segment, len(files))
	for _, f := range files {
		segments[f.Name] = f
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchesMax)
	var names []string
	for _, f := range m.Files {
		if f.GroupHi < lo || f.GroupLo > hi {
			continue
		}
		names = append(names, f.Name)
		g.Go(func() error { return s.placeFile(ctx, dir, f, segments, fetch) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.cfg.Shared.keep(s.folder.copies(), names)
	s.images.named = append(s.images.named, names)
	for _, f := range m.Small {
		if err := os.WriteFile(filepath.Join(dir, f.File), f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// placeFile links the local copy of a file into dir, or fetches it.
func (s *Store) placeFile(ctx context.Context, dir string, f manifestFile, segments map[string]snapshot.Segment, fetch Fetch) error {
	path := filepath.Join(dir, f.File)
	if takeCopy(s.folder.copies(), f, path) {
		return nil
	}
	segment, ok := segments[f.Name]
	if !ok {
		return fmt.Errorf("file %s: %w: the image names it, but it is not there", f.Name, state.ErrCorrupt)
	}
	if err := fetch(ctx, segment, path); err != nil {
		return fmt.Errorf("file %s: %w", f.Name, err)
	}
	keepCopy(s.folder.copies(), f.Name, path)
	return nil
}

// adopt opens the image's files in the place of the store's own database.
func (s *Store) adopt(ctx context.Context, m *manifest, files []snapshot.Segment, fetch Fetch) error {
	dir := s.folder.database()
	if err := s.place(ctx, dir, m, files, m.GroupLo, m.GroupHi, fetch); err != nil {
		return err
	}
	if err := s.replaceDB(dir); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.id = m.Database
	s.images.known = map[string]manifestFile{}
	for _, f := range m.Files {
		s.images.known[f.Name] = f
	}
	for _, d := range m.States {
		h, err := s.Register(d.definition())
		if err != nil {
			return err
		}
		s.states[h].below = true
	}
	s.size.add(m.Entries, m.Bytes)
	s.load.recount = true
	return nil
}

// replaceDB closes the store's database, which is empty, and opens the one in dir.
func (s *Store) replaceDB(dir string) error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.writer.stop()
	if err := s.disk.db.Close(); err != nil {
		return err
	}
	s.disk.db = nil
	w := newWriter()
	s.writer = w
	db, err := s.openDB(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", state.ErrCorrupt, err)
	}
	s.disk.db, w.db = db, db
	go w.run()
	return nil
}
