package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func mustDynamic(t *testing.T, schema string) *Dyn {
	t.Helper()
	d, err := Dynamic(schema)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDynamicPrints(t *testing.T) {
	at := time.Date(2013, 1, 2, 3, 4, 5, 6, time.UTC)
	f := float32(1.5)
	type sub struct {
		Z, A int8
	}
	v := struct {
		B     bool
		N     int64
		U     uint64
		F     float64
		S     string
		Raw   []byte
		Hex   []byte
		At    time.Time
		Subs  []sub
		ByKey map[string]int
		ByNum map[int]bool
		P     *float32
		Nil   *float32
		Two   [2]uint8
		None  []int
	}{true, -5, 1 << 63, math.NaN(), "<é>", []byte("text"), []byte{0, 255}, at, []sub{{1, 2}}, map[string]int{"y": 1, "x": 2}, map[int]bool{3: true}, &f, nil, [2]uint8{1, 2}, nil}
	c, err := For[struct {
		B     bool
		N     int64
		U     uint64
		F     float64
		S     string
		Raw   []byte
		Hex   []byte
		At    time.Time
		Subs  []sub
		ByKey map[string]int
		ByNum map[int]bool
		P     *float32
		Nil   *float32
		Two   [2]uint8
		None  []int
	}]()
	if err != nil {
		t.Fatal(err)
	}
	b := c.Append(nil, &v)
	got, n, err := mustDynamic(t, c.Schema()).Decode(append(b, 9))
	if err != nil || n != len(b) {
		t.Fatalf("%d of %d bytes, %v", n, len(b), err)
	}
	want := `{"B":true,"N":-5,"U":9223372036854775808,"F":"NaN","S":"<é>","Raw":"text","Hex":"0x00ff","At":"2013-01-02T03:04:05.000000006Z",` +
		`"Subs":[{"Z":1,"A":2}],"ByKey":{"x":2,"y":1},"ByNum":[{"key":3,"value":true}],"P":1.5,"Nil":null,"Two":[1,2],"None":null}`
	if text := got.(Record).String(); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if _, _, err := mustDynamic(t, c.Schema()).Decode(b[:len(b)-1]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte too few: %v", err)
	}
}

func TestDynamicReadsAllForms(t *testing.T) {
	type key struct {
		A int16
		B uint32
	}
	k := key{-3, 7}
	for _, c := range []Codec[key]{mustFor[key](t), mustFixed[key](t), must(Ordered[key]())} {
		d := mustDynamic(t, c.Schema())
		want := c.Append(nil, &k)
		got, err := d.Encode(nil, `{"B":7,"A":-3}`)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % x, %v, want % x", c.Schema(), got, err, want)
		}
		v, _, err := d.Decode(want)
		if text, _ := json.Marshal(v); err != nil || string(text) != `{"A":-3,"B":7}` {
			t.Errorf("%s: %s, %v", c.Schema(), text, err)
		}
	}
}

func must[T any](c Codec[T], err error) Codec[T] {
	if err != nil {
		panic(err)
	}
	return c
}

func TestDynamicTextComesBack(t *testing.T) {
	for _, tc := range []struct{ schema, text string }{
		{"string", "any text, as it is"}, {"string", `"quoted"`}, {"bytes", "0x00ff"}, {"bytes", "word"}, {"time", "2013-01-31T09:15:00Z"},
		{"int8", "-128"}, {"fixed uint64", "18446744073709551615"}, {"bool", "true"}, {"float64", "2.5"}, {"float32", `"NaN"`},
		{"[]string", `["a","b"]`}, {"[2]bool", "[true,false]"}, {"map[string]int64", `{"a":1}`},
		{"map[int64]string", `[{"key":1,"value":"x"}]`}, {"*int64", "null"}, {"*int64", "5"}, {"{A:bytes,B:time}", `{"A":"x","B":"2013-01-31T09:15:00Z"}`},
	} {
		d := mustDynamic(t, tc.schema)
		b, err := d.Encode(nil, tc.text)
		if err != nil {
			t.Errorf("%s: %v", tc.schema, err)
			continue
		}
		v, n, err := d.Decode(b)
		if err != nil || n != len(b) {
			t.Errorf("%s: %s: %d of %d bytes, %v", tc.schema, tc.text, n, len(b), err)
		}
		text := printed(v)
		if tc.schema == "string" || tc.schema == "bytes" || tc.schema == "time" {
			_ = json.Unmarshal([]byte(text), &text)
		}
		if text != tc.text {
			t.Errorf("%s: %s comes back as %s", tc.schema, tc.text, text)
		}
	}
}

func TestDynamicRefusesWithAnExample(t *testing.T) {
	for _, tc := range []struct{ schema, text, want string }{
		{"int64", "abc", `"abc": text is no such value: it is not JSON; want int64, such as 42`},
		{"int8", "300", "300 is no int8"},
		{"uint8", "1.5", "1.5 is no uint8"},
		{"int64", `"5"`, `"5" is no int64`},
		{"int64", "5 6", "there is more behind it"},
		{"{A:int64,B:string}", `{"A":1}`, `there is no field B; want {A:int64,B:string}, such as {"A":42,"B":"text"}`},
		{"{A:bool}", `{"A":true,"C":1}`, "there are fields that the type has not"},
		{"{A:{B:[]int8}}", `{"A":{"B":[1,"x"]}}`, `A.B[1]: "x" is no int8`},
		{"[2]int64", "[1]", "[1] is no [2]int64"},
		{"time", "yesterday", "want time, such as 2013-01-31T09:15:00Z"},
		{"map[int64]bool", `[{"key":1,"value":true},{"key":1,"value":false}]`, "a key is there twice"},
		{"bytes", "0xzz", "0xzz is no bytes"},
	} {
		_, err := mustDynamic(t, tc.schema).Encode(nil, tc.text)
		if !errors.Is(err, ErrText) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %s: %v, want %q", tc.schema, tc.text, err, tc.want)
		}
	}
}
