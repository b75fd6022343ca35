package codec

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type (
	name  string
	inner struct {
		A int16
		B [3]uint16
		C *float32
	}
	everything struct {
		Bool    bool
		Int     int
		I8      int8
		I32     int32
		I64     int64
		Uint    uint
		U8      uint8
		U32     uint32
		F32     float32
		F64     float64
		Name    name
		Raw     []byte
		At      time.Time
		Wait    time.Duration
		Inner   inner
		Inners  []inner
		Set     map[string]struct{}
		Nested  map[name]map[int32][]string
		Pointer *inner
		Empty   struct{}
	}
	flight struct {
		Origin string
		Number int64
		Delay  float64
		Count  uint64
		Late   bool
	}
)

func mustFor[T any](t testing.TB) Codec[T] {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sample() everything {
	f := float32(-1.5)
	in := inner{-300, [3]uint16{1, 2, 65535}, &f}
	return everything{
		true, -1, -128, math.MinInt32, math.MinInt64, math.MaxUint, 255, math.MaxUint32, f, math.Inf(-1),
		"héllo", []byte{0, 1}, time.Date(2013, 1, 2, 3, 4, 5, 6, time.UTC), time.Second, in, []inner{in, {}},
		map[string]struct{}{"a": {}, "": {}}, map[name]map[int32][]string{"x": {-1: {"p", ""}, 7: nil}, "y": nil},
		&in, struct{}{},
	}
}

func TestRoundTripOfEveryKind(t *testing.T) {
	for _, want := range []everything{sample(), {}, {Raw: []byte{}, Inners: []inner{}, Set: map[string]struct{}{}}} {
		c := mustFor[everything](t)
		b := c.Append([]byte("before"), &want)[len("before"):]
		got := everything{Int: 99, Raw: []byte("old"), Set: map[string]struct{}{"old": {}}, Pointer: &inner{}}
		n, err := c.Decode(append(b, "after"...), &got)
		if err != nil || n != len(b) {
			t.Fatalf("decode: %d of %d bytes, %v", n, len(b), err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestRoundTripOfRandomValues(t *testing.T) {
	c := mustFor[everything](t)
	gen := rapid.MakeCustom[everything](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{
			timeType: rapid.Custom(func(t *rapid.T) any {
				return time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
			}),
		},
	})
	rapid.Check(t, func(t *rapid.T) {
		want := gen.Draw(t, "v")
		b := c.Append(nil, &want)
		var got everything
		n, err := c.Decode(b, &got)
		if err != nil || n != len(b) {
			t.Fatalf("decode: %d of %d bytes, %v", n, len(b), err)
		}
		if again := c.Append(nil, &got); !bytes.Equal(again, b) {
			t.Fatalf("encoding is not stable:\n%x\n%x", b, again)
		}
	})
}

func TestEqualMapsHaveEqualBytes(t *testing.T) {
	c := mustFor[map[string]int](t)
	a, b := map[string]int{}, map[string]int{}
	for i := range 100 {
		a[strings.Repeat("k", i)] = i
		b[strings.Repeat("k", 99-i)] = 99 - i
	}
	if !bytes.Equal(c.Append(nil, &a), c.Append(nil, &b)) {
		t.Error("two equal maps encode differently")
	}
}

func TestUnsupportedTypesAreNamed(t *testing.T) {
	type hidden struct {
		A     int
		inner int
	}
	type outer struct{ List []hidden }
	type recursive struct{ Next *recursive }
	_ = hidden{inner: 1}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errOf(For[outer]()), "codec.outer.List[].inner: type can not be encoded: the field is not exported"},
		{errOf(For[any]()), "interface {}"},
		{errOf(For[struct{ C chan int }]()), ".C: type can not be encoded: chan int"},
		{errOf(For[struct{ F map[string]func() }]()), ".F[]: type can not be encoded: func()"},
		{errOf(For[recursive]()), "contains itself"},
		{errOf(For[[]struct{}]()), "encode to nothing"},
		{errOf(For[map[[0]int]int]()), "encode to nothing"},
		{errOf(For[map[*int]int]()), "map's key"},
		{errOf(Ordered[[]int]()), "has no order"},
		{errOf(Ordered[struct{ P *int }]()), ".P: type can not be encoded: *int has no order"},
	} {
		if !errors.Is(tc.err, ErrUnsupported) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("got error %v, want %q", tc.err, tc.want)
		}
	}
}

func errOf[T any](_ Codec[T], err error) error { return err }

func TestSchemaTellsTypesApart(t *testing.T) {
	got := mustFor[struct {
		N name
		M map[int32][]byte
		T *time.Time
	}](t).Schema()
	if want := "{N:string,M:map[int32]bytes,T:*time}"; got != want {
		t.Errorf("schema %q, want %q", got, want)
	}
	type pair struct{ A, B int64 }
	o, err := Ordered[pair]()
	if err != nil || o.Schema() != "ordered "+mustFor[pair](t).Schema() {
		t.Errorf("schema of the ordered form %q (%v)", o.Schema(), err)
	}
}

func TestAliasingSharesTheSource(t *testing.T) {
	c, err := Aliasing[struct {
		S string
		B []byte
	}]()
	if err != nil {
		t.Fatal(err)
	}
	v := struct {
		S string
		B []byte
	}{"abc", []byte("def")}
	src := c.Append(nil, &v)
	allocs := testing.AllocsPerRun(10, func() {
		if _, err := c.Decode(src, &v); err != nil {
			t.Fatal(err)
		}
	})
	src[1] = 'X'
	if allocs != 0 || v.S != "Xbc" || string(v.B) != "def" {
		t.Errorf("decoded %q %q with %v allocations", v.S, v.B, allocs)
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	c, v, buf := mustFor[flight](t), flight{"JFK", -7, 3.25, 9, true}, make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = c.Append(buf[:0], &v) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type orderedKey struct {
	A int8
	B string
	C float64
	D uint32
	E time.Time
	F [2]int64
	G []byte
}

func TestOrderedEncodingsCompareAsValues(t *testing.T) {
	c, err := Ordered[orderedKey]()
	if err != nil {
		t.Fatal(err)
	}
	times := []time.Time{time.Unix(-5, 0).UTC(), time.Unix(-5, 9).UTC(), time.Unix(3, 0).UTC()}
	gen := rapid.Custom(func(t *rapid.T) orderedKey {
		return orderedKey{
			rapid.SampledFrom([]int8{-128, -1, 0, 1}).Draw(t, "a"),
			rapid.SampledFrom([]string{"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "a\x01", "ab", "\xff"}).Draw(t, "b"),
			rapid.SampledFrom([]float64{math.Inf(-1), -2, -1.5, 0, 1e-300, 3}).Draw(t, "c"),
			rapid.SampledFrom([]uint32{0, 1, 256, 1 << 31}).Draw(t, "d"),
			rapid.SampledFrom(times).Draw(t, "e"),
			[2]int64{rapid.Int64Range(-2, 2).Draw(t, "f0"), rapid.Int64().Draw(t, "f1")},
			[]byte(rapid.SampledFrom([]string{"", "\x00", "z"}).Draw(t, "g")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		x, y := gen.Draw(t, "x"), gen.Draw(t, "y")
		bx, by := c.Append(nil, &x), c.Append(nil, &y)
		if got, want := bytes.Compare(bx, by), compareKeys(x, y); got != want {
			t.Fatalf("bytes compare as %d, values as %d", got, want)
		}
		var back orderedKey
		if n, err := c.Decode(bx, &back); err != nil || n != len(bx) || compareKeys(x, back) != 0 {
			t.Fatalf("decoded %+v (%d bytes, %v), want %+v", back, n, err, x)
		}
	})
}

func FuzzDecodeNeverPanics(f *testing.F) {
	plain, ordered := mustFor[everything](f), mustOrdered(f)
	v := sample()
	f.Add(plain.Append(nil, &v))
	f.Add(ordered.Append(nil, &orderedKey{B: "a\x00b", E: v.At}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, src []byte) {
		var v everything
		if n, err := plain.Decode(src, &v); err == nil && n > len(src) {
			t.Errorf("took %d of %d bytes", n, len(src))
		} else if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v is not ErrCorrupt", err)
		}
		var k orderedKey
		if _, err := ordered.Decode(src, &k); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v is not ErrCorrupt", err)
		}
	})
}

func TestCorruptBytesNeverPanic(t *testing.T) {
	c := mustFor[everything](t)
	v := sample()
	good := c.Append(nil, &v)
	for i := range good {
		var got everything
		if _, err := c.Decode(good[:i], &got); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("the first %d of %d bytes decode: %v", i, len(good), err)
		}
		for _, x := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] = x
			if _, err := c.Decode(bad, &got); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d as %#x: %v", i, x, err)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	c, v := mustFor[flight](b), flight{"JFK", -7, 3.25, 9, true}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Append(buf[:0], &v)
	}
}

func BenchmarkDecode(b *testing.B) {
	c, v := mustFor[flight](b), flight{"JFK", -7, 3.25, 9, true}
	src := c.Append(nil, &v)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(src, &v); err != nil {
			b.Fatal(err)
		}
	}
}
