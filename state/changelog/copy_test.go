package changelog

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// halves are targets for the lower and the upper half of the key groups of each
// operator of a checkpoint.
func halves(p snapshot.Process, open func() Loader) (targets []Target) {
	for _, s := range p.Subtasks {
		for _, o := range s.Operators {
			for lo := 0; lo < groups; lo += groups / 2 {
				targets = append(targets, Target{
					Name: "operator " + string(o.UID), Handles: []snapshot.Keyed{*o.Keyed}, GroupLo: lo, GroupHi: lo + groups/2 - 1, Into: open(),
				})
			}
		}
	}
	return targets
}

// contents restores the targets and joins what they hold.
func contents(t *testing.T, cfg RestoreConfig, targets []Target) []string {
	t.Helper()
	if _, err := RestoreAll(t.Context(), cfg, targets); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, target := range targets {
		for k, v := range target.Into.(*scratch).table {
			all = append(all, k+"="+v)
		}
	}
	slices.Sort(all)
	return all
}

// elsewhere is a bucket that has the first one's objects in a folder, and nothing else.
func elsewhere(t *testing.T, from objectstore.Bucket, p snapshot.Process) objectstore.Bucket {
	t.Helper()
	to := mem.New()
	for key, data := range objectsOf(t, from, p) {
		if err := to.Put(t.Context(), "folder/"+key, data, objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestCopyNamesOnlyItsOwnObjects(t *testing.T) {
	here := newSpy()
	p := everything(t, here)
	there := elsewhere(t, here, p)
	open := func() Loader { return newScratch(t.TempDir()) }
	want := contents(t, RestoreConfig{Bucket: here}, halves(p, open))

	mine, dir := newSpy(), t.TempDir()
	u := setup(t, mine, func(c *Config) { c.LocalDir = dir })
	var done, total int64
	own, err := u.Copy(t.Context(), CopyConfig{
		Bucket: there, Prefix: "folder/", Progress: func(d, n int64) { done, total = d, n },
	}, halves(p, open))
	if err != nil {
		t.Fatal(err)
	}
	if done == 0 || done != total {
		t.Errorf("told of %d of %d bytes at the end", done, total)
	}
	local := OpenLocal(filepath.Join(dir, LocalFolder))
	equal(t, "restored", contents(t, RestoreConfig{Bucket: mine, Local: local}, own), want)

	// A checkpoint of the copies is whole.
	copies := p
	copies.Objects, copies.Sums = []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}}, []snapshot.Sum{u.sums["p/1/000000000001.0"]}
	copies.Subtasks = nil
	for i := 0; i < len(own); i += 2 {
		lower, upper := own[i].Handles[0], own[i+1].Handles[0]
		for _, s := range slices.Concat(lower.Segments, upper.Segments) {
			equal(t, "key", s.Ref.Key, "p/1/000000000001.0")
		}
		lower.Estimated = true // it has half of the entries
		sub := p.Subtasks[i/2]
		sub.Operators = []snapshot.Operator{{UID: sub.Operators[0].UID, Keyed: &lower}}
		copies.Subtasks = append(copies.Subtasks, sub)
	}
	if report := verify(t, mine, t.TempDir(), copies); !report.Restorable() {
		t.Errorf("verified: %v", report.Problems)
	}
}

// TestCopyMakesAnImageOfRows: rows of a canonical savepoint become entries that a store
// is restored from, each target with its own.
func TestCopyMakesAnImageOfRows(t *testing.T) {
	there, mine := mem.New(), newSpy()
	file := []byte("a1 b2 c3 d4 e5 f6 g7 h8")
	if err := there.Put(t.Context(), "s/file", file, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	k := snapshot.Keyed{
		GroupHi: groups - 1, States: []snapshot.State{{Name: "s", Kind: "value", Schema: "bytes"}},
		Segments: []snapshot.Segment{{
			Ref:  objectstore.Ref{Key: "file", Length: int64(len(file)), CRC32C: objectstore.CRC32C(file)},
			Kind: snapshot.SegmentParquet, Name: "s", Base: true, GroupHi: groups - 1,
		}},
	}
	p := snapshot.Process{Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{{UID: "op", Keyed: &k}}}}}
	rows := func(data []byte, use func(state.Entry) error) error {
		for word := range bytes.FieldsSeq(data) {
			if err := use(state.Entry{Group: int(word[0]) % groups, Key: word[:1], Value: word[1:]}); err != nil {
				return err
			}
		}
		return nil
	}
	open := func() Loader { return newScratch(t.TempDir()) }
	want := []string{"a=1", "b=2", "c=3", "d=4", "e=5", "f=6", "g=7", "h=8"}
	equal(t, "restored directly", contents(t, RestoreConfig{Bucket: there, Prefix: "s/", Rows: rows}, halves(p, open)), want)

	u := setup(t, mine, nil)
	own, err := u.Copy(t.Context(), CopyConfig{Bucket: there, Prefix: "s/", Rows: rows}, halves(p, open))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "restored from the copy", contents(t, RestoreConfig{Bucket: mine}, own), want)
	for _, target := range own {
		if s := target.Handles[0].Segments; len(s) != 1 || s[0].Kind != snapshot.SegmentEntries || !s[0].Base {
			t.Errorf("copied as %+v", s)
		}
	}
	if _, err := RestoreAll(t.Context(), RestoreConfig{Bucket: there, Prefix: "s/"}, halves(p, open)); !errors.Is(err, errNoRows) {
		t.Errorf("without a reader of rows: %v", err)
	}
}

// TestCopyNamesWhatIsDamaged: a missing object and a flipped byte, with the operator.
func TestCopyNamesWhatIsDamaged(t *testing.T) {
	here := newSpy()
	p := everything(t, here)
	open := func() Loader { return newScratch(t.TempDir()) }
	for key, data := range objectsOf(t, here, p) {
		for want, bad := range map[error]*altered{
			objectstore.ErrNotFound: {Bucket: here, key: key},
			objectstore.ErrCorrupt:  {Bucket: here, key: key, data: flipped(data)},
		} {
			u := setup(t, newSpy(), nil)
			_, err := u.Copy(t.Context(), CopyConfig{Bucket: bad}, halves(p, open))
			var object *ObjectError
			if !errors.Is(err, want) || !errors.As(err, &object) || object.Key != key || !strings.Contains(err.Error(), "operator ") {
				t.Errorf("%s: error %v, want %v with the operator and the object", key, err, want)
			}
		}
	}
}

// flipped has another bit in the middle of the first segment.
func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(magic)+8] ^= 4
	return data
}
