package changelog

import (
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/snapshot"
)

// copyOfOne has a copy of one range.
type copyOfOne struct {
	ref  objectstore.Ref
	data string
}

func (c copyOfOne) Read(ref objectstore.Ref, buf []byte) (data []byte, ok bool) {
	if ref != c.ref {
		return nil, false
	}
	return append(buf[:0], c.data...), true
}

// TestLocalCopiesAreNotOverwritten: parts of one read share its memory. What comes from the bucket
// around a part that is here is not checked yet, so it must not take that part's place.
func TestLocalCopiesAreNotOverwritten(t *testing.T) {
	b, err := file.Open(t.TempDir(), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "k", []byte("onexxxthree"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	parts := []objectstore.Ref{{Key: "k", Length: 3}, {Key: "k", Offset: 3, Length: 3}, {Key: "k", Offset: 6, Length: 5}}
	for here, want := range [][]string{{"ONE", "xxx", "three"}, {"one", "TWO", "three"}, {"one", "xxx", "THREE"}, {"one", "xxx", "three"}} {
		src := source{bucket: b}
		if here < len(parts) {
			src.local = copyOfOne{parts[here], want[here]}
		}
		rd := &read{key: "k", to: 11}
		for _, ref := range parts {
			rd.parts = append(rd.parts, piece{segment: snapshot.Segment{Ref: ref}})
		}
		for _, room := range []int{0, 4, 11, 100} {
			got, err := rd.fetch(t.Context(), &src, make([]byte, room))
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if string(got[i].data) != want[i] || got[i].local != (i == here) {
					t.Errorf("copy of part %d, memory of %d bytes: part %d is %q, local %v, want %q", here, room, i, got[i].data, got[i].local, want[i])
				}
			}
		}
	}
}

// TestSpareMemoryIsBounded: memory that is put back is used again, up to what reads may have.
func TestSpareMemoryIsBounded(t *testing.T) {
	var s spare
	first := s.get()
	if n := len(first.room(1000)); n != 1000 {
		t.Fatalf("room of %d bytes, want 1000", n)
	}
	for _, n := range []int64{-1, readingBytes + 1, 1 << 60} {
		if first.room(n) != nil {
			t.Errorf("there is room for %d bytes", n)
		}
	}
	s.put(first)
	again := s.get()
	if again != first || &again.room(500)[0] != &first.read[0] {
		t.Error("memory was not used again")
	}
	for range 3 {
		m := new(memory)
		m.room(readingBytes / 2)
		s.put(m)
	}
	if s.bytes != readingBytes {
		t.Errorf("%d bytes are kept, want %d", s.bytes, readingBytes)
	}
	for range 3 {
		s.get()
	}
	if s.bytes != 0 {
		t.Errorf("%d bytes in nothing", s.bytes)
	}
}
