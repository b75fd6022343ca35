package answer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// selected is a row of q2.
type selected struct {
	Price   int64 `parquet:"price"` // not the order of the query
	Auction int64 `parquet:"auction"`
}

// three bids that q2 selects, two of them alike.
var three = world{Bids: []bid{{Auction: 123, Price: 1}, {Auction: 123, Price: 1}, {Auction: 246, Price: 2}, {Auction: 5}}}

// TestCompare compares multisets that lie in several files.
func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name           string
		first, second  []selected
		missing, extra []string
	}{
		{"equal", []selected{{2, 246}, {1, 123}}, []selected{{1, 123}}, nil, nil},
		{"one twin", []selected{{2, 246}}, []selected{{1, 123}}, []string{"123, 1"}, nil},
		{"a third", []selected{{2, 246}, {1, 123}}, []selected{{1, 123}, {1, 123}}, nil, []string{"123, 1"}},
		{"another", []selected{{1, 123}, {1, 123}}, []selected{{3, 246}}, []string{"246, 2"}, []string{"246, 3"}},
		{"nothing", nil, nil, []string{"123, 1", "123, 1", "246, 2"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "1.parquet"), test.first)
			write(t, filepath.Join(dir, "deep", "2.parquet"), test.second)
			write(t, filepath.Join(dir, "3.inprogress"), []selected{{9, 9}})
			got, err := expect(t, three, "q2").Compare(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if got.Missing != len(test.missing) || got.Extra != len(test.extra) ||
				!slices.Equal(got.MissingRows, test.missing) || !slices.Equal(got.ExtraRows, test.extra) {
				t.Errorf("%v; want missing %q, extra %q", got, test.missing, test.extra)
			}
			if got.Equal() != (len(test.missing)+len(test.extra) == 0) {
				t.Errorf("Equal says %v of: %v", got.Equal(), got)
			}
		})
	}
}

// TestCompareListsTheFirst: a difference is as long as a screen, and counts the rest.
func TestCompareListsTheFirst(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "1.parquet"), slices.Repeat([]selected{{9, 9}}, 25))
	got, err := expect(t, three, "q2").Compare(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Missing != 3 || got.Extra != 25 || len(got.ExtraRows) != shown {
		t.Errorf("%v", got)
	}
	if text := got.String(); !strings.HasPrefix(text, "3 rows are missing, 25 are too much\n  missing: 123, 1\n") {
		t.Errorf("%s", text)
	}
}

// TestCompareTakesTheLastAverage: of the rows that q4 writes for a category the last one counts, and none may be lost
// or doubled.
func TestCompareTakesTheLastAverage(t *testing.T) {
	type average struct {
		Category int64 `parquet:"category"`
		Average  int64 `parquet:"average"`
		Auctions int64 `parquet:"auctions"`
		Version  int64 `parquet:"version"`
	}
	e := expect(t, world{
		Auctions: []auction{{ID: 1, Category: 10, Expires: 9}, {ID: 2, Category: 10, Expires: 9}},
		Bids:     []bid{{Auction: 1, Price: 100}, {Auction: 2, Price: 10}, {Auction: 2, Price: 20}},
	}, "q4")
	first, second, third := average{10, 100, 1, 1}, average{10, 55, 2, 2}, average{10, 60, 2, 3}
	for _, test := range []struct {
		name  string
		rows  []average
		extra []string
	}{
		{"all", []average{first, third, second}, nil},
		{"the last is lost", []average{first, second}, []string{"10, 2, 55, 0, 0"}},
		{"another is lost", []average{first, third}, []string{"10, 2, 60, 1, 0"}},
		{"one is doubled", []average{first, second, second, third}, []string{"10, 2, 60, 0, 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "1.parquet"), test.rows)
			got, err := e.Compare(t.Context(), dir)
			if err != nil || !slices.Equal(got.ExtraRows, test.extra) || got.Missing != len(test.extra) {
				t.Errorf("%v, %v; want extra %q", got, err, test.extra)
			}
		})
	}
}

// TestCompareSumsProcessingTime: the windows of q12 count together.
func TestCompareSumsProcessingTime(t *testing.T) {
	type count struct {
		Bidder int64 `parquet:"bidder"`
		Bids   int64 `parquet:"bid_count"`
		Start  int64 `parquet:"starttime"`
		End    int64 `parquet:"endtime"`
	}
	e := expect(t, world{Bids: []bid{{Bidder: 1}, {Bidder: 1}, {Bidder: 2}}}, "q12")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "1.parquet"), []count{{1, 1, 0, 10}, {2, 1, 0, 10}, {1, 1, 10, 20}})
	if got, err := e.Compare(t.Context(), dir); err != nil || !got.Equal() {
		t.Errorf("%v, %v", got, err)
	}
	write(t, filepath.Join(dir, "1.parquet"), []count{{1, 1, 0, 10}, {2, 1, 0, 10}})
	if got, err := e.Compare(t.Context(), dir); err != nil || got.Missing != 1 || got.Extra != 1 {
		t.Errorf("without a window: %v, %v", got, err)
	}
}

// TestCompareRefuses what it could only compare in part.
func TestCompareRefuses(t *testing.T) {
	type wide struct {
		Auction int64  `parquet:"auction"`
		Price   int64  `parquet:"price"`
		Extra   string `parquet:"extra"`
	}
	type inexact struct {
		Auction int64   `parquet:"auction"`
		Price   float64 `parquet:"price"`
	}
	type hollow struct {
		Auction int64  `parquet:"auction"`
		Price   *int64 `parquet:"price,optional"`
	}
	for _, test := range []struct {
		name  string
		write func(t *testing.T, path string)
		want  string
	}{
		{"a column too much", func(t *testing.T, path string) { write(t, path, []wide{{}}) },
			"1.parquet: the columns are auction, extra, price; expected are auction, price"},
		{"fractions", func(t *testing.T, path string) { write(t, path, []inexact{{1, 0.5}}) }, "column 1 has the value 0.5 of kind DOUBLE"},
		{"an empty value", func(t *testing.T, path string) { write(t, path, []hollow{{}}) }, "only whole numbers and text can be compared"},
		{"no folder", func(*testing.T, string) {}, "no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "q2")
			test.write(t, filepath.Join(dir, "1.parquet"))
			_, err := expect(t, three, "q2").Compare(t.Context(), dir)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "compare q2: ") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestOpenSaysWhatIsMissing: an export without a table is no export.
func TestOpenSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "person.parquet"), []person{})
	write(t, filepath.Join(dir, "auction.parquet"), []auction{{ID: 1}})
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "load bid: read "+filepath.Join(dir, "bid.parquet")) {
		t.Errorf("Open: %v", err)
	}
}
