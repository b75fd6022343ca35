package files_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
)

type kinds struct {
	Str  string     `csv:"str" parquet:"str"`
	Byte []byte     `csv:"-" parquet:"byte"`
	Bool bool       `csv:"bool" parquet:"bool"`
	I32  int32      `csv:"i32" parquet:"i32"`
	I64  int64      `csv:"i64" parquet:"i64"`
	U32  uint32     `csv:"u32" parquet:"u32"`
	U64  uint64     `csv:"u64" parquet:"u64"`
	F32  float32    `csv:"f32" parquet:"f32"`
	F64  float64    `csv:"f64" parquet:"f64"`
	Time time.Time  `csv:"time" parquet:"time,timestamp(microsecond)"`
	PStr *string    `csv:"p_str" parquet:"p_str,optional"`
	PInt *int64     `csv:"p_int" parquet:"p_int,optional"`
	PT   *time.Time `csv:"p_t" parquet:"p_t,optional,timestamp(millisecond)"`
}

func sampleKinds() []kinds {
	s, n, at := "there", int64(-5), time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	return []kinds{
		{"a", []byte{1, 2}, true, -3, -4, 3 << 30, 1 << 63, 0.5, 0.25, time.Date(2001, 1, 2, 3, 4, 5, 6000, time.UTC), &s, &n, &at},
		{Byte: []byte{}, Time: time.Unix(0, 0).UTC()},
	}
}

func readKinds[T any](t *testing.T, s *files.Source[T], data []byte) ([]T, error) {
	t.Helper()
	s.FS = fstest.MapFS{"x": {Data: data}}
	got, bad, err := read(t, s, connector.Env{})
	for _, b := range bad {
		t.Errorf("bad row: %+v", b)
	}
	return got.Values, err
}

func encodeParquet[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParquetKinds(t *testing.T) {
	got, err := readKinds(t, files.Parquet[kinds]("x"), encodeParquet(t, sampleKinds()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got { // an empty []byte and nil are the same
		got[i].Byte = append([]byte{}, got[i].Byte...)
	}
	if want := sampleKinds(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParquetNullIsZero(t *testing.T) {
	type plain struct {
		PStr string `parquet:"p_str"`
		PInt int64  `parquet:"p_int"`
	}
	got, err := readKinds(t, files.Parquet[plain]("x"), encodeParquet(t, sampleKinds()))
	if want := []plain{{"there", -5}, {}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParquetColumnsThatDoNotFit(t *testing.T) {
	data := encodeParquet(t, []struct {
		S    string  `parquet:"s"`
		N    int64   `parquet:"n"`
		List []int64 `parquet:"list"`
	}{{"a", 1, nil}})
	check := func(err error, mention string) {
		t.Helper()
		if !errors.Is(err, files.ErrFormat) || !strings.Contains(err.Error(), mention) {
			t.Errorf("got %v, want it to mention %q", err, mention)
		}
	}
	_, err := readKinds(t, files.Parquet[struct {
		S int64 `parquet:"s"`
	}]("x"), data)
	check(err, `column "s"`)
	_, err = readKinds(t, files.Parquet[struct {
		N int32 `parquet:"n"`
	}]("x"), data)
	check(err, `column "n"`)
	_, err = readKinds(t, files.Parquet[struct {
		X int64 `parquet:"x"`
	}]("x"), data)
	check(err, `no column "x"`)
	_, err = readKinds(t, files.Parquet[struct {
		L int64 `parquet:"list"`
	}]("x"), data)
	check(err, `"list"`)
	_, err = readKinds(t, files.Parquet[int64]("x"), data)
	check(err, "should be a struct")
}

func TestCSVKinds(t *testing.T) {
	got, err := readKinds(t, files.CSV[kinds]("x"), []byte(
		"str,bool,i32,i64,u32,u64,f32,f64,time,p_str,p_int,p_t\n"+
			"a,true,-3,-4,3221225472,9223372036854775808,0.5,0.25,2001-01-02 03:04:05.000006,there,-5,2001-02-03T04:05:06Z\n"+
			",,,,,,,,1970-01-01,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := sampleKinds()
	want[0].Byte, want[1].Byte = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestCSVComma(t *testing.T) {
	s := files.CSV[row]("x")
	s.Comma = ';'
	got, err := readKinds(t, s, []byte("ID;Name;At;name;id;at\n1;a,b;2;c;3;4\n"))
	if want := []row{{ID: 3, Name: "c", At: 4}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}
