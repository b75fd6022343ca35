package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// TestStreamTableGrows: the first rows are shown together, and a row that needs
// more room than they did gets it.
func TestStreamTableGrows(t *testing.T) {
	var out strings.Builder
	s := newStreamTable(&out, "KEY VALUE")
	for i := range streamFirst - 1 {
		if err := s.row([]string{fmt.Sprint(i), "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("shown too early: %q", &out)
	}
	for _, r := range [][]string{{"last of the first", "x"}, {"a", "short\nand more"}, {"wider than all the others", "x"}, {"b", "x"}} {
		if err := s.row(r); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := "KEY                VALUE"; lines[0] != want {
		t.Errorf("header %q, want %q", lines[0], want)
	}
	want := "last of the first  x\n" +
		"a                  short …\n" +
		"wider than all the others  x\n" +
		"b                          x"
	if got := strings.Join(lines[streamFirst:], "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONStreamIsOneDocument(t *testing.T) {
	for n := range 3 {
		var out strings.Builder
		s, err := newJSONStream(&out, object{{"job", "<j>"}}, "list")
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := s.item(object{{"i", i}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.end(object{{"shown", n}}); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Job   string
			List  []struct{ I int }
			Shown int
		}
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.Job != "<j>" || len(got.List) != n || got.Shown != n || strings.Count(out.String(), "\n") != n+2 {
			t.Errorf("%d items: %v in\n%s", n, err, &out)
		}
	}
}

func TestCompareObjects(t *testing.T) {
	process := func(lo, hi uint64, sums ...int64) []snapshot.Process {
		p := snapshot.Process{Process: "p", Objects: []snapshot.Run{{Prefix: "x/", Lo: lo, Hi: hi}}}
		for _, n := range sums {
			p.Sums = append(p.Sums, snapshot.Sum{Size: n})
		}
		return []snapshot.Process{p}
	}
	got, err := compareObjects(process(1, 3, 10, 20, 30), process(3, 4, 30, 40))
	want := objectsDiff{Shared: 1, SharedBytes: 30, OnlyA: 2, OnlyABytes: 30, OnlyB: 1, OnlyBBytes: 40}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	_, err = compareObjects(process(1, 1, 10), process(1, 2, 10))
	if !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), "second checkpoint: process p") {
		t.Errorf("too few sums: %v", err)
	}
}
