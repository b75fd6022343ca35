package codec

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

type (
	// packed has no padding, gaps has, flags has booleans.
	packed struct {
		A, B int64
		C    [4]uint16
		D    float64
	}
	gaps struct {
		A int8
		B int64
		C bool
	}
	flags struct {
		On  [3]bool
		Off bool
		N   int32
	}
	aggregate struct{ Count, Sum, Min, Max int64 }
)

func mustFixed[T any](t testing.TB) *Flat[T] {
	t.Helper()
	c, err := Fixed[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFixedRoundTrip(t *testing.T) {
	t.Run("packed", fixedRoundTrip[packed])
	t.Run("gaps", fixedRoundTrip[gaps])
	t.Run("flags", fixedRoundTrip[flags])
	t.Run("array", fixedRoundTrip[[3]gaps])
	t.Run("many bools", fixedRoundTrip[[100]bool])
	t.Run("number", fixedRoundTrip[uint16])
}

func fixedRoundTrip[T comparable](t *testing.T) {
	c := mustFixed[T](t)
	gen := rapid.Make[T]()
	rapid.Check(t, func(t *rapid.T) {
		want := gen.Draw(t, "v")
		b := c.Append([]byte("x"), &want)[1:]
		var got T
		n, err := c.Decode(append(bytes.Clone(b), "behind"...), &got)
		if err != nil || n != len(b) || n != c.Size() {
			t.Fatalf("%d of %d bytes (size %d), %v", n, len(b), c.Size(), err)
		}
		if again := c.Append(nil, &got); !bytes.Equal(again, b) {
			t.Fatalf("% x comes back as % x", b, again)
		}
		if _, err := c.Decode(b[:len(b)-1], &got); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a byte less decodes: %v", err)
		}
	})
}

func TestFixedFormAndSchema(t *testing.T) {
	c := mustFixed[gaps](t)
	b := c.Append(nil, &gaps{-2, 0x0102030405060708, true})
	if want := []byte{0xfe, 8, 7, 6, 5, 4, 3, 2, 1, 1}; !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
	if got, want := c.Schema(), "fixed {A:int8,B:int64,C:bool}"; got != want {
		t.Errorf("schema %q, want %q", got, want)
	}
	for _, err := range []error{flatErr(Fixed[string]()), flatErr(Fixed[struct{ P *int }]()), flatErr(Fixed[[]int]())} {
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "has no fixed size") {
			t.Errorf("got %v", err)
		}
	}
}

func flatErr[T any](_ *Flat[T], err error) error { return err }

// TestPaddingDoesNotLeak: what lies between the fields of a value is not in its encoding.
func TestPaddingDoesNotLeak(t *testing.T) {
	c := mustFixed[gaps](t)
	var v gaps
	memory := unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v))
	for i := range memory {
		memory[i] = 0xaa
	}
	v.A, v.B, v.C = 1, 2, true
	if got, want := c.Append(nil, &v), c.Append(nil, &gaps{1, 2, true}); !bytes.Equal(got, want) {
		t.Errorf("% x and % x for equal values", got, want)
	}
	if _, ok := c.View(make([]byte, c.Size())); ok {
		t.Error("a view of a value that has padding")
	}
}

func TestView(t *testing.T) {
	c := mustFixed[packed](t)
	words := make([]uint64, 9)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 72)
	want := packed{1, -2, [4]uint16{3, 4, 5, 6}, math.Pi}
	copy(b, c.Append(nil, &want))
	v, ok := c.View(b[:c.Size()])
	if !ok || *v != want {
		t.Fatalf("view %v, %v", v, ok)
	}
	v.B = 77
	var got packed
	if _, err := c.Decode(b, &got); err != nil || got.B != 77 {
		t.Errorf("%+v after a change in place: %v", got, err)
	}
	if _, ok := c.View(b[1 : 1+c.Size()]); ok {
		t.Error("a view of bytes that do not lie as a value must")
	}
	if _, ok := c.View(b[:c.Size()-8]); ok {
		t.Error("a view of too few bytes")
	}
}

// TestBadBoolsAreFound: a bool in memory that is neither 0 nor 1 is not a value of Go.
func TestBadBoolsAreFound(t *testing.T) {
	c := mustFixed[flags](t)
	b := c.Append(nil, &flags{})
	for at := range 4 {
		bad := bytes.Clone(b)
		bad[at] = 2
		var v flags
		if _, err := c.Decode(bad, &v); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bool %d of 2 decodes: %v", at, err)
		}
		if _, ok := c.View(bad); ok {
			t.Errorf("a view of a bad bool %d", at)
		}
	}
	many := mustFixed[[100]bool](t)
	bad := make([]byte, 100)
	bad[99] = 3
	if _, err := many.Decode(bad, new([100]bool)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the last of many bad bools decodes: %v", err)
	}
}

func TestKey(t *testing.T) {
	for _, tc := range []struct {
		schema string
		size   int
		err    error
	}{
		keyOf[int64]("fixed int64", 8),
		keyOf[[2]uint64]("fixed [2]uint64", 16),
		keyOf[[3]uint64]("[3]uint64", Variable),
		keyOf[string]("string", Variable),
	} {
		if tc.err != nil {
			t.Error(tc.err)
		}
	}
	if _, err := Key[func()](); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a key that is a function: %v", err)
	}
}

func keyOf[T any](schema string, size int) (tc struct {
	schema string
	size   int
	err    error
}) {
	c, err := Key[T]()
	switch {
	case err != nil:
		tc.err = err
	case c.Schema() != schema || c.Size() != size:
		tc.err = errors.New(c.Schema() + " instead of " + schema)
	}
	return tc
}

func TestSizeIsTheLength(t *testing.T) {
	o, err := Ordered[struct {
		A int8
		B float64
		C [2]uint32
	}]()
	if err != nil || o.Size() != 17 {
		t.Errorf("ordered struct: %d, %v", o.Size(), err)
	}
	if c := mustFor[flight](t); c.Size() != Variable {
		t.Errorf("a struct with a string: %d", c.Size())
	}
	if c := mustFor[[2]float32](t); c.Size() != 8 {
		t.Errorf("two floats: %d", c.Size())
	}
	if c := mustFixed[struct{}](t); c.Size() != 0 {
		t.Errorf("nothing: %d", c.Size())
	}
}

func BenchmarkFixed(b *testing.B) {
	c, v := mustFixed[aggregate](b), aggregate{1, 2, 3, 4}
	buf := c.Append(make([]byte, 0, 64), &v)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = c.Append(buf[:0], &v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(buf, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v, ok := c.View(buf); ok {
				v.Count++
			}
		}
	})
}
