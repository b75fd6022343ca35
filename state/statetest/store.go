package statetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/state"
)

func testRegister(t *testing.T, open Open) {
	s, log := setup(t, open)
	a := register(t, s, "a")
	b := register(t, s, "b")
	if again := register(t, s, "a"); again != a || a == b {
		t.Errorf("handles a %d, b %d, a again %d", a, b, again)
	}
	_, err := s.Register(state.Definition{Name: "a", Kind: "value", Schema: "int64", ValueSize: state.Variable})
	if err == nil || !strings.Contains(err.Error(), "map of bytes") || !strings.Contains(err.Error(), "value of int64") {
		t.Errorf("another schema: error %v should name both", err)
	}
	equal(t, "defined", log.defined, []string{fmt.Sprintf("%d a map bytes", a), fmt.Sprintf("%d b map bytes", b)})
}

func testGetPut(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(3, []byte("k"))
	if group, key := s.Key(); group != 3 || string(key) != "k" {
		t.Errorf("key %d %q", group, key)
	}
	if _, ok, _ := s.Get(h, nil); ok {
		t.Error("an empty store has a value")
	}
	for _, v := range []string{"one", "", "three and more", "4"} {
		s.Put(h, nil, []byte(v))
		if got, ok, _ := s.Get(h, nil); !ok || string(got) != v {
			t.Errorf("got %q, %v, want %q", got, ok, v)
		}
	}
	s.Delete(h, nil)
	s.Delete(h, nil)
	if _, ok, _ := s.Get(h, nil); ok {
		t.Error("a deleted value is there")
	}
	s.EndBatch()
	if _, ok, _ := s.Get(h, nil); ok {
		t.Error("a deleted value is there after the batch")
	}
}

func testApart(t *testing.T, open Open) {
	s, _ := setup(t, open)
	a, b := register(t, s, "a"), register(t, s, "b")
	put := func(key string, h state.Handle, sub, value string) {
		s.SetKey(0, []byte(key))
		s.Put(h, []byte(sub), []byte(value))
	}
	put("k", a, "", "1")
	put("k", b, "", "2")
	put("k", a, "s", "3")
	put("ks", a, "", "4")
	put("", a, "ks", "5")
	for _, tc := range []struct {
		key  string
		h    state.Handle
		sub  string
		want string
	}{{"k", a, "", "1"}, {"k", b, "", "2"}, {"k", a, "s", "3"}, {"ks", a, "", "4"}, {"", a, "ks", "5"}} {
		s.SetKey(0, []byte(tc.key))
		if got, _, _ := s.Get(tc.h, []byte(tc.sub)); string(got) != tc.want {
			t.Errorf("%q %d %q: got %q, want %q", tc.key, tc.h, tc.sub, got, tc.want)
		}
	}
}

func testScanOrder(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("%03d=%d", i, i))
	}
	for _, key := range []string{"other", "k"} {
		s.SetKey(1, []byte(key))
		for _, i := range rand.Perm(200) {
			s.Put(h, fmt.Appendf(nil, "%03d", i), fmt.Appendf(nil, "%d", i))
		}
	}
	equal(t, "scan", scan(s, h), want)
	n := 0
	s.Scan(h, func(_, _ []byte) bool { n++; return n < 5 })
	if n != 5 {
		t.Errorf("a scan that was stopped at 5 visited %d", n)
	}
	s.SetKey(1, []byte("none"))
	equal(t, "scan of another key", scan(s, h), nil)
}

func testScanSeesChanges(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	put := func(sub, value string) { s.Put(h, []byte(sub), []byte(value)) }
	put("b", "1")
	equal(t, "one", scan(s, h), []string{"b=1"})
	put("c", "2")
	put("a", "3")
	put("", "4")
	put("b", strings.Repeat("long", 100)) // moves
	s.Delete(h, []byte("c"))
	equal(t, "changed", scan(s, h), []string{"=4", "a=3", "b=" + strings.Repeat("long", 100)})
	s.EndBatch()
	put("c", "5")
	s.Delete(h, nil)
	s.Delete(h, []byte("a"))
	s.Delete(h, []byte("b"))
	equal(t, "only c", scan(s, h), []string{"c=5"})
	s.Delete(h, []byte("c"))
	equal(t, "empty", scan(s, h), nil)
	put("c", strings.Repeat("back", 100)) // comes back, longer, in the same batch
	equal(t, "back", scan(s, h), []string{"c=" + strings.Repeat("back", 100)})
	s.EndBatch()
	equal(t, "after the batch", scan(s, h), []string{"c=" + strings.Repeat("back", 100)})
}

func testLargeValues(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := register(t, s, "a")
	sizes := []int{0, 1, 16 << 10, 65535, 65536, 65536 - 28, 65536 - 29, 1 << 20}
	for i, n := range sizes {
		s.SetKey(i, fmt.Appendf(nil, "%d", i))
		s.Put(h, nil, bytes.Repeat([]byte{byte(i)}, n))
	}
	s.EndBatch()
	for i, n := range sizes {
		s.SetKey(i, fmt.Appendf(nil, "%d", i))
		if got, _, _ := s.Get(h, nil); !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, n)) {
			t.Errorf("value of %d bytes: got %d", n, len(got))
		}
	}
	if len(log.entries) != len(sizes) {
		t.Errorf("%d entries in the log", len(log.entries))
	}
}

func testBatchIsDeduplicated(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	for i := range 100 {
		s.Put(h, []byte("x"), bytes.Repeat([]byte("v"), i*50)) // moves many times
		s.Put(h, []byte("y"), fmt.Appendf(nil, "%d", i))
	}
	s.Put(h, []byte("x"), []byte("last"))
	s.EndBatch()
	equal(t, "first batch", log.take(), []string{"0/k/x=last", "0/k/y=99"})
	s.EndBatch()
	equal(t, "nothing changed", log.take(), nil)
	s.Delete(h, []byte("y"))
	s.EndBatch()
	equal(t, "deleted", log.take(), []string{"0/k/y deleted"})
	if c := s.Cut(1); c.Position != 3 || c.Entries != 1 {
		t.Errorf("cut %+v, want position 3 with 1 entry", c)
	}
}

func testDeleteThenPut(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	s.Put(h, nil, []byte("old"))
	s.EndBatch()
	log.take()
	s.Delete(h, nil)
	s.Put(h, nil, []byte("new"))
	s.EndBatch()
	equal(t, "log", log.take(), []string{"0/k/=new"})
	if got, ok, _ := s.Get(h, nil); !ok || string(got) != "new" {
		t.Errorf("got %q, %v", got, ok)
	}
	s.Put(h, nil, []byte("more"))
	s.Delete(h, nil)
	s.EndBatch()
	equal(t, "log", log.take(), []string{"0/k/ deleted"})
}

func testSize(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	check := func(entries, bytes int64) {
		t.Helper()
		if e, b := s.Size(); e != entries || b != bytes {
			t.Errorf("size %d entries, %d bytes, want %d, %d", e, b, entries, bytes)
		}
	}
	check(0, 0)
	s.SetKey(1, []byte("key"))
	s.Put(h, []byte("sub"), []byte("value"))
	scan(s, h) // what a scan keeps for itself does not count
	check(1, 11)
	s.Put(h, []byte("sub"), []byte("v"))
	check(1, 7)
	s.Delete(h, []byte("sub"))
	check(0, 0)
	s.Put(h, []byte("sub"), []byte("va"))
	check(1, 8)
	s.EndBatch()
	check(1, 8)
}

func testValuesChangeSize(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[string][]byte{}
	for i := range 30000 {
		key := fmt.Sprint(rnd.IntN(300))
		v := bytes.Repeat([]byte{byte(i)}, rnd.IntN(900))
		s.SetKey(0, []byte(key))
		s.Put(h, nil, v)
		if want[key] = v; i%100 == 0 {
			s.EndBatch()
		}
	}
	for key, v := range want {
		s.SetKey(0, []byte(key))
		if got, _, _ := s.Get(h, nil); !bytes.Equal(got, v) {
			t.Fatalf("key %s: got %d bytes, want %d", key, len(got), len(v))
		}
	}
}

func testLoad(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := register(t, s, "a")
	load := func(e state.Entry) {
		t.Helper()
		e.Handle, e.Group, e.Key = h, 2, []byte("k")
		if err := s.Load(e); err != nil {
			t.Fatal(err)
		}
	}
	load(state.Entry{Sub: []byte("a"), Value: []byte("1")})
	load(state.Entry{Sub: []byte("b"), Value: []byte("2")})
	load(state.Entry{Sub: []byte("a"), Deleted: true})
	load(state.Entry{Sub: []byte("none"), Deleted: true})
	load(state.Entry{Sub: []byte("b"), Value: []byte("3")})
	s.EndBatch()
	equal(t, "log", log.take(), nil)
	s.SetKey(2, []byte("k"))
	equal(t, "scan", scan(s, h), []string{"b=3"})
	if err := s.Load(state.Entry{Handle: h, Group: groups, Key: []byte("k")}); err == nil {
		t.Error("an entry of a group outside of the store was taken")
	}
	if err := s.Load(state.Entry{Handle: h + 7, Key: []byte("k")}); err == nil {
		t.Error("an entry of an unknown state was taken")
	}
}
