package lsm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// filled is a store with n values, most of them on disk, and its log with an image.
func filled(t *testing.T, n int) (*Store, *spy, state.Handle) {
	log := newSpy(0, groups-1)
	s := setup(t, log)
	h := register(t, s, "a")
	fill(t, s, h, n)
	cut(t, s, log)
	return s, log, h
}

func (p part) fileBytes() (total int64) {
	for _, data := range p.image.files {
		total += int64(len(data))
	}
	return total
}

func TestImageSendsNewFilesOnly(t *testing.T) {
	n := some(60_000)
	s, log, h := filled(t, n)
	first := log.sent
	if first < 2 {
		t.Fatalf("the first image had %d files", first)
	}
	if err := s.EndBatch(); err != nil {
		t.Fatal(err)
	}
	fill(t, s, h, 10)
	cut(t, s, log)
	if more := log.sent - first; more > 3 { // what was in the memtable, and the list
		t.Errorf("the second image sent %d files more, after %d of the first", more, first)
	}
	to := setup(t, nil)
	restore(t, to, log.parts(), 0, groups-1)
	check(t, to, register(t, to, "a"), n)
}

// TestRescaleFetchesLittle: two stores of half the groups fetch few bytes twice.
func TestRescaleFetchesLittle(t *testing.T) {
	n := some(80_000)
	log := newSpy(0, groups-1)
	from, err := Open(Config{
		GroupHi: groups - 1, Log: log, Dir: filepath.Join(t.TempDir(), "store"), MemoryBytes: memoryMin, fileBytes: int64(some(128 << 10)), // many files
	})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, from, register(t, from, "a"), n)
	cut(t, from, log)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	parts := log.parts()
	var fetched int64
	for i := range 2 {
		lo, hi := i*groups/2, (i+1)*groups/2-1
		s := openIn(t, filepath.Join(t.TempDir(), "half"), lo, hi, nil)
		fetched += restore(t, s, parts, lo, hi)
		if err := s.Count(); err != nil {
			t.Fatal(err)
		}
		if entries, _ := s.Size(); entries != int64(n/2) {
			t.Errorf("groups %d to %d: %d entries, want %d", lo, hi, entries, n/2)
		}
	}
	if all := parts[0].fileBytes(); float64(fetched) > 1.1*float64(all) {
		t.Errorf("fetched %d bytes, the image has %d: %.2f times", fetched, all, float64(fetched)/float64(all))
	}
}

// TestLocalCopies: an attempt that finds files of the one before fetches only what
// describes them, unless they are damaged.
func TestLocalCopies(t *testing.T) {
	log := newSpy(0, groups-1)
	parent := t.TempDir()
	s, err := Open(Config{GroupHi: groups - 1, Log: log, Dir: filepath.Join(parent, "1"), MemoryBytes: memoryMin})
	if err != nil {
		t.Fatal(err)
	}
	n := some(40_000)
	fill(t, s, register(t, s, "a"), n)
	cut(t, s, log)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all := log.parts()[0].fileBytes()
	again := func(name string) int64 {
		t.Helper()
		to := openIn(t, filepath.Join(parent, name), 0, groups-1, nil)
		fetched := restore(t, to, log.parts(), 0, groups-1)
		check(t, to, register(t, to, "a"), n)
		return fetched
	}
	if fetched := again("2"); fetched > all/20 {
		t.Errorf("fetched %d of %d bytes beside copies of all files", fetched, all)
	}
	files := filepath.Join(parent, "files")
	entries, err := os.ReadDir(files)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d copies, %v", len(entries), err)
	}
	for _, e := range entries {
		path := filepath.Join(files, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2]++
		if err := os.Remove(path); err != nil { // others link to the bytes
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if fetched := again("3"); fetched < all*9/10 {
		t.Errorf("fetched %d of %d bytes beside damaged copies", fetched, all)
	}
}

// TestCopiesOfOldImagesGo: files stay as long as one of the newest images names them.
func TestCopiesOfOldImagesGo(t *testing.T) {
	n := some(30_000)
	s, log, h := filled(t, n)
	for range 4 {
		fill(t, s, h, n)
		cut(t, s, log)
	}
	named := map[string]bool{}
	for _, names := range s.images.named {
		for _, name := range names {
			named[filepath.Base(copyPath("", name))] = true
		}
	}
	entries, err := os.ReadDir(s.folder.copies())
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(named) || len(s.images.named) != imagesNamed {
		t.Errorf("%d copies of %d files of %d images", len(entries), len(named), len(s.images.named))
	}
}

// TestDamagedFile: a restore, or the first read, finds it.
func TestDamagedFile(t *testing.T) {
	_, log, _ := filled(t, some(40_000))
	i := log.parts()[0].image
	for name, data := range i.files {
		if !strings.HasSuffix(name, tableSuffix) {
			continue // it is verified as it is fetched
		}
		damaged := append([]byte(nil), data...)
		damaged[len(damaged)/3] ^= 0x10
		i.files[name] = damaged
		err := readAll(t, i)
		i.files[name] = data
		if err == nil {
			t.Errorf("nobody found the damage in %s", name)
		}
	}
	if err := readAll(t, i); err != nil {
		t.Errorf("without damage: %v", err)
	}
	for name := range i.files {
		if strings.HasSuffix(name, tableSuffix) {
			if err := loadWithout(t, i, name); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: %v", name, err)
			}
			return
		}
	}
}

// readAll restores an image's files and reads every entry.
func readAll(t *testing.T, i *taken) error {
	s := setup(t, nil)
	if _, err := loadFiles(s, i, 0, groups-1); err != nil {
		return err
	}
	return s.ScanAll(0, func(int, []byte, []byte, []byte) bool { return true })
}

func loadWithout(t *testing.T, i *taken, name string) error {
	var segments []snapshot.Segment
	for _, b := range i.blocks {
		if b.Format == state.FileBlock && b.Name != name {
			segments = append(segments, snapshot.Segment{Kind: snapshot.SegmentFile, Name: b.Name, GroupLo: b.GroupLo, GroupHi: b.GroupHi})
		}
	}
	return setup(t, nil).LoadFiles(context.Background(), segments, 0, groups-1, func(_ context.Context, f snapshot.Segment, path string) error {
		return os.WriteFile(path, i.files[f.Name], 0o644)
	})
}

// TestNarrowedImageGivesNoMore: of an image that a rescale has narrowed, what lies outside
// is old, also if the whole range is asked for.
func TestNarrowedImageGivesNoMore(t *testing.T) {
	n := some(40_000)
	_, log, _ := filled(t, n)
	i := log.parts()[0].image
	var segments []snapshot.Segment
	for _, b := range i.blocks {
		if b.Format == state.FileBlock && b.GroupLo < groups/2 {
			segments = append(segments, snapshot.Segment{Kind: snapshot.SegmentFile, Name: b.Name, GroupLo: b.GroupLo, GroupHi: min(b.GroupHi, groups/2-1)})
		}
	}
	s := setup(t, nil)
	err := s.LoadFiles(context.Background(), segments, 0, groups-1, func(_ context.Context, f snapshot.Segment, path string) error {
		return os.WriteFile(path, i.files[f.Name], 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.ScanAll(register(t, s, "a"), func(group int, _, _, _ []byte) bool {
		if group >= groups/2 {
			t.Errorf("an entry of key group %d", group)
		}
		return group < groups/2
	})
	if err != nil {
		t.Fatal(err)
	}
}
