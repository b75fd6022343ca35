package changelog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// oneObject uploads two logs' changes as one object and returns their handles.
func oneObject(t *testing.T) (*spy, []snapshot.Keyed) {
	t.Helper()
	b := newSpy()
	u := setup(t, b, nil)
	l, other := newLog(t, u, "a"), newLog(t, u, "b")
	write(l, strings.Repeat("long", 100), "a", "b", "c", "d")
	write(other, "x", "e", "f")
	s := seal(t, u, 1, map[*Log]state.Cut{l: {Position: 4}, other: {Position: 2}})
	return b, []snapshot.Keyed{s.Keyed[l], s.Keyed[other]}
}

const firstObject = "p/1/000000000001.0"

func TestObjectDescribesItself(t *testing.T) {
	b, handles := oneObject(t)
	data := b.sent[firstObject][0]
	index, err := ReadIndex(firstObject, data)
	if err != nil {
		t.Fatal(err)
	}
	want := []Indexed{{"a", handles[0].Segments[0]}, {"b", handles[1].Segments[0]}}
	equal(t, "index", index, want)
}

func TestEveryDamagedByteIsFound(t *testing.T) {
	b, handles := oneObject(t)
	data := b.sent[firstObject][0]
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x20
		if _, err := ReadIndex(firstObject, bad); !errors.Is(err, objectstore.ErrCorrupt) {
			t.Fatalf("byte %d of %d: %v", i, len(data), err)
		}
		if _, err := ReadIndex(firstObject, data[:i]); !errors.Is(err, objectstore.ErrCorrupt) {
			t.Fatalf("first %d of %d bytes: %v", i, len(data), err)
		}
	}
	ref := handles[0].Segments[0].Ref
	bad := bytes.Clone(data)
	bad[ref.Offset+ref.Length/2] ^= 1
	damaged := newSpy()
	if err := damaged.Put(t.Context(), firstObject, bad, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := Restore(t.Context(), damaged, handles, 0, groups-1, table{}, nil)
	if !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), firstObject) {
		t.Errorf("restore: %v", err)
	}
	if _, err := Restore(t.Context(), newSpy(), handles, 0, groups-1, table{}, nil); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("restore without the object: %v", err)
	}
}

func TestBadEntriesAreCorruptNotAPanic(t *testing.T) {
	b, handles := oneObject(t)
	data := bytes.Clone(b.sent[firstObject][0])
	for _, k := range handles {
		ref := k.Segments[0].Ref
		for i := ref.Offset; i < ref.Offset+ref.Length; i++ {
			bad := bytes.Clone(data[ref.Offset : ref.Offset+ref.Length])
			bad[i-ref.Offset] ^= 0xff
			f, err := decodeSegment(bad) // as if its sum were right
			if err == nil {
				_, err = newTarget(Target{GroupHi: groups - 1, Into: table{}}).load(k.Segments[0], f)
			}
			if err != nil && !errors.Is(err, state.ErrCorrupt) && !errors.Is(err, objectstore.ErrCorrupt) &&
				!strings.Contains(err.Error(), "unknown") {
				t.Errorf("byte %d: %v", i, err)
			}
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	seg := &segment{Segment: snapshot.Segment{From: 3, To: 4}}
	e := state.AppendEntry(nil, state.Entry{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 50)})
	for c := range compressZstd + 1 {
		enc := newEncoder()
		enc.segment(&part{defs: []definition{{0, "s", "value", "bytes"}}, blocks: []block{{e, 1}}, segment: seg}, c)
		f.Add(enc.out[len(magic):])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if fr, err := decodeSegment(b); err == nil {
			_, err := newTarget(Target{GroupHi: 5, Into: table{}}).load(snapshot.Segment{To: 10, GroupHi: 5}, fr)
			if err != nil && !errors.Is(err, objectstore.ErrCorrupt) && !strings.Contains(err.Error(), "unknown") {
				t.Errorf("error %v", err)
			}
		}
		if _, err := ReadIndex(firstObject, b); err != nil && !errors.Is(err, objectstore.ErrCorrupt) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRestoreReadsEachObjectOnce(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	low, err := u.Log("low", 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	high, err := u.Log("high", 4, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{low, high} {
		l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "bytes"})
	}
	cuts := map[*Log]state.Cut{low: {Position: 3}, high: {Position: 3}}
	var s *Seal
	for i := range 3 {
		write(low, fmt.Sprint(i), "a") // group 1
		write(high, fmt.Sprint(i), "e")
		cuts[low], cuts[high] = state.Cut{Position: uint64(i + 1)}, state.Cut{Position: uint64(i + 1)}
		s = seal(t, u, 1, cuts)
	}
	handles := []snapshot.Keyed{s.Keyed[low], s.Keyed[high]}
	equal(t, "all", restored(t, b, 0, 7, handles...), []string{"a=2", "e=2"})
	equal(t, "reads", len(b.gets), 3)
	equal(t, "low half", restored(t, b, 0, 3, handles...), []string{"a=2"})
	equal(t, "one group", restored(t, b, 5, 5, handles...), []string{"e=2"})
	b.gets = nil
	equal(t, "no such group", restored(t, b, 8, 9, handles...), []string{})
	equal(t, "reads of nothing", len(b.gets), 0)
}

func TestNarrowedSegmentGivesNoMore(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a", "b", "c", "d") // groups 1, 2, 3, 4
	k := seal(t, u, 1, cutAt(l, 4)).Keyed[l]
	inherited, err := Restore(t.Context(), b, []snapshot.Keyed{k}, 2, 3, table{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	narrow := snapshot.Keyed{GroupLo: 2, GroupHi: 3, Segments: inherited}
	equal(t, "narrowed twice", restored(t, b, 0, groups-1, narrow), []string{"b=1", "c=1"})
}

func TestRuns(t *testing.T) {
	var r runs
	for _, n := range []uint64{5, 6, 2, 1, 6, 9} {
		r.add("b/", n)
	}
	if err := r.addKey("a/000000000003.0"); err != nil {
		t.Fatal(err)
	}
	equal(t, "runs", r.merged(), []snapshot.Run{{Prefix: "a/", Lo: 3, Hi: 3}, {Prefix: "b/", Lo: 1, Hi: 2}, {Prefix: "b/", Lo: 5, Hi: 6}, {Prefix: "b/", Lo: 9, Hi: 9}})
	for _, key := range []string{"a/3.0", "a/00000000000x.0", "a/000000000003.1", ""} {
		if err := r.addKey(key); err == nil {
			t.Errorf("%q is taken for an object of ours", key)
		}
	}
}

func TestEntriesOfTwoSchemasAreInTwoSegments(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a")
	l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "bytes"}) // again, the same
	l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "string"})
	write(l, "2", "b")
	k := seal(t, u, 1, cutAt(l, 2)).Keyed[l]
	var got []string
	for _, s := range k.Segments {
		data, err := objectstore.ReadRef(t.Context(), b, s.Ref)
		if err != nil {
			t.Fatal(err)
		}
		f, err := decodeSegment(data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("(%d, %d] %v", s.From, s.To, f.defs))
	}
	equal(t, "segments", got, []string{"(0, 1] [{0 s value bytes}]", "(1, 2] [{0 s value string}]"})
}

func TestEveryCompressionAndContentComesBack(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 1000)
	for c := range compressZstd + 1 {
		for kind := range contentFile + 1 {
			e := newEncoder()
			s := &segment{Segment: snapshot.Segment{From: 3, To: 5}}
			e.segment(&part{content: kind, defs: []definition{{1, "s", "value", "bytes"}}, blocks: []block{{body, 1}, {body, 1}}, segment: s}, c)
			data := e.out[len(magic):]
			if short := len(data) < 2000; short != (c != compressNone && kind != contentFile) {
				t.Errorf("compression %d, content %d: %d bytes", c, kind, len(data))
			}
			f, err := decodeInto(make([]byte, 50), data)
			if err != nil {
				t.Fatal(err)
			}
			got := f.body
			if kind == contentRecords {
				got = nil
				if err := readBlocks(f.body, func(b []byte) error { got = append(got, b...); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "header", []any{f.content, f.from, f.entries}, []any{kind, 3, 2})
			if !bytes.Equal(got, append(body[:len(body):len(body)], body...)) {
				t.Errorf("compression %d, content %d: another body", c, kind)
			}
		}
	}
}

func TestSumsAreOfWholeObjectsAndAreInherited(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a")
	first := seal(t, u, 1, cutAt(l, 1))
	data := b.sent[firstObject][0]
	equal(t, "sums", first.Sums, []snapshot.Sum{{Size: int64(len(data)), CRC32C: objectstore.CRC32C(data)}})
	u2 := setup(t, b, func(c *Config) { c.Prefix = "p/2/" })
	u2.InheritSums(first.Objects, first.Sums)
	l2 := newLog(t, u2, "a")
	l2.Inherit(first.Keyed[l].Segments)
	write(l2, "2", "b")
	s := seal(t, u2, 2, cutAt(l2, 1))
	data = b.sent["p/2/000000000001.0"][0]
	equal(t, "sums", s.Sums, append(first.Sums, snapshot.Sum{Size: int64(len(data)), CRC32C: objectstore.CRC32C(data)}))
}
