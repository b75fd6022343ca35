package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

func TestStateSchemasComeBack(t *testing.T) {
	for _, text := range []string{"int64", "ttl fixed {A:int64}", "ordered int64 -> ttl string", "fixed int64, ordered {A:string,B:bool} -> bytes"} {
		s, err := state.ParseSchema(text)
		if err != nil || s.String() != text {
			t.Errorf("%q comes back as %q, %v", text, s, err)
		}
	}
	s, err := state.ParseSchema("fixed int64, ordered string -> ttl bool")
	if err != nil || len(s.Subs) != 2 || s.Subs[1] != "ordered string" || s.Value != "bool" || !s.TTL {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "-> bool", "int -> bool", "ordered int64 -> ", "ttl ttl bool"} {
		if _, err := state.ParseSchema(text); !errors.Is(err, codec.ErrSchema) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMigration(t *testing.T) {
	define := func(kind, schema, lineage string) state.Definition {
		return state.Definition{Name: "s", Kind: kind, Schema: schema, Lineage: lineage, Stamp: 77}
	}
	stamped := func(at byte, rest ...byte) []byte { return append([]byte{at, 0, 0, 0, 0, 0, 0, 0}, rest...) }
	for _, tc := range []struct {
		name     string
		old, new state.Definition
		from, to []byte
		err      string
	}{
		{name: "same", old: define("value", "int64", ""), new: define("value", "int64", ""), from: []byte{2}, to: []byte{2}},
		{name: "renamed", old: define("value", "{A:int64}", ""), new: define("value", "{B:int64}", "{B|A:int64}"), from: []byte{2}, to: []byte{2}},
		{name: "renamed with a ttl", old: define("map", "ordered string -> ttl {A:int64}", ""), new: define("map", "ordered string -> ttl {B:int64}", "ordered string -> ttl {B|A:int64}"), from: stamped(5, 2), to: stamped(5, 2)},
		{name: "replaced", old: define("value", "{A:int64}", ""), new: define("value", "{B:int64}", ""), from: []byte{2}, to: []byte{0}},
		{name: "fixed", old: define("value", "int64", ""), new: define("value", "fixed int64", ""), from: []byte{3}, to: []byte{0xfe, 255, 255, 255, 255, 255, 255, 255}},
		{name: "ttl comes", old: define("value", "bool", ""), new: define("value", "ttl bool", ""), from: []byte{1}, to: stamped(77, 1)},
		{name: "ttl goes", old: define("value", "ttl bool", ""), new: define("value", "bool", ""), from: stamped(5, 1), to: []byte{1}},
		{name: "ttl stays", old: define("value", "ttl {A:bool}", ""), new: define("value", "ttl {B:bool,A:bool}", ""), from: stamped(5, 1), to: stamped(5, 0, 1)},
		{name: "key of a map renamed", old: define("map", "ordered {A:int8} -> bool", ""), new: define("map", "ordered {B:int8} -> bool", ""), from: []byte{1}, to: []byte{1}},
		{name: "kind", old: define("value", "bool", ""), new: define("list", "bool", ""), err: `state "s": state incompatible: a value state can't become a list state`},
		{name: "sub-key", old: define("map", "ordered int8 -> bool", ""), new: define("map", "ordered int16 -> bool", ""), err: "its keys [ordered int8] can't become [ordered int16]: give the state another name"},
		{name: "namespace", old: define("value", "bool", ""), new: define("value", "ordered int64 -> bool", ""), err: "its keys [] can't become [ordered int64]"},
		{name: "field", old: define("value", "{Price:int64}", ""), new: define("value", "{Price:string}", ""), err: "field Price: int64 can't become string"},
		{name: "no schema", old: define("value", "what", ""), new: define("value", "bool", ""), err: "not a schema"},
	} {
		convert, err := state.Migration(tc.old, tc.new)
		switch {
		case tc.err != "":
			if !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
		default:
			if got, err := convert([]byte("x"), tc.from); err != nil || !bytes.Equal(got[1:], tc.to) {
				t.Errorf("%s: % x, %v, want % x", tc.name, got[1:], err, tc.to)
			}
			if _, err := convert(nil, nil); !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%s: no bytes at all: %v", tc.name, err)
			}
		}
	}
}

// log keeps what a store appends.
type log struct {
	definitions []state.Definition
	entries     []byte
}

func (l *log) Define(h state.Handle, d state.Definition) {
	for int(h) >= len(l.definitions) {
		l.definitions = append(l.definitions, state.Definition{})
	}
	l.definitions[h] = d
}

func (l *log) Append(block []byte, _ int) []byte {
	l.entries = append(l.entries, block...)
	return nil
}

func (l *log) WantsImage(int64) bool { return false }
func (l *log) Image(i state.Image)   { i.Close() }

// restore is a store with what a log has, as a restore makes it.
func restore(t *testing.T, from, to *log) *memory.Store {
	t.Helper()
	s, err := memory.Open(memory.Config{GroupHi: groups - 1, Log: to})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	handles := map[state.Handle]state.Handle{}
	for h, d := range from.definitions {
		stored := state.Definition{Name: d.Name, Kind: d.Kind, Schema: d.Schema, SubSize: state.Variable, ValueSize: state.Variable}
		handles[state.Handle(h)], err = s.Register(stored)
		check(t, err)
	}
	for rest := from.entries; len(rest) > 0; {
		e, n, err := state.ReadEntry(rest)
		check(t, err)
		rest = rest[n:]
		e.Handle = handles[e.Handle]
		check(t, s.Load(e))
	}
	return s
}

type (
	accountV1 struct {
		Owner string
		Cents int32
		Old   bool
	}
	accountV2 struct {
		Balance int64 `cairn:"was=Cents"`
		Owner   string
		Limit   int64
	}
	countV1 struct{ N, M int32 }
	countV2 struct {
		N    int64
		More float64
		M    int32
	}
)

// TestEvolution: what an old program has stored is what its next version finds, in
// its own types, also after another restore.
func TestEvolution(t *testing.T) {
	var v1, v2, v3 log
	old := restore(t, &log{}, &v1)
	account, err := state.NewValue[accountV1](old, "account")
	check(t, err)
	counts, err := state.NewMap[string, countV1](old, "counts")
	check(t, err)
	plain, err := state.NewValue[int64](old, "plain")
	check(t, err)
	for _, k := range []string{"a", "b"} {
		setKey(old, k)
		check(t, account.Set(accountV1{"owner of " + k, -5, true}))
		check(t, counts.Put("x", countV1{1, 2}))
		check(t, plain.Set(9))
	}
	check(t, old.EndBatch())

	now := restore(t, &v1, &v2)
	openV2(t, now)
	check(t, now.EndBatch())
	again := restore(t, &v2, &v3)
	if openV2(t, again); len(v3.entries) != 0 {
		t.Errorf("%d bytes of changes after a restore of what fits", len(v3.entries))
	}
}

// openV2 opens the next version's states and checks what is in them.
func openV2(t *testing.T, s *memory.Store) {
	t.Helper()
	account, err := state.NewValue[accountV2](s, "account")
	check(t, err)
	counts, err := state.NewMap[string, countV2](s, "counts")
	check(t, err)
	ttl := state.WithTTL(state.NewLifetimes(s, func() int64 { return 1000 }), state.TTL{After: time.Second})
	plain, err := state.NewValue[int64](s, "plain", ttl)
	check(t, err)
	for _, k := range []string{"a", "b"} {
		setKey(s, k)
		if got, ok, err := account.Get(); got != (accountV2{-5, "owner of " + k, 0}) || !ok || err != nil {
			t.Errorf("account %+v, %v, %v", got, ok, err)
		}
		if got, ok, err := counts.Get("x"); got != (countV2{1, 0, 2}) || !ok || err != nil {
			t.Errorf("counts %+v, %v, %v", got, ok, err)
		}
		if got, ok, err := plain.Get(); got != 9 || !ok || err != nil {
			t.Errorf("plain %d, %v, %v", got, ok, err)
		}
	}
	if entries, _ := s.Size(); entries != 6 {
		t.Errorf("%d entries", entries)
	}
}

// TestIncompatibleStateIsRefused: nothing runs, nothing is lost, and the field is named.
func TestIncompatibleStateIsRefused(t *testing.T) {
	var v1 log
	old := restore(t, &log{}, &v1)
	account, err := state.NewValue[accountV1](old, "account")
	check(t, err)
	setKey(old, "a")
	check(t, account.Set(accountV1{Owner: "x"}))
	check(t, old.EndBatch())
	now := restore(t, &v1, &log{})
	_, err = state.NewValue[struct{ Owner int64 }](now, "account")
	if !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), `state "account"`) || !strings.Contains(err.Error(), "field Owner: string can't become int64") {
		t.Errorf("got %v", err)
	}
	if _, err := state.NewMap[int64, accountV1](now, "account"); !errors.Is(err, state.ErrIncompatible) {
		t.Errorf("a map of it: %v", err)
	}
	if _, err := state.NewValue[accountV1](now, "account"); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

func TestTimersOfAStore(t *testing.T) {
	sub := binary.BigEndian.AppendUint64(nil, 5^(1<<63))
	if at, tag, ok := state.SplitTimer(append(sub, "tag"...)); at != 5 || string(tag) != "tag" || !ok {
		t.Errorf("%d %q %v", at, tag, ok)
	}
	if _, _, ok := state.SplitTimer(sub[:7]); ok {
		t.Error("seven bytes are a timer")
	}
	s := openStore(t)
	ts, err := state.NewTimersWithoutTags(s, "timers")
	check(t, err)
	for i := range 10 {
		setKey(s, "k")
		ts.Register(int64(i), nil)
	}
	n, err := ts.PopSome(7, 3, func(int, []byte, []byte, int64) error { return nil })
	if next, ok := ts.Next(); n != 3 || err != nil || next != 3 || !ok {
		t.Errorf("popped %d, %v, next at %d", n, err, next)
	}
	if n, _ := ts.PopSome(7, 100, func(int, []byte, []byte, int64) error { return nil }); n != 5 || ts.Len() != 2 {
		t.Errorf("popped %d, %d left", n, ts.Len())
	}
}
