package codec

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	orderV1 struct {
		ID    int32
		Cost  int32
		Note  string
		Lines []lineV1
		Tags  map[uint8]int16
	}
	lineV1 struct {
		Item string
		N    uint8
	}
	orderV2 struct {
		Tags   map[uint16]int64
		Price  int64 `cairn:"was=Amount,was=Cost"`
		Lines  []lineV2
		ID     int32
		Added  time.Time
		Origin *string
		Counts [2]uint16
	}
	lineV2 struct {
		N    int16
		Item string
		Gone bool
	}
)

func TestEvolution(t *testing.T) {
	from, to := mustFor[orderV1](t), mustFor[orderV2](t)
	if to.Schema() == to.Lineage() || strings.Contains(to.Schema(), "Cost") || !strings.Contains(to.Lineage(), "Price|Amount|Cost:int64") {
		t.Errorf("schema %q, lineage %q", to.Schema(), to.Lineage())
	}
	convert, err := Transcoder(from.Schema(), to.Lineage())
	if err != nil {
		t.Fatal(err)
	}
	old := orderV1{-7, 300, "lost", []lineV1{{"a", 255}, {"b", 0}}, map[uint8]int16{1: -1, 200: 500}}
	b, err := convert([]byte("before"), from.Append(nil, &old))
	if err != nil {
		t.Fatal(err)
	}
	var got orderV2
	if n, err := to.Decode(b[6:], &got); err != nil || n != len(b)-6 {
		t.Fatalf("%d of %d bytes, %v", n, len(b)-6, err)
	}
	want := orderV2{
		Tags: map[uint16]int64{1: -1, 200: 500}, Price: 300, ID: -7, Added: time.Time{}.UTC(),
		Lines: []lineV2{{255, "a", false}, {0, "b", false}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if again := to.Append(nil, &got); !bytes.Equal(again, b[6:]) {
		t.Errorf("not what the new type writes:\n% x\n% x", b[6:], again)
	}
}

func TestEvolutionBetweenForms(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		value    aggregate
	}{
		{mustFor[aggregate](t).Schema(), mustFixed[aggregate](t).Schema(), aggregate{1, -2, 3, 1 << 60}},
		{mustFixed[aggregate](t).Schema(), mustFor[aggregate](t).Schema(), aggregate{-1, 2, 0, -1 << 60}},
	} {
		convert, err := Transcoder(tc.from, tc.to)
		if err != nil {
			t.Fatal(err)
		}
		compactForm, fixedForm := mustFor[aggregate](t).Append(nil, &tc.value), mustFixed[aggregate](t).Append(nil, &tc.value)
		src, want := compactForm, fixedForm
		if strings.HasPrefix(tc.from, "fixed") {
			src, want = want, src
		}
		if got, err := convert(nil, src); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s to %s: % x, %v, want % x", tc.from, tc.to, got, err, want)
		}
		if _, err := convert(nil, append(bytes.Clone(src), 0)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a byte too many: %v", err)
		}
		if _, err := convert(nil, src[:len(src)-1]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a byte too few: %v", err)
		}
	}
}

func TestIncompatibleFieldsAreNamed(t *testing.T) {
	for _, tc := range []struct{ from, to, want string }{
		{"{Price:int64}", "{Price:string}", "field Price: int64 can't become string"},
		{"{A:{B:[]{C:int64}}}", "{A:{B:[]{C:int32}}}", "field A.B[].C: int64 can't become int32"},
		{"{A:uint64}", "{A:int64}", "field A: uint64 can't become int64"},
		{"{A:int64}", "{A:float64}", "field A: int64 can't become float64"},
		{"{A:[2]bool}", "{A:[3]bool}", "field A: [2]bool can't become [3]bool"},
		{"{A:{X:bool}}", "{A:bool}", "field A: {X:bool} can't become bool"},
		{"{A:bool}", "{A:{X:bool}}", "field A: bool can't become {X:bool}"},
		{"{A:*int64}", "{A:*string}", "field A: int64 can't become string"},
		{"{M:map[{A:bool,B:bool}]bool}", "{M:map[{A:bool}]bool}", "field M[key]: {A:bool,B:bool} can't become {A:bool}"},
		{"{M:map[string]bool}", "{M:map[string]time}", "field M[]: bool can't become time"},
		{"string", "bytes", "string can't become bytes"},
		{"{Old:int64}", "{New|Old:string}", "field New: int64 can't become string"},
	} {
		_, err := Transcoder(tc.from, tc.to)
		if !errors.Is(err, ErrIncompatible) || !strings.HasSuffix(err.Error(), ": "+tc.want) {
			t.Errorf("%s to %s: %v, want %q", tc.from, tc.to, err, tc.want)
		}
	}
}

func TestIdentical(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"{A:bool,B:int8}", "{A:bool,C:int8}", true},
		{"{A:bool,B:int8}", "{B:int8,A:bool}", false},
		{"{A:bool}", "{A:bool,B:bool}", false},
		{"fixed int64", "int64", false},
		{"map[{K:string}][]*{A:bool}", "map[{K:string}][]*{Z|A:bool}", true},
	} {
		if got := Identical(tc.from, tc.to); got != tc.want {
			t.Errorf("%s and %s: %v", tc.from, tc.to, got)
		}
	}
}

func TestRenamedMapKeys(t *testing.T) {
	convert, err := Transcoder("{M:map[{A:int8}]int8}", "{M:map[{B:int8}]int32}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := convert(nil, []byte{3, 1, 5, 2, 0xff}); err != nil || !bytes.Equal(got, []byte{3, 1, 10, 2, 1}) {
		t.Errorf("% x, %v", got, err)
	}
}

func TestTagsThatMakeNoSense(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errOf(For[struct {
			A int `cairn:"was=B"`
			B int
		}]()), ".A: type can not be encoded: it was B, which is a field too"},
		{errOf(For[struct {
			A int `cairn:"was=X"`
			B int `cairn:"was=X"`
		}]()), ".B: type can not be encoded: it was X, and so was A"},
		{errOf(For[struct {
			A int `cairn:"was"`
		}]()), `its tag is cairn:"was": want cairn:"was=Name"`},
		{errOf(For[struct {
			A int `cairn:"was=a b"`
		}]()), `want cairn:"was=Name"`},
	} {
		if !errors.Is(tc.err, ErrUnsupported) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("got %v, want %q", tc.err, tc.want)
		}
	}
}

func TestSchemasComeBack(t *testing.T) {
	for _, s := range []string{
		mustFor[everything](t).Schema(), mustFixed[gaps](t).Schema(), mustOrdered(t).Schema(), "{}", "fixed [0]{}", "[2][3]*[]map[time]bytes",
	} {
		p, err := ParseSchema(s)
		if err != nil || p.String() != s {
			t.Errorf("%q comes back as %q, %v", s, p, err)
		}
	}
	for _, s := range []string{
		"", "int", "{A:bool", "{:bool}", "{A bool}", "[x]bool", "[-1]bool", "[99999999999]bool", "[]{}", "map[{}]bool", "map[bool]",
		"fixed string", "ordered []bool", "fixed *bool", "bool ", "{A:bool}}", strings.Repeat("*", 200) + "bool",
		"[10000][10000]{}", "ordered map[bool]bool",
	} {
		if _, err := ParseSchema(s); !errors.Is(err, ErrSchema) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzTranscoder(f *testing.F) {
	from, to := mustFor[orderV1](f), mustFor[orderV2](f)
	f.Add(from.Append(nil, &orderV1{Note: "x", Lines: []lineV1{{"a", 1}}, Tags: map[uint8]int16{1: 2}}))
	f.Add([]byte{})
	convert, err := Transcoder(from.Schema(), to.Lineage())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := convert(nil, src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v", err)
			}
			return
		}
		var v orderV2
		if n, err := to.Decode(b, &v); err != nil || n != len(b) {
			t.Errorf("% x becomes % x, which does not decode: %v", src, b, err)
		}
	})
}

func FuzzParseSchema(f *testing.F) {
	f.Add(mustFor[everything](f).Schema())
	f.Add("fixed [3]{A|B:int8}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchema(text)
		if err != nil {
			return
		}
		again, err := ParseSchema(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q is %v and then %v, %v", text, s, again, err)
		}
	})
}
