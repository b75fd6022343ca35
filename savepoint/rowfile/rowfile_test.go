package rowfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// order has every kind of field that a column can be.
type order struct {
	Name   string
	Price  float64
	Small  int8
	Large  uint64
	Paid   bool
	At     time.Time
	Raw    []byte
	Tags   []string
	Pair   [2]int32
	Note   *string
	Lines  []line
	ByWord map[string]line
	Empty  struct{}
	Deep   **int64
	Größe  float32
}

type line struct {
	Article string
	Counts  []uint16
}

func text(s string) *string { return &s }

func number64(n int64) **int64 { p := &n; return &p }

var orders = []order{
	{},
	{
		Name: "one", Price: -1.5, Small: -128, Large: math.MaxUint64, Paid: true, At: time.Date(2024, 2, 29, 12, 0, 0, 5000, time.UTC), Raw: []byte{0, 1},
		Tags: []string{"a", "", "c"}, Pair: [2]int32{-1, math.MaxInt32}, Note: text("x"), Größe: 2.5, Deep: number64(7),
		Lines:  []line{{"p", []uint16{1, 2}}, {"q", nil}, {"r", []uint16{}}, {"s", []uint16{65535}}},
		ByWord: map[string]line{"k": {"v", []uint16{3}}, "l": {}},
	},
	{Name: "nothing inside", Raw: []byte{}, Tags: []string{}, Lines: []line{}, ByWord: map[string]line{}, Note: text("")},
	{Price: math.Inf(1), At: time.Unix(1<<62, 0)},
}

// encoded is a value's bytes.
func encoded[T any](t testing.TB, v T) (b []byte, schema string) {
	t.Helper()
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c.Append(nil, &v), c.Schema()
}

func write(t testing.TB, keySchema string, s snapshot.State, entries ...state.Entry) []byte {
	t.Helper()
	w, err := NewWriter("op", keySchema, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	data, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if w.Rows() != len(entries) {
		t.Fatalf("%d rows of %d entries", w.Rows(), len(entries))
	}
	return data
}

// read returns what a restore gets of a file, as text.
func read(t testing.TB, data []byte) (all []string) {
	t.Helper()
	if err := Each(data, func(e state.Entry) error { all = append(all, show(e)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func show(e state.Entry) string { return fmt.Sprintf("%d %x %x %x", e.Group, e.Key, e.Sub, e.Value) }

// typedRow is a file's row as another reader sees it: the columns by their names.
func typedRows(t testing.TB, data []byte) (rows []map[string]any) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r := parquet.NewReader(f)
	for range f.NumRows() {
		row := map[string]any{}
		if err := r.Read(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestTypedColumnsOfAllTypes reads the typed value of each order back, as a Go struct of
// the columns' types.
func TestTypedColumnsOfAllTypes(t *testing.T) {
	var entries []state.Entry
	var schema string
	for i, o := range orders {
		var e state.Entry
		e.Key, _ = encoded(t, int64(i))
		e.Value, schema = encoded(t, o)
		entries = append(entries, e)
	}
	data := write(t, "int64", snapshot.State{Name: "s", Kind: "value", Schema: schema}, entries...)
	type row struct {
		Key   int64 `parquet:"key"`
		Value struct {
			Name  string
			Price float64
			Small int32 `parquet:",int(8)"`
			Large uint64
			Paid  bool
			At    *int64 `parquet:",timestamp(microsecond)"`
			Raw   *[]byte
			Tags  []string `parquet:",list,optional"`
			Pair  []int32  `parquet:",list"`
			Note  *string
			Lines []struct {
				Article string
				Counts  []uint16 `parquet:",list,optional"`
			} `parquet:",list,optional"`
			ByWord map[string]struct {
				Article string
				Counts  []uint16 `parquet:",list,optional"`
			} `parquet:",optional"`
			Empty *string
			Deep  *string
			Größe float32
		} `parquet:"value"`
	}
	rows, err := parquet.Read[row](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range orders {
		got := rows[i].Value
		if rows[i].Key != int64(i) || got.Name != o.Name || got.Price != o.Price || got.Small != int32(o.Small) || got.Large != o.Large ||
			got.Paid != o.Paid || got.Größe != o.Größe || !slices.Equal(got.Tags, o.Tags) || !slices.Equal(got.Pair, o.Pair[:]) {
			t.Errorf("row %d: %+v, want %+v", i, got, o)
		}
		if (got.Note == nil) != (o.Note == nil) || got.Note != nil && *got.Note != *o.Note {
			t.Errorf("row %d: note %v, want %v", i, got.Note, o.Note)
		}
		if (got.At == nil) != (i == 3) || got.At != nil && *got.At != o.At.UnixMicro() {
			t.Errorf("row %d: at %v, want %v", i, got.At, o.At)
		}
		if len(got.Lines) != len(o.Lines) || len(got.ByWord) != len(o.ByWord) || *got.Empty != "{}" || (got.Deep == nil) != (o.Deep == nil) {
			t.Errorf("row %d: lines %+v, %+v, %v, %v", i, got.Lines, got.ByWord, got.Empty, got.Deep)
		}
		for j := range o.Lines {
			if got.Lines[j].Article != o.Lines[j].Article || !slices.Equal(got.Lines[j].Counts, o.Lines[j].Counts) {
				t.Errorf("row %d, line %d: %+v, want %+v", i, j, got.Lines[j], o.Lines[j])
			}
		}
		for word, want := range o.ByWord {
			if got := got.ByWord[word]; got.Article != want.Article || !slices.Equal(got.Counts, want.Counts) {
				t.Errorf("row %d, word %s: %+v, want %+v", i, word, got, want)
			}
		}
	}
}

// TestColumnsOfEachKindOfState: what the parts of an entry are called.
func TestColumnsOfEachKindOfState(t *testing.T) {
	at := func(ms int64) []byte { return append([]byte{0x80, 0, 0, 0, 0, 0, 0, byte(ms)}, "tag"...) }
	for _, test := range []struct {
		state snapshot.State
		entry state.Entry
		want  string
	}{
		{snapshot.State{Kind: "value", Schema: "string"}, state.Entry{Value: []byte("\x01v")}, `{"value":"v"}`},
		{snapshot.State{Kind: "value", Schema: "ordered {Start:int64,End:int64} -> int64"},
			state.Entry{Sub: []byte("\x80\x00\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00\x00\x02"), Value: []byte{6}},
			`{"namespace":{"End":2,"Start":1},"value":3}`},
		{snapshot.State{Kind: "map", Schema: "ordered uint8 -> bool"}, state.Entry{Sub: []byte{9}, Value: []byte{1}}, `{"map_key":9,"value":true}`},
		{snapshot.State{Kind: "map", Schema: "ordered uint8, ordered uint8 -> bool"}, state.Entry{Sub: []byte{9, 8}, Value: []byte{0}},
			`{"map_key":8,"namespace":9,"value":false}`},
		{snapshot.State{Kind: "list", Schema: "ordered uint64 -> ttl fixed uint8"}, state.Entry{Sub: []byte{0, 0, 0, 0, 0, 0, 0, 4}, Value: []byte{5, 0, 0, 0, 0, 0, 0, 0, 7}},
			`{"last_used":5,"position":4,"value":7}`},
		{snapshot.State{Kind: "timers", Schema: state.TimersSchema}, state.Entry{Sub: at(3)}, `{"tag":"tag","time":3}`},
		{snapshot.State{Kind: "own"}, state.Entry{Sub: []byte("s"), Value: []byte("v")}, `{}`},
	} {
		test.entry.Group, test.entry.Key = 12, []byte("\x01k")
		data := write(t, "string", test.state, test.entry)
		row := typedRows(t, data)[0]
		if row["key"] != "k" || fmt.Sprint(row["key_group"]) != "12" {
			t.Errorf("%+v: %v", test.state, row)
		}
		for _, name := range []string{"key", colKey, colGroup, colSub, colValue} {
			if _, ok := row[name]; !ok {
				t.Errorf("%+v: no column %s", test.state, name)
			}
			delete(row, name)
		}
		if got, err := json.Marshal(row); err != nil || string(got) != test.want {
			t.Errorf("%+v: %s, error %v; want %s", test.state, got, err, test.want)
		}
		if got := read(t, data); len(got) != 1 || got[0] != show(test.entry) {
			t.Errorf("%+v: read as %v", test.state, got)
		}
	}
}

// TestEachReadsWhatWasAdded: any bytes, any number of rows.
func TestEachReadsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		some := rapid.SliceOfN(rapid.Byte(), 0, 20)
		var entries []state.Entry
		var want []string
		group := 0
		for range rapid.IntRange(0, 3*rowsAtOnce).Draw(r, "rows") {
			group += rapid.IntRange(0, 2).Draw(r, "step")
			e := state.Entry{Group: group, Key: some.Draw(r, "key"), Sub: some.Draw(r, "sub"), Value: some.Draw(r, "value")}
			entries, want = append(entries, e), append(want, show(e))
		}
		data := write(t, "", snapshot.State{Name: "s", Kind: "value"}, entries...)
		if got := read(t, data); !slices.Equal(got, want) {
			r.Fatalf("read %q, want %q", got, want)
		}
	})
}

// TestAnyFlippedByteDoesNotPanic: a restore checks sums before, other tools do not.
func TestAnyFlippedByteDoesNotPanic(t *testing.T) {
	data := write(t, "", snapshot.State{Name: "s", Kind: "value"}, state.Entry{Group: 1, Key: []byte("k"), Value: []byte("v")})
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x41
		_ = Each(bad, func(state.Entry) error { return nil })
		_ = Each(data[:i], func(state.Entry) error { return nil })
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	var other bytes.Buffer
	if err := parquet.Write(&other, []struct{ A int64 }{{1}}); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"columns": other.Bytes(), "text": []byte("no Parquet at all"), "nothing": nil} {
		if err := Each(data, func(state.Entry) error { return nil }); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	data := write(t, "", snapshot.State{Name: "s"}, state.Entry{Key: []byte("k")})
	if err := Each(data, func(state.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the caller's error: %v", err)
	}
}

// TestWhatDoesNotDecodeIsNamed: a savepoint with columns that lie is worse than none.
func TestWhatDoesNotDecodeIsNamed(t *testing.T) {
	for _, test := range []struct {
		state snapshot.State
		entry state.Entry
		want  string
	}{
		{snapshot.State{Name: "s", Schema: "int64"}, state.Entry{Value: []byte{2, 3}}, "value 0x0203"},
		{snapshot.State{Name: "s", Schema: "string"}, state.Entry{Value: []byte{9}}, "value 0x09"},
		{snapshot.State{Name: "s", Kind: "map", Schema: "ordered uint8 -> int64"}, state.Entry{Value: []byte{2}}, "sub-key 0x"},
		{snapshot.State{Name: "s", Schema: "ttl int64"}, state.Entry{Value: []byte{2}}, "no time"},
		{snapshot.State{Name: "s", Kind: "timers"}, state.Entry{}, "no timer"},
	} {
		test.entry.Key = []byte{1}
		w, err := NewWriter("op", "uint8", test.state)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(test.entry); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `state "s"`) {
			t.Errorf("%+v: error %v, want %q and the state", test.state, err, test.want)
		}
	}
	if _, err := NewWriter("op", "no type", snapshot.State{Name: "s"}); !errors.Is(err, codec.ErrSchema) {
		t.Errorf("key schema: %v", err)
	}
}

func TestItemsOfOperatorState(t *testing.T) {
	word := func(s string) []byte { b, _ := encoded(t, s); return b }
	list := Items{UID: "op", Name: "l", Kind: KindSplit, Schema: "string", Subtasks: [][][]byte{{word("a"), word("b")}, {}, {word("c")}}}
	data, n, err := EncodeItems(list)
	if err != nil || n != 3 {
		t.Fatalf("%d rows, error %v", n, err)
	}
	var got []string
	for _, r := range typedRows(t, data) {
		got = append(got, fmt.Sprintf("%v.%v=%v", r["subtask"], r["position"], r["item"]))
	}
	if want := []string{"0.0=a", "0.1=b", "2.0=c"}; !slices.Equal(got, want) {
		t.Errorf("list: %q, want %q", got, want)
	}
	pairs := Items{UID: "op", Name: "b", Kind: KindBroadcast, Schema: "string -> bool", Subtasks: [][][]byte{{word("k"), {1}}}}
	if data, n, err = EncodeItems(pairs); err != nil || n != 1 {
		t.Fatalf("%d rows, error %v", n, err)
	}
	if r := typedRows(t, data)[0]; r["key"] != "k" || r["value"] != true {
		t.Errorf("broadcast: %v", r)
	}
	pairs.Subtasks[0] = pairs.Subtasks[0][:1]
	if _, _, err = EncodeItems(pairs); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("a key without a value: %v", err)
	}
}
