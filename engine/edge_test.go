package engine

import (
	"reflect"
	"testing"

	"github.com/cairnstream/cairn/connector"
)

type row struct {
	ID   int
	Name string
	Tags []string
}

func testBatch(groups bool) *Batch[row] {
	b := &Batch[row]{}
	b.Append(row{1, "a", []string{"x", "y"}}, 1000)
	b.Append(row{-2, "", nil}, connector.NoTime)
	b.Append(row{3, "c", []string{""}}, -5)
	if groups {
		b.Groups = []uint16{7, 0, 65535}
	}
	return b
}

func hashedEdge() *edge[row] {
	return newEdge("row", func() func([]byte, row) []byte { return func(dst []byte, _ row) []byte { return dst } })
}

func TestEdgeCodec(t *testing.T) {
	for _, e := range []*edge[row]{newEdge[row]("", nil), hashedEdge()} {
		want := testBatch(e.hashed())
		var got Batch[row]
		if err := e.decode(e.encode(want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("hashed %v: got %+v, want %+v", e.hashed(), got, want)
		}
	}
}

// FuzzEdgeDecode: bytes from the network may be anything; they give a batch or
// an error, and never a panic or a huge allocation.
func FuzzEdgeDecode(f *testing.F) {
	plain, hashed := newEdge[row]("", nil), hashedEdge()
	whole := hashed.encode(testBatch(true))
	for i := range whole {
		f.Add(whole[:i])
	}
	f.Add(plain.encode(testBatch(false)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, e := range []*edge[row]{plain, hashed} {
			var b Batch[row]
			if e.decode(p, &b) == nil && len(b.Values) != len(b.Times) {
				t.Errorf("%d values and %d times", len(b.Values), len(b.Times))
			}
		}
	})
}
