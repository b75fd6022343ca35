package inspect_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect"
)

// windowed is a map state in windows, with a TTL.
var windowed = snapshot.State{Name: "w", Kind: "map", Schema: "ordered time, ordered string -> ttl int64", TTL: time.Hour}

func TestPrintSaysWhatDoesNotDecode(t *testing.T) {
	p := printer(t, &inspect.Operator{UID: "op", KeySchema: "string"})
	count := snapshot.State{Name: "n", Kind: "value", Schema: "fixed int64"}
	timers := snapshot.State{Name: "timers", Kind: "timers", Schema: state.TimersSchema}
	key, eight := []byte("\x02AA"), make([]byte, 8)
	for _, c := range []struct {
		e    inspect.Entry
		want string
	}{
		{inspect.Entry{State: &count, Key: []byte("\x09AA"), Value: eight}, `state "n", key 0x094141: state corrupt: key 0x094141: decode string`},
		{inspect.Entry{State: &count, Key: []byte("\x02AAx"), Value: eight}, `key 0x02414178: 1 bytes too many`},
		{inspect.Entry{State: &count, Key: key, Value: eight[:7]}, `state "n", key 0x024141: state corrupt: value 0x00000000000000: decode fixed int64`},
		{inspect.Entry{State: &count, Key: key, Value: append(eight, 1)}, `1 bytes too many`},
		{inspect.Entry{State: &windowed, Key: key, Sub: []byte("x"), Value: eight}, `sub-key 0x78`},
		{inspect.Entry{State: &windowed, Key: key, Sub: subKey(t, p, "2013-01-31T09:15:00Z", "a"), Value: eight[:3]}, `value 0x000000 has no time in front`},
		{inspect.Entry{State: &timers, Key: key, Sub: eight[:7]}, `0x00000000000000 is no timer`},
	} {
		_, err := p.Print(c.e)
		if !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
		p.Raw = true
		if _, err := p.Print(c.e); err != nil {
			t.Errorf("raw: %v", err)
		}
		p.Raw = false
	}
}

func subKey(t *testing.T, p *inspect.Printer, texts ...string) []byte {
	t.Helper()
	return must[[]byte](t)(p.EncodeSub(&windowed, texts))
}

func TestPrintShowsAllParts(t *testing.T) {
	p := printer(t, &inspect.Operator{UID: "op", KeySchema: "string"})
	e := inspect.Entry{State: &windowed, Key: []byte("\x02AA"), Sub: subKey(t, p, "2013-01-31T09:15:00Z", "jan"), Value: []byte{0x10, 0x27, 0, 0, 0, 0, 0, 0, 6}}
	for _, c := range []struct {
		raw  bool
		want string
	}{
		{false, `AA w[["2013-01-31T09:15:00Z","jan"]] = 3 at 1970-01-01T00:00:10Z`},
		{true, `0x024141 w[0x` + hexOf(e.Sub) + `] = 0x102700000000000006`},
	} {
		p.Raw = c.raw
		printed, err := p.Print(e)
		if got := line(printed); err != nil || got != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestEncodeKeySaysWhatIsExpected(t *testing.T) {
	for _, c := range []struct{ schema, text, want string }{
		{"fixed int64", "twelve", `"twelve": text is no such value`},
		{"{A:string,B:int64}", `{"A":"x"}`, "there is no field B"},
		{"", "0xzz", `"0xzz": text is no such value: want 0x and hex digits`},
	} {
		p := printer(t, &inspect.Operator{UID: "op", KeySchema: c.schema})
		if _, err := p.EncodeKey(c.text); !errors.Is(err, codec.ErrText) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s as %s: %v, want %s", c.text, c.schema, err, c.want)
		}
	}
	p := printer(t, &inspect.Operator{UID: "op", KeySchema: "string"})
	for text, want := range map[string]string{"AA": "\x02AA", "0x41": "\x040x41"} {
		if got, err := p.EncodeKey(text); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	p.Raw = true
	if got, err := p.EncodeKey("0x024141"); err != nil || string(got) != "\x02AA" {
		t.Errorf("raw: %q, %v", got, err)
	}
	if _, err := inspect.NewPrinter(&inspect.Operator{UID: "op", KeySchema: "quaternion"}); !errors.Is(err, codec.ErrSchema) || !strings.Contains(err.Error(), "operator op: key") {
		t.Errorf("a schema that nobody knows: %v", err)
	}
}

func TestEncodeSub(t *testing.T) {
	p := printer(t, &inspect.Operator{UID: "op"})
	whole := subKey(t, p, "2013-01-31T09:15:00Z", "jan")
	if front := subKey(t, p, "2013-01-31T09:15:00Z"); !strings.HasPrefix(string(whole), string(front)) || len(front) == len(whole) {
		t.Errorf("the window is %x of %x", front, whole)
	}
	if _, err := p.EncodeSub(&windowed, []string{"a", "b", "c"}); !errors.Is(err, inspect.ErrSubKeys) || !strings.Contains(err.Error(), `state "w": too many sub-keys: 3 given, and an entry of this map state has 2`) {
		t.Errorf("three: %v", err)
	}
	if _, err := p.EncodeSub(&windowed, []string{"noon"}); !errors.Is(err, codec.ErrText) || !strings.Contains(err.Error(), `"noon"`) {
		t.Errorf("no time: %v", err)
	}
}

func TestPrintItems(t *testing.T) {
	for _, c := range []struct {
		items inspect.Items
		want  []string
	}{
		{inspect.Items{Name: "l", Kind: inspect.KindSplit, Schema: "string", Items: [][]byte{[]byte("\x01a"), []byte("\x01b")}}, []string{"- l[0] = a", "- l[1] = b"}},
		{inspect.Items{Name: "own words", Kind: inspect.KindUnion, Items: [][]byte{{0xff}}}, []string{"- own words[0] = 0xff"}},
		{inspect.Items{Name: "b", Kind: inspect.KindBroadcast, Schema: "string -> int64", Items: [][]byte{[]byte("\x01k"), {6}}}, []string{"- b[k] = 3"}},
	} {
		printed, err := inspect.PrintItems(&c.items, false)
		var got []string
		for _, p := range printed {
			got = append(got, line(p))
		}
		if err != nil || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	bad := inspect.Items{Name: "l", Kind: inspect.KindSplit, Schema: "string", Items: [][]byte{{9}}}
	if _, err := inspect.PrintItems(&bad, false); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), `split list "l"`) {
		t.Errorf("corrupt: %v", err)
	}
	if _, err := inspect.PrintItems(&bad, true); err != nil {
		t.Errorf("raw: %v", err)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "-"}, {"a b", "a b"}, {"", `""`}, {" a", `" a"`}, {"a\nb", `"a\nb"`}, {int64(-3), "-3"}, {true, "true"}, {codec.Bytes{0xff}, "0xff"},
		{codec.Float(0.5), "0.5"}, {time.UnixMilli(1).UTC(), "1970-01-01T00:00:00.001Z"}, {codec.List{int64(1), "<x>"}, `[1,"<x>"]`},
	} {
		if got := inspect.Text(c.v); got != c.want {
			t.Errorf("%v prints as %s, want %s", c.v, got, c.want)
		}
		if _, err := json.Marshal(c.v); err != nil {
			t.Errorf("%v as JSON: %v", c.v, err)
		}
	}
}
